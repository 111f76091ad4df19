// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"cmp"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/grpc"

	authv1 "fairlead.dev/gen/go/fairlead/auth/v1"
	"fairlead.dev/services/fairlead/cli/session"
	"fairlead.dev/services/internal/apierror"
)

// login is what `fairlead login` was told.
type login struct {
	*options

	token            string
	device           bool
	issuer, clientID string
	issuerCA, secret string // files
	scopes           []string
	port             int
	patience         time.Duration
}

func newLogin(o *options) *cobra.Command {
	l := &login{options: o}
	cmd := &cobra.Command{
		Use:   "login [--device] [--token -] [flags]",
		Short: "Sign in to a server, in a browser or by a token",
		Long: `Sign in to a server. Which OpenID Connect issuers it believes it tells itself; with one of them, sign in in a browser:
the command prints the page to open, and waits for the browser to come back to a port of this machine. With --device the
browser may be anywhere. With --token - a token is read from the standard input instead.

How one is signed in is kept in $FAIRLEAD_CONFIG, else ~/.config/fairlead/config, for oneself alone. Tokens of issuers are
renewed by themselves, as long as the issuer does.`,
		Example: `  # Sign in, and find out who one is
  fairlead login --server fairlead.example:9090
  fairlead whoami

  # On a machine without a browser
  fairlead login --device

  # With a token that somebody issued
  fairlead login --token - < token`,
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, args []string) error {
			switch {
			case len(args) > 0:
				return usage(cmd, "login takes no arguments, got %q", args[0])
			case l.token != "" && l.token != "-":
				return usage(cmd, "--token is - only: a token on the command line is seen by others; write it to the standard input")
			case l.token != "" && (l.device || l.issuer != "" || l.clientID != ""):
				return usage(cmd, "--token excludes --device, --issuer-url and --client-id: there is nobody to ask for one")
			}
			return l.run(cmd.Context())
		},
	}
	f := cmd.Flags()
	f.StringVar(&l.token, "token", "", "- reads a token from the standard input, instead of signing in at an issuer")
	f.BoolVar(&l.device, "device", false, "sign in with a browser that is elsewhere, by a code")
	f.StringVar(&l.issuer, "issuer-url", "", "issuer to sign in at (default: the one that the server believes)")
	f.StringVar(&l.clientID, "client-id", "", "client that the issuer knows (default: the first audience that the server wants)")
	f.StringVar(&l.secret, "client-secret-file", "", "file with the client's secret, for issuers that want one")
	f.StringVar(&l.issuerCA, "issuer-ca-file", "", "file with the certificates, in PEM, by which the issuer is known (default: as the server tells)")
	f.StringSliceVar(&l.scopes, "scope", nil, "scopes to ask for beside the usual ones")
	f.IntVar(&l.port, "callback-port", 0, "port of this machine to which the browser comes back; 0 means any")
	f.DurationVar(&l.patience, "timeout", 5*time.Minute, "how long to wait for the browser")
	return cmd
}

func (l *login) run(ctx context.Context) error {
	address, err := l.address()
	if err != nil {
		return err
	}
	told, err := l.ask(ctx)
	if err != nil {
		return err
	}
	s := &session.Session{URL: told.GetUrl(), CA: told.GetCertificateAuthority()}
	var value string
	if l.token == "-" {
		t, err := readTokenFrom(l.streams.In, "the standard input")
		if err != nil {
			return err
		}
		s.Token, value = t.value, t.value
	} else {
		if s.Grant, err = l.grant(ctx, told); err != nil {
			return err
		}
		value = s.Grant.IDToken
	}
	who, err := l.whoIs(ctx, token{value: value, source: "signing in"})
	if err != nil {
		return err
	}
	path, err := session.Path()
	if err != nil {
		return err //nolint:wrapcheck // says it all
	}
	if err := session.Locked(path, func(f *session.File) error { f.Put(address, s); return nil }); err != nil {
		return err //nolint:wrapcheck // names the file
	}
	fmt.Fprintf(l.streams.Out, "Signed in to %s as %s.\n", address, plain(who.GetUser()))
	return nil
}

// ask has the server tell where to sign in.
func (o *options) ask(ctx context.Context) (*authv1.SignInResponse, error) {
	conn, err := o.dial(false)
	if err != nil {
		return nil, err
	}
	defer func() { _ = conn.Close() }()
	res, err := authv1.NewTokenServiceClient(conn).SignIn(ctx, &authv1.SignInRequest{})
	return res, fromServerError(err)
}

// whoIs has the server tell whom a token stands for.
func (o *options) whoIs(ctx context.Context, t token) (*authv1.WhoAmIResponse, error) {
	conn, err := o.dialAs(&t)
	if err != nil {
		return nil, err
	}
	defer func() { _ = conn.Close() }()
	res, err := authv1.NewTokenServiceClient(conn).WhoAmI(ctx, &authv1.WhoAmIRequest{})
	return res, fromServerError(err)
}

// grant signs in at an issuer.
func (l *login) grant(ctx context.Context, told *authv1.SignInResponse) (*session.Grant, error) {
	g, err := l.client(told)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, l.patience, fmt.Errorf("it took longer than --timeout %s", l.patience))
	defer cancel()
	c, err := session.NewClient(ctx, g, l.scopes...)
	if err != nil {
		return nil, fmt.Errorf("sign in: %w", err)
	}
	if l.device {
		out, err := c.Device(ctx, func(page, code string) {
			if code == "" {
				fmt.Fprintf(l.streams.Err, "Open this page in any browser to sign in:\n\n    %s\n\n", plain(page))
				return
			}
			fmt.Fprintf(l.streams.Err, "Open this page in any browser, and enter the code %s to sign in:\n\n    %s\n\n", plain(code), plain(page))
		})
		return out, l.failed(err)
	}
	out, err := c.Browser(ctx, l.port, func(page string) {
		fmt.Fprintf(l.streams.Err, "Open this page in a browser on this machine to sign in:\n\n    %s\n\n", plain(page))
	})
	return out, l.failed(err)
}

func (*login) failed(err error) error {
	if err != nil {
		return fmt.Errorf("sign in: %w", err)
	}
	return nil
}

// client is the client that signs in: as the flags say, and for the rest as the server tells.
func (l *login) client(told *authv1.SignInResponse) (session.Grant, error) {
	var known *authv1.SignInIssuer
	var names []string
	for _, one := range told.GetIssuers() {
		names = append(names, one.GetUrl())
		if l.issuer == "" || l.issuer == one.GetUrl() {
			known = one
		}
	}
	switch {
	case l.issuer == "" && len(names) == 0:
		return session.Grant{}, errors.New("the server believes no OpenID Connect issuer; sign in with a token: fairlead login --token -")
	case l.issuer == "" && len(names) > 1:
		return session.Grant{}, fmt.Errorf("the server believes several issuers; name one with --issuer-url: %s", plain(strings.Join(names, ", ")))
	}
	g := session.Grant{Issuer: cmp.Or(l.issuer, known.GetUrl()), ClientID: l.clientID}
	if g.ClientID == "" && len(known.GetAudiences()) > 0 {
		g.ClientID = known.GetAudiences()[0]
	}
	if g.ClientID == "" {
		return session.Grant{}, errors.New("the server does not know this issuer; name the client with --client-id")
	}
	ca := []byte(known.GetCertificateAuthority())
	for _, file := range []struct {
		flag, path string
		take       func([]byte)
	}{
		{"--issuer-ca-file", l.issuerCA, func(data []byte) { ca = data }},
		{"--client-secret-file", l.secret, func(data []byte) { g.ClientSecret = strings.TrimSpace(string(data)) }},
	} {
		if file.path == "" {
			continue
		}
		data, err := os.ReadFile(file.path)
		if err != nil {
			return session.Grant{}, fmt.Errorf("%s: %w", file.flag, err)
		}
		file.take(data)
	}
	g.IssuerCA = base64.StdEncoding.EncodeToString(ca)
	return g, nil
}

func newLogout(o *options) *cobra.Command {
	return &cobra.Command{
		Use:   "logout [flags]",
		Short: "Forget how one is signed in to a server",
		Long: `Forget how one is signed in to a server, and its tokens. The tokens themselves hold until they expire; those that the
server issued end at once with "fairlead token revoke".`,
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				return usage(cmd, "logout takes no arguments, got %q", args[0])
			}
			address, err := o.address()
			if err != nil {
				return err
			}
			path, err := session.Path()
			if err != nil {
				return err //nolint:wrapcheck // says it all
			}
			was := false
			if err := session.Locked(path, func(f *session.File) error { was = f.Remove(address); return nil }); err != nil {
				return err //nolint:wrapcheck // names the file
			}
			if !was {
				fmt.Fprintf(o.streams.Out, "Not signed in to %s.\n", address)
				return nil
			}
			fmt.Fprintf(o.streams.Out, "Signed out of %s.\n", address)
			return nil
		},
	}
}

// fromServerError gives an error of the server its form.
func fromServerError(err error) error {
	if err == nil {
		return nil
	}
	if _, ok := asPeerError(err); ok {
		return err
	}
	return apierror.FromStatus(err)
}

// ofServer makes one call of a service as the caller, and gives its error its form.
func ofServer[C, R any](o *options, client func(grpc.ClientConnInterface) C, call func(C) (R, error)) (R, error) {
	conn, err := o.dial(true)
	if err != nil {
		var none R
		return none, err
	}
	defer func() { _ = conn.Close() }()
	res, err := call(client(conn))
	return res, fromServerError(err)
}
