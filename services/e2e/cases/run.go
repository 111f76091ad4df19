// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package cases

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	kmetav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	authv1 "fairlead.dev/gen/go/fairlead/auth/v1"
	"fairlead.dev/gen/go/kinds"
	"fairlead.dev/services/internal/wire"
)

// limit is how long one step may take, and how long it is asked again for what comes about in the end.
const limit = 20 * time.Second

// Runner replays cases on one server.
type Runner struct {
	suite *Suite
	url   string
	conn  grpc.ClientConnInterface
	admin string
	// prefix tells the names of this runner's cases from those of another on the same server.
	prefix string
	count  atomic.Int64

	mu     sync.Mutex
	tokens map[string]string
}

// NewRunner makes a runner of a suite on the server whose front door is at url, to which conn leads, and that has an
// administrator with the token admin.
func NewRunner(suite *Suite, url string, conn grpc.ClientConnInterface, admin string) *Runner {
	return &Runner{suite: suite, url: url, conn: conn, admin: admin, prefix: strings.ToLower(rand.Text()[:5]), tokens: map[string]string{}}
}

// Replay is one way of replaying a case.
type Replay struct {
	// Name tells it from all others.
	Name string
	// Run returns what was not as expected, each with file, case and step.
	Run func(ctx context.Context) error
}

// Replays returns all ways of replaying the suite.
func (r *Runner) Replays() []Replay {
	var out []Replay
	for _, f := range r.suite.Files {
		for _, c := range f.Cases {
			ks, _ := r.suite.kindsOf(c) // checked when it was loaded
			for _, k := range ks {
				for _, way := range ways(c, Step{}) {
					name := strings.TrimSuffix(f.Name, ".yaml") + "/" + c.Name
					if k.Kind != "" {
						name += "/" + k.Kind
					}
					out = append(out, Replay{Name: name + "/" + way, Run: func(ctx context.Context) error { return r.run(ctx, f, c, k, way) }})
				}
			}
		}
	}
	return out
}

// call is one request, however it is sent.
type call struct {
	step            Step
	verb            verb
	kind            kinds.Kind
	namespace, name string
	options         map[string]any
	body            any
	// text is the body as it is, in place of body.
	text, contentType, token, query string
}

// answer is what came of it, however it was sent.
type answer struct {
	http     int
	code     codes.Code
	status   *kmetav1.Status
	object   any
	events   []any
	ended    bool
	warnings []string
	header   http.Header
	text     string
}

// path is that of the object, or of all of its kind.
func (c call) path() string {
	p := collection(c.kind, c.namespace)
	if c.verb.named {
		p += "/" + c.name
	}
	if c.verb.subresource != "" {
		p += "/" + c.verb.subresource
	}
	return p
}

func collection(k kinds.Kind, namespace string) string {
	p := "/apis/" + k.APIVersion()
	if namespace != "" {
		p += "/namespaces/" + namespace
	}
	return p + "/" + k.Plural
}

type transport interface {
	send(ctx context.Context, c call) (answer, error)
}

func (r *Runner) run(ctx context.Context, f File, c Case, k kinds.Kind, way string) error {
	id := r.count.Add(1)
	vars := variables{"name": fmt.Sprintf("c%s%d", r.prefix, id), "namespace": fmt.Sprintf("n%s%d", r.prefix, id)}
	maps.Copy(vars, about(k, vars["namespace"]))
	var t transport = rest{url: r.url, yaml: way == OverYAML}
	if way == OverGRPC {
		t = calls{r.conn}
	}
	for i, step := range c.Steps {
		if !slices.Contains(ways(c, step), way) {
			continue
		}
		if err := r.step(ctx, t, way, step, k, vars); err != nil {
			about := fmt.Sprintf("%s: %q: step %d (%s)", f.Name, c.Name, i+1, step.Do)
			if k.Kind != "" {
				about += " of a " + k.Kind
			}
			return fmt.Errorf("%s over %s:\n%w", about, way, err)
		}
	}
	return nil
}

// about is what a case can say of its kind, if it has one.
func about(k kinds.Kind, namespace string) variables {
	if k.Kind == "" {
		return nil
	}
	if !k.Namespaced {
		namespace = ""
	}
	return variables{
		"kind": k.Kind, "plural": k.Plural, "group": k.Group, "version": k.Version, "apiVersion": k.APIVersion(),
		"namespace": namespace, "path": collection(k, namespace),
	}
}

// step asks once, or until the answer is right.
func (r *Runner) step(ctx context.Context, t transport, way string, step Step, k kinds.Kind, vars variables) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	if step.Kind != "" || step.Version != "" {
		if step.Kind == "" {
			step.Kind = k.Kind + "." + k.Group
		}
		k, _ = kindNamed(step.Kind, step.Version) // checked when it was loaded
	}
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		c, err := r.call(ctx, step, k, vars)
		if err != nil {
			return err
		}
		a, err := t.send(ctx, c)
		if err != nil {
			return err
		}
		faults, err := c.compare(a, way, vars)
		if err != nil {
			return err
		}
		if len(faults) == 0 {
			return save(step, a, vars)
		}
		if !step.Eventually || ctx.Err() != nil {
			return errors.New(strings.Join(faults, "\n"))
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return errors.New(strings.Join(faults, "\n"))
		}
	}
}

func save(step Step, a answer, vars variables) error {
	for _, name := range slices.Sorted(maps.Keys(step.Save)) {
		v := at(a.object, step.Save[name])
		if v == nil {
			return fmt.Errorf("cases: the answer has no %s to save", step.Save[name])
		}
		vars[name] = fmt.Sprint(v)
	}
	return nil
}

// call makes the request of a step.
func (r *Runner) call(ctx context.Context, step Step, k kinds.Kind, vars variables) (call, error) {
	c := call{step: step, verb: verbs[step.Do], kind: k, namespace: vars["namespace"], name: vars["name"], options: map[string]any{}}
	for _, given := range []struct {
		from *string
		to   *string
	}{{step.Namespace, &c.namespace}, {step.Name, &c.name}} {
		if given.from == nil {
			continue
		}
		var err error
		if *given.to, err = vars.text(*given.from); err != nil {
			return c, err
		}
	}
	if step.Namespace == nil && k.Kind != "" && !k.Namespaced {
		c.namespace = ""
	}
	options, err := vars.document(step.Options)
	if err != nil {
		return c, err
	}
	if o, ok := options.(map[string]any); ok {
		c.options = o
	}
	for _, given := range []*string{&c.step.Path, &c.step.RPC} {
		if *given, err = vars.text(*given); err != nil {
			return c, err
		}
	}
	if c.step.Headers, err = vars.headers(step.Headers); err != nil {
		return c, err
	}
	if err := r.content(&c, vars); err != nil {
		return c, err
	}
	c.token, err = r.token(ctx, step.As, vars["name"])
	return c, err
}

func (vs variables) headers(in map[string]string) (map[string]string, error) {
	out := make(map[string]string, len(in))
	for name, v := range in {
		var err error
		if out[name], err = vs.text(v); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// content makes the body of a call.
func (r *Runner) content(c *call, vars variables) error {
	short := map[string]string{"json": wire.ContentTypeJSONPatch, "merge": wire.ContentTypeMergePatch, "apply": wire.ContentTypeApply}
	c.contentType = c.step.Type
	if long, ok := short[c.step.Type]; ok {
		c.contentType = long
	}
	var err error
	if c.text, err = vars.text(c.step.Text); err != nil || c.text != "" {
		return err
	}
	if len(c.step.Object) > 0 {
		c.body, err = vars.document(c.step.Object)
		return err
	}
	with, err := vars.document(c.step.With)
	if err != nil || !c.verb.body {
		return err
	}
	sample, ok := r.suite.Objects[c.kind.Kind]
	if !ok {
		return fmt.Errorf("cases: %s has no %s", objectsFile, c.kind.Kind)
	}
	change, err := vars.document(sample.Change)
	if err != nil {
		return err
	}
	if c.step.Change && strings.HasPrefix(c.contentType, wire.ContentTypeMergePatch) {
		c.body = change
		return nil
	}
	if c.body, err = vars.document(sample.Object); err != nil {
		return err
	}
	about := map[string]any{"apiVersion": c.kind.APIVersion(), "kind": c.kind.Kind, "metadata": map[string]any{"name": c.name}}
	if c.namespace != "" {
		about["metadata"] = map[string]any{"name": c.name, "namespace": c.namespace}
	}
	c.body = merge(c.body, about)
	if c.step.Change {
		c.body = merge(c.body, change)
	}
	if with != nil {
		c.body = merge(c.body, with)
	}
	return nil
}

// token returns the token of whoever asks.
func (r *Runner) token(ctx context.Context, as, name string) (string, error) {
	switch as {
	case "", "admin":
		return r.admin, nil
	case "none":
		return "", nil
	case "garbage":
		return "garbage", nil
	}
	user := as + "-" + name
	r.mu.Lock()
	token, ok := r.tokens[user]
	r.mu.Unlock()
	if ok {
		return token, nil
	}
	ctx = metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer "+r.admin)
	made, err := authv1.NewTokenServiceClient(r.conn).Issue(ctx, &authv1.IssueRequest{User: user})
	if err != nil {
		return "", fmt.Errorf("cases: a token for %s: %w", user, err)
	}
	r.mu.Lock()
	r.tokens[user] = made.GetToken()
	r.mu.Unlock()
	return made.GetToken(), nil
}
