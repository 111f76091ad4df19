// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package autoscaler

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
)

const prefix = "autoscaling.knative.dev/"

// The bounds of annotations.
const (
	// MinWindow and MaxWindow bound the window over which load is averaged.
	MinWindow = 6 * time.Second
	MaxWindow = time.Hour

	minTarget = 0.01
)

// The metrics by which revisions are scaled.
const (
	MetricConcurrency = "concurrency"
	MetricRPS         = "rps"
)

// Settings are what one revision's annotations say, or the defaults.
type Settings struct {
	// Min and Max bound the number of pods; a Max of 0 means no bound.
	Min, Max int32
	// Initial is how many pods a new revision starts with, Activation with how many it comes back from zero.
	Initial, Activation int32
	// Metric is MetricConcurrency or MetricRPS.
	Metric string
	// Target is the load that one pod is meant for, with utilization taken into account.
	Target float64
	// Window is the time over which load is averaged, Panic the part of it that shows bursts.
	Window, Panic time.Duration
	// PanicThreshold is by which factor the load must exceed what the ready pods are meant for to be a burst.
	PanicThreshold float64
	// ScaleDownDelay is for how long a lower load must last before pods are taken away.
	ScaleDownDelay time.Duration
	// Grace is how long the last pod stays once the window is empty.
	Grace time.Duration
}

// Fault is what is wrong with an annotation.
type Fault struct {
	// Annotation is its key.
	Annotation string
	// Message says what is wrong and what would be right.
	Message string
}

// reader reads annotations and collects faults.
type reader struct {
	annotations map[string]string
	faults      []Fault
}

// aliases holds the older spelling of each annotation that has one.
func aliases() map[string]string {
	return map[string]string{
		"min-scale": "minScale", "max-scale": "maxScale", "initial-scale": "initialScale", "activation-scale": "activationScale",
		"scale-down-delay": "scaleDownDelay", "panic-window-percentage": "panicWindowPercentage",
		"panic-threshold-percentage": "panicThresholdPercentage", "target-burst-capacity": "targetBurstCapacity",
		"target-utilization-percentage": "targetUtilizationPercentage", "scale-to-zero-pod-retention-period": "scaleToZeroPodRetentionPeriod",
		"metric-aggregation-algorithm": "metricAggregationAlgorithm",
	}
}

// known holds the annotations without an older spelling.
func known() []string { return []string{"class", "metric", "target", "window"} }

func (r *reader) get(name string) (key, value string, ok bool) {
	if value, ok = r.annotations[prefix+name]; ok {
		return prefix + name, value, true
	}
	if alias := aliases()[name]; alias != "" {
		value, ok = r.annotations[prefix+alias]
		return prefix + alias, value, ok
	}
	return prefix + name, "", false
}

func (r *reader) faultf(key, format string, args ...any) {
	r.faults = append(r.faults, Fault{Annotation: key, Message: fmt.Sprintf(format, args...)})
}

func (r *reader) count(name string, least, otherwise int32) int32 {
	key, value, ok := r.get(name)
	if !ok {
		return otherwise
	}
	n, err := strconv.ParseInt(value, 10, 32)
	if err != nil || int32(n) < least {
		r.faultf(key, "%q is not a whole number of at least %d", value, least)
		return otherwise
	}
	return int32(n)
}

func (r *reader) number(name string, least, most, otherwise float64) float64 {
	key, value, ok := r.get(name)
	if !ok {
		return otherwise
	}
	n, err := strconv.ParseFloat(value, 64)
	if err != nil || math.IsNaN(n) || n < least || n > most {
		if math.IsInf(most, 1) {
			r.faultf(key, "%q is not a number of at least %v", value, least)
		} else {
			r.faultf(key, "%q is not a number between %v and %v", value, least, most)
		}
		return otherwise
	}
	return n
}

func (r *reader) duration(name string, least, most, otherwise time.Duration) time.Duration {
	key, value, ok := r.get(name)
	if !ok {
		return otherwise
	}
	d, err := time.ParseDuration(value)
	switch {
	case err != nil || d < least || d > most:
		r.faultf(key, "%q is not a duration between %s and %s, such as \"30s\"", value, least, most)
		return otherwise
	case d%time.Second != 0:
		r.faultf(key, "%q is not a whole number of seconds", value)
		return otherwise
	}
	return d
}

// Parse reads a revision's settings. Faulty annotations are told, and count as absent.
func Parse(annotations map[string]string, containerConcurrency int64, defaults Config) (Settings, []Fault) {
	r := &reader{annotations: annotations}
	r.unknown()
	r.class()
	s := Settings{
		Min: r.count("min-scale", 0, 0), Max: r.count("max-scale", 0, 0),
		Initial: r.count("initial-scale", 1, 1), Activation: r.count("activation-scale", 1, 1),
		Window:         r.duration("window", MinWindow, MaxWindow, defaults.StableWindow),
		PanicThreshold: r.number("panic-threshold-percentage", 110, 1000, defaults.PanicThresholdPercentage) / 100, //nolint:mnd // percent
		ScaleDownDelay: r.duration("scale-down-delay", 0, MaxWindow, 0),
		Grace:          max(defaults.ScaleToZeroGrace, r.duration("scale-to-zero-pod-retention-period", 0, MaxWindow, 0)),
		Metric:         r.metric(),
	}
	share := r.number("panic-window-percentage", 1, 100, defaults.PanicWindowPercentage) / 100 //nolint:mnd // percent
	s.Panic = max(time.Second, time.Duration(float64(s.Window)*share))
	r.number("target-burst-capacity", -1, math.Inf(1), 0) // the router always stands before the pods: read, and of no effect
	r.target(&s, containerConcurrency, defaults)
	r.bounds(&s, defaults)
	return s, r.faults
}

func (r *reader) unknown() {
	names := known()
	for name, alias := range aliases() {
		names = append(names, name, alias)
	}
	var odd []string
	for key := range r.annotations {
		if name, ok := strings.CutPrefix(key, prefix); ok && !slices.Contains(names, name) {
			odd = append(odd, key)
		}
	}
	slices.Sort(odd)
	for _, key := range odd {
		r.faultf(key, "no such annotation of the autoscaler")
	}
}

func (r *reader) class() {
	key, value, ok := r.get("class")
	switch {
	case !ok, value == "kpa.autoscaling.knative.dev":
	case value == "hpa.autoscaling.knative.dev":
		r.faultf(key, "the class %q is not supported yet; leave it out to scale by concurrency or rps", value)
	default:
		r.faultf(key, "the class %q is not known; leave it out or use \"kpa.autoscaling.knative.dev\"", value)
	}
	if key, value, ok := r.get("metric-aggregation-algorithm"); ok && value != "linear" {
		r.faultf(key, "%q is not supported yet; leave it out or use \"linear\"", value)
	}
}

func (r *reader) metric() string {
	key, value, ok := r.get("metric")
	switch {
	case !ok, value == MetricConcurrency:
		return MetricConcurrency
	case value == MetricRPS:
		return MetricRPS
	case value == "cpu", value == "memory":
		r.faultf(key, "the metric %q needs the class \"hpa.autoscaling.knative.dev\", which is not supported yet; use \"concurrency\" or \"rps\"", value)
	default:
		r.faultf(key, "%q is no metric; use \"concurrency\" or \"rps\"", value)
	}
	return MetricConcurrency
}

func (r *reader) target(s *Settings, containerConcurrency int64, defaults Config) {
	otherwise := defaults.TargetConcurrency
	limit := float64(containerConcurrency)
	switch {
	case s.Metric == MetricRPS:
		otherwise = defaults.TargetRPS
	case containerConcurrency > 0:
		otherwise = limit
	}
	target := r.number("target", minTarget, math.Inf(1), otherwise)
	if s.Metric == MetricConcurrency && containerConcurrency > 0 {
		target = min(target, limit)
	}
	utilization := r.number("target-utilization-percentage", 1, 100, defaults.TargetUtilization*100) / 100 //nolint:mnd // percent
	s.Target = max(minTarget, target*utilization)
}

func (r *reader) bounds(s *Settings, defaults Config) {
	if s.Max > 0 && s.Min > s.Max {
		key, _, _ := r.get("min-scale")
		r.faultf(key, "min-scale (%d) is above max-scale (%d)", s.Min, s.Max)
		s.Min = s.Max
	}
	if limit := defaults.MaxScaleLimit; limit > 0 {
		key, _, _ := r.get("max-scale")
		if s.Max > limit {
			r.faultf(key, "max-scale (%d) is above this server's limit of %d", s.Max, limit)
		}
		if s.Max == 0 || s.Max > limit {
			s.Max = limit
		}
		s.Min = min(s.Min, s.Max)
	}
	if s.Max > 0 {
		s.Initial, s.Activation = min(s.Initial, s.Max), min(s.Activation, s.Max)
	}
}
