// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package matrix

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	authv1 "fairlead.dev/gen/go/fairlead/auth/v1"
	metav1 "fairlead.dev/gen/go/fairlead/meta/v1"
)

// Target is the server that is called.
type Target struct {
	Conn *grpc.ClientConn
	// Admin is the token of an administrator.
	Admin string
	// Namespace and Other are two namespaces that exist.
	Namespace, Other string
	// Offline tells that the server has no cluster: it is enough that a call is let in.
	Offline bool
	// Ways are how else people come in than by tokens of ours.
	Ways []Way
	// Forgeries are how people want to come in as what they are not.
	Forgeries []Forgery
}

const (
	group       = "auth.fairlead.dev"
	tries       = 30 * time.Second
	setUpAtOnce = 8
	nobody      = "matrix-nobody"
)

// As is the context of a call with a token; empty for none.
func As(ctx context.Context, token string) context.Context {
	if token == "" {
		return ctx
	}
	return metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer "+token)
}

// Holder has one right: in the namespace, or elsewhere.
type Holder struct {
	// Here and Elsewhere are tokens.
	Here, Elsewhere string

	hereUser, elsewhereUser string
}

// People are tokens of everybody.
type People struct {
	target Target
	// Strangers are those whom nothing but open RPCs lets in, by what is wrong with their token.
	Strangers map[string]string
	// Nobody is a known caller without a right.
	Nobody string
	// Holders are those who have one right each.
	Holders map[Right]Holder

	made []func(context.Context) error
}

// Gather makes everybody that the rows need, and waits until the server knows them. The caller calls Leave.
func Gather(ctx context.Context, t Target, rows []Row) (*People, error) {
	p := &People{target: t, Holders: map[Right]Holder{}}
	var err error
	if p.Strangers, err = p.strangers(ctx); err != nil {
		return p, err
	}
	if p.Nobody, _, err = p.issue(ctx, &authv1.IssueRequest{User: nobody}); err != nil {
		return p, err
	}
	rights := map[Right]Holder{}
	for _, r := range rows {
		if r.Right != (Right{}) {
			rights[r.Right] = Holder{}
		}
	}
	type made struct {
		right  Right
		holder Holder
		undo   []func(context.Context) error
	}
	results := make(chan made, len(rights))
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(setUpAtOnce)
	n := 0
	for right := range rights {
		n++
		name := fmt.Sprintf("matrix-%s-%d", p.target.Namespace, n)
		g.Go(func() error {
			m := made{right: right}
			var err error
			m.holder, m.undo, err = p.holder(gctx, name, right)
			results <- m
			return err
		})
	}
	err = g.Wait()
	close(results)
	for m := range results {
		p.Holders[m.right] = m.holder
		p.made = append(p.made, m.undo...)
	}
	return p, err
}

// Leave removes what Gather made.
func (p *People) Leave(ctx context.Context) error {
	ctx = As(ctx, p.target.Admin)
	var errs []error
	for _, undo := range p.made {
		if err := undo(ctx); err != nil && status.Code(err) != codes.NotFound {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// issue has the administrator make a token.
func (p *People) issue(ctx context.Context, r *authv1.IssueRequest) (token, id string, err error) {
	made, err := authv1.NewTokenServiceClient(p.target.Conn).Issue(As(ctx, p.target.Admin), r)
	if err != nil {
		return "", "", fmt.Errorf("issue a token for %s: %w", r.GetUser(), err)
	}
	return made.GetToken(), made.GetId(), nil
}

// strangers makes tokens that each have something wrong, and otherwise every right there is.
func (p *People) strangers(ctx context.Context) (map[string]string, error) {
	admin := func(change func(*authv1.IssueRequest)) (token, id string, err error) {
		r := &authv1.IssueRequest{User: "matrix-admin", Groups: []string{"admins"}}
		change(r)
		return p.issue(ctx, r)
	}
	expired, _, err := admin(func(r *authv1.IssueRequest) { r.ExpirationSeconds = 1 })
	if err != nil {
		return nil, err
	}
	revoked, id, err := admin(func(*authv1.IssueRequest) {})
	if err != nil {
		return nil, err
	}
	tokens := authv1.NewTokenServiceClient(p.target.Conn)
	if _, err := tokens.Revoke(As(ctx, p.target.Admin), &authv1.RevokeRequest{Id: id}); err != nil {
		return nil, fmt.Errorf("revoke: %w", err)
	}
	audience, _, err := admin(func(r *authv1.IssueRequest) { r.Audiences = []string{"elsewhere"} })
	if err != nil {
		return nil, err
	}
	valid, _, err := admin(func(*authv1.IssueRequest) {})
	if err != nil {
		return nil, err
	}
	out, err := forgeries(valid)
	if err != nil {
		return nil, err
	}
	out["none"], out["revoked"], out["wrong audience"], out["expired"] = "", revoked, audience, expired
	for _, token := range []string{revoked, expired} {
		err := eventually(ctx, func() (bool, error) {
			_, err := tokens.WhoAmI(As(ctx, token), &authv1.WhoAmIRequest{})
			return status.Code(err) == codes.Unauthenticated, nil
		})
		if err != nil {
			return nil, fmt.Errorf("a token that was revoked, or has expired, is taken: %w", err)
		}
	}
	return out, nil
}

// forgeries makes tokens out of a good one, none of which is good.
func forgeries(valid string) (map[string]string, error) {
	parts := strings.Split(valid, ".")
	if len(parts) != 3 {
		return nil, errors.New("a token is no JWT")
	}
	encode := base64.RawURLEncoding.EncodeToString
	signature, err := base64.RawURLEncoding.DecodeString(parts[2])
	if err != nil {
		return nil, fmt.Errorf("a token's signature: %w", err)
	}
	signature[0] ^= 1
	_, stranger, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("make a key: %w", err)
	}
	var claims map[string]any
	payload, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err == nil {
		err = json.Unmarshal(payload, &claims)
	}
	if err != nil {
		return nil, fmt.Errorf("a token's claims: %w", err)
	}
	claims["sub"] = "admin"
	altered, err := json.Marshal(claims)
	if err != nil {
		return nil, fmt.Errorf("alter claims: %w", err)
	}
	signed := parts[0] + "." + parts[1]
	return map[string]string{
		"forged: no signature":      encode([]byte(`{"alg":"none","typ":"JWT"}`)) + "." + parts[1] + ".",
		"forged: a bit flipped":     signed + "." + encode(signature),
		"forged: another key":       signed + "." + encode(ed25519.Sign(stranger, []byte(signed))),
		"forged: altered claims":    parts[0] + "." + encode(altered) + "." + parts[2],
		"forged: symmetric, by key": encode([]byte(`{"alg":"HS256","typ":"JWT"}`)) + "." + parts[1] + "." + parts[2],
		"forged: no token":          "matrix",
	}, nil
}

// holder makes two users with one right: one in the namespace, or everywhere where it has none; one in the other
// namespace.
func (p *People) holder(ctx context.Context, name string, right Right) (Holder, []func(context.Context) error, error) {
	t := p.target
	admin := As(ctx, t.Admin)
	roles, everywhere := authv1.NewClusterRoleServiceClient(t.Conn), authv1.NewClusterRoleBindingServiceClient(t.Conn)
	inOne := authv1.NewRoleBindingServiceClient(t.Conn)
	undo := []func(context.Context) error{
		func(ctx context.Context) error {
			_, err := roles.Delete(ctx, &metav1.DeleteRequest{Name: name})
			return err
		},
	}
	verbs := []string{right.Verb}
	if right.Also != "" {
		verbs = append(verbs, right.Also)
	}
	_, err := roles.Create(admin, &authv1.ClusterRoleServiceCreateRequest{Object: &authv1.ClusterRole{
		Metadata: &metav1.ObjectMeta{Name: name},
		Rules:    []*authv1.PolicyRule{{Verbs: verbs, ApiGroups: []string{right.Group}, Resources: []string{right.Resource}}},
	}})
	if err != nil {
		return Holder{}, undo, fmt.Errorf("role for %+v: %w", right, err)
	}
	subject := func(user string) []*authv1.Subject {
		out := []*authv1.Subject{{Kind: "User", ApiGroup: group, Name: user}}
		for _, w := range t.Ways {
			if w.Prefix != "" {
				out = append(out, &authv1.Subject{Kind: "User", ApiGroup: group, Name: w.Prefix + user})
			}
		}
		return out
	}
	role := &authv1.RoleRef{Kind: "ClusterRole", ApiGroup: group, Name: name}
	bindIn := func(namespace, user string) error {
		_, err := inOne.Create(admin, &authv1.RoleBindingServiceCreateRequest{Object: &authv1.RoleBinding{
			Metadata: &metav1.ObjectMeta{Namespace: namespace, Name: name}, Subjects: subject(user), RoleRef: role,
		}})
		undo = append(undo, func(ctx context.Context) error {
			_, err := inOne.Delete(ctx, &metav1.DeleteRequest{Namespace: namespace, Name: name})
			return err
		})
		return err
	}
	here, elsewhere := name+"-here", name+"-elsewhere"
	if right.Namespaced {
		err = bindIn(t.Namespace, here)
	} else {
		_, err = everywhere.Create(admin, &authv1.ClusterRoleBindingServiceCreateRequest{Object: &authv1.ClusterRoleBinding{
			Metadata: &metav1.ObjectMeta{Name: name}, Subjects: subject(here), RoleRef: role,
		}})
		undo = append(undo, func(ctx context.Context) error {
			_, err := everywhere.Delete(ctx, &metav1.DeleteRequest{Name: name})
			return err
		})
	}
	if err := errors.Join(err, bindIn(t.Other, elsewhere)); err != nil {
		return Holder{}, undo, fmt.Errorf("binding for %+v: %w", right, err)
	}
	h := Holder{hereUser: here, elsewhereUser: elsewhere}
	if h.Here, _, err = p.issue(ctx, &authv1.IssueRequest{User: here}); err != nil {
		return h, undo, err
	}
	if h.Elsewhere, _, err = p.issue(ctx, &authv1.IssueRequest{User: elsewhere}); err != nil {
		return h, undo, err
	}
	namespace := ""
	if right.Namespaced {
		namespace = t.Namespace
	}
	return h, undo, errors.Join(p.known(ctx, h.Here, right, namespace), p.known(ctx, h.Elsewhere, right, t.Other))
}

// known waits until the server knows that a token's holder has a right in a namespace.
func (p *People) known(ctx context.Context, token string, right Right, namespace string) error {
	resource, subresource, _ := strings.Cut(right.Resource, "/")
	err := eventually(ctx, func() (bool, error) {
		r, err := authv1.NewAccessServiceClient(p.target.Conn).Review(As(ctx, token), &authv1.ReviewRequest{
			Verb: right.Verb, Group: right.Group, Resource: resource, Subresource: subresource, Namespace: namespace,
		})
		if err != nil {
			return false, fmt.Errorf("review: %w", err)
		}
		return r.GetAllowed(), nil
	})
	if err != nil {
		return fmt.Errorf("%+v in %q is not given: %w", right, namespace, err)
	}
	return nil
}

// eventually asks until it is so.
func eventually(ctx context.Context, is func() (bool, error)) error {
	ctx, cancel := context.WithTimeout(ctx, tries)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		if so, err := is(); so || err != nil {
			return err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("not within %s", tries)
		}
	}
}
