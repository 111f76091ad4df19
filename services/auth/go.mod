module fairlead.dev/services/auth

go 1.26.0
