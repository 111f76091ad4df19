module fairlead.dev/services/gateway

go 1.26.0

require (
	fairlead.dev/gen v0.0.0
	fairlead.dev/services/internal v0.0.0
)

replace (
	fairlead.dev/gen => ../../gen
	fairlead.dev/services/internal => ../internal
)
