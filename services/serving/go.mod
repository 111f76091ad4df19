module fairlead.dev/services/serving

go 1.26.0
