module fairlead.dev/services/build

go 1.26.0
