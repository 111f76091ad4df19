module fairlead.dev/services/gateway

go 1.26.0
