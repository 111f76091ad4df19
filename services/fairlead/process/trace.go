// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package process

import (
	"fairlead.dev/services/internal/tracing"
	"fairlead.dev/services/internal/version"
)

// traceFlags say where spans go.
type traceFlags struct {
	endpoint, ca, file *string
	ratio              *float64
}

func newTraceFlags(f *Flags) traceFlags {
	return traceFlags{
		endpoint: f.String("trace-endpoint", "", "host:port of a collector that takes OTLP over gRPC, with TLS outside loopback; none sends no traces"),
		ca:       f.String("trace-ca", "", "file with the authorities of the collector's certificate; none means the system's"),
		file:     f.String("trace-file", "", "file to which spans are appended, a line of JSON each; - is the standard output"),
		ratio:    f.Float("trace-sample-ratio", 1, "part of the traces that is kept, from 0 to 1; callers that trace decide for theirs"),
	}
}

func (t traceFlags) validate(f *Faults) {
	if *t.ratio < 0 || *t.ratio > 1 {
		f.Addf("trace-sample-ratio", "is %g; it must be between 0 and 1", *t.ratio)
	}
	if *t.ca != "" && *t.endpoint == "" {
		f.Addf("trace-ca", "is of no use without --trace-endpoint")
	}
	if *t.endpoint != "" && (tracing.Config{Endpoint: *t.endpoint}).Validate() != nil {
		f.Addf("trace-endpoint", "is %q; write host:port, such as 127.0.0.1:4317", *t.endpoint)
	}
}

func (t traceFlags) config(p *Process) tracing.Config {
	c := tracing.DefaultConfig()
	c.Endpoint, c.CAFile, c.File, c.SampleRatio = *t.endpoint, *t.ca, *t.file, *t.ratio
	c.Service, c.Version, c.Log = "fairlead-"+p.Name(), version.String(), p.log
	return c
}
