// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package process

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"time"

	"github.com/spf13/pflag"
)

// Flags are the flags of a process. Parts that ask for the same flag share it, so that the same name means the same in
// every binary.
type Flags struct {
	set       *pflag.FlagSet
	known     map[string]any
	addresses []*Address
}

func newFlags(set *pflag.FlagSet) *Flags { return &Flags{set: set, known: map[string]any{}} }

// flag returns what a flag sets, bound by the first who asks for it.
func flag[T any](f *Flags, name, usage string, value T, bind func(p *T, name string, value T, usage string)) *T {
	if v, ok := f.known[name].(*T); ok {
		return v
	}
	p := new(T)
	bind(p, name, value, usage)
	f.known[name] = p
	return p
}

// String returns the value of a flag.
func (f *Flags) String(name, value, usage string) *string {
	return flag(f, name, usage, value, f.set.StringVar)
}

// Strings returns the values of a flag that may be repeated, or hold several with commas between them.
func (f *Flags) Strings(name, usage string) *[]string {
	return flag(f, name, usage, nil, f.set.StringSliceVar)
}

// Bool returns the value of a flag.
func (f *Flags) Bool(name string, usage string) *bool {
	return flag(f, name, usage, false, f.set.BoolVar)
}

// Int returns the value of a flag.
func (f *Flags) Int(name string, value int, usage string) *int {
	return flag(f, name, usage, value, f.set.IntVar)
}

// Float returns the value of a flag.
func (f *Flags) Float(name string, value float64, usage string) *float64 {
	return flag(f, name, usage, value, f.set.Float64Var)
}

// Duration returns the value of a flag.
func (f *Flags) Duration(name string, value time.Duration, usage string) *time.Duration {
	return flag(f, name, usage, value, f.set.DurationVar)
}

// Rule is what holds for an address.
type Rule int

// The rules of addresses.
const (
	// Needed addresses must not be empty.
	Needed Rule = iota
	// Loopback addresses are for this machine only, since there is no TLS at them.
	Loopback
	// PodNetwork addresses are reached by pods: an IP address of this machine, not all of them.
	PodNetwork
)

// Address is a host:port that a flag names. Some part may listen there; others may only need to know it.
type Address struct {
	flag     string
	value    string
	rules    []Rule
	open     bool
	certify  bool
	listener net.Listener
}

// Address returns the address that a flag names.
func (f *Flags) Address(name, value, usage string, rules ...Rule) *Address {
	if a, ok := f.known[name].(*Address); ok {
		return a
	}
	a := &Address{flag: name, rules: rules}
	f.set.StringVar(&a.value, name, value, usage)
	f.known[name] = a
	f.addresses = append(f.addresses, a)
	return a
}

// Listen has the process listen at the address, before any part is opened.
func (a *Address) Listen() *Address {
	a.open = true
	return a
}

// Certify has the process's certificate be for the address too.
func (a *Address) Certify() *Address {
	a.certify = true
	return a
}

// Everywhere tells whether it is not one address of this machine but all of them.
func (a *Address) Everywhere() bool {
	ip := net.ParseIP(a.Host())
	return !a.Empty() && (a.Host() == "" || ip != nil && ip.IsUnspecified())
}

// Listener returns the listener, or nil where the address is empty or nobody listens there.
func (a *Address) Listener() net.Listener { return a.listener }

// Empty tells whether there is no address.
func (a *Address) Empty() bool { return a.value == "" }

// String returns the address as it was told, with the port that was found where any would do.
func (a *Address) String() string {
	if a.listener != nil {
		return a.listener.Addr().String()
	}
	return a.value
}

// Host returns the host as it was told: empty, or unspecified, where the listener listens everywhere.
func (a *Address) Host() string {
	host, _, err := net.SplitHostPort(a.value)
	if err != nil {
		return ""
	}
	return host
}

// Port returns the port, or 0 where there is none.
func (a *Address) Port() int {
	_, port, err := net.SplitHostPort(a.String())
	if err != nil {
		return 0
	}
	n, err := strconv.Atoi(port)
	if err != nil {
		return 0
	}
	return n
}

// Reachable returns the address at which this machine reaches it: loopback where it listens everywhere.
func (a *Address) Reachable() string {
	host, port, err := net.SplitHostPort(a.String())
	if ip := net.ParseIP(host); err == nil && (host == "" || ip != nil && ip.IsUnspecified()) {
		return net.JoinHostPort("127.0.0.1", port)
	}
	return a.String()
}

// OnLoopback tells whether the address can be reached from this machine only.
func (a *Address) OnLoopback() bool {
	host := a.Host()
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

func (a *Address) validate(f *Faults) {
	if a.value == "" {
		if slices.Contains(a.rules, Needed) {
			f.Addf(a.flag, "is empty; write host:port")
		}
		return
	}
	if _, _, err := net.SplitHostPort(a.value); err != nil {
		f.Addf(a.flag, "is %q; write host:port", a.value)
		return
	}
	if slices.Contains(a.rules, Loopback) && !a.OnLoopback() {
		f.Addf(a.flag, "is %q; without TLS only loopback is allowed, such as 127.0.0.1:8080", a.value)
	}
	if ap, err := netip.ParseAddrPort(a.value); slices.Contains(a.rules, PodNetwork) && (err != nil || ap.Addr().IsUnspecified()) {
		f.Addf(a.flag, "is %q; write the IP address by which pods reach this machine, and a port, such as 10.244.0.1:8000", a.value)
	}
}

func (a *Address) listen(ctx context.Context) error {
	if !a.open || a.value == "" {
		return nil
	}
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", a.value)
	if err != nil {
		return fmt.Errorf("--%s %s: %w; end what listens there, or choose another port", a.flag, a.value, err)
	}
	a.listener = l
	return nil
}

func (a *Address) close() error {
	if err := a.listener.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
		return fmt.Errorf("close %s: %w", a.value, err)
	}
	return nil
}

// Faults collects everything that is wrong with the flags.
type Faults struct{ errs []error }

// Addf says what is wrong with a flag, and how to mend it.
func (f *Faults) Addf(flag, format string, args ...any) {
	f.errs = append(f.errs, fmt.Errorf("--%s %s", flag, fmt.Sprintf(format, args...)))
}

// Err returns all faults in one error, or nil.
func (f *Faults) Err() error { return errors.Join(f.errs...) }
