module fairlead.dev/services/eventing

go 1.26.0
