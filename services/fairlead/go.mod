module fairlead.dev/services/fairlead

go 1.26.0
