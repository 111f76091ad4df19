module fairlead.dev/services/e2e

go 1.26.0
