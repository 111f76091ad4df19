// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package mirror

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	kmetav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"

	authv1 "fairlead.dev/gen/go/fairlead/auth/v1"
	"fairlead.dev/gen/go/kinds"
	"fairlead.dev/services/internal/apierror"
	"fairlead.dev/services/internal/kube"
	"fairlead.dev/services/internal/reconcile"
	"fairlead.dev/services/internal/rpc"
	"fairlead.dev/services/internal/store"
)

// tryTimeout is how long the cluster may take to say whether it would accept a write.
const tryTimeout = 10 * time.Second

// Mirrored tells whether a role or binding asks to hold in the cluster as well.
func Mirrored(obj store.Object) bool {
	return obj != nil && obj.GetMetadata().GetAnnotations()[Annotation] == "true"
}

// Name is the name under which a role or binding of ours stands in the cluster: two installations have different ones, and
// none is that of a role of the cluster's own.
func (m *Mirror) Name(name string) string {
	return rpc.ClusterPrefix + m.deps.Kube.Installation() + ":" + name
}

// image returns what a role or binding is in the cluster.
func (m *Mirror) image(obj store.Object) (kube.Object, error) {
	meta := kmetav1.ObjectMeta{Namespace: obj.GetMetadata().GetNamespace(), Name: m.Name(obj.GetMetadata().GetName())}
	of := func(kind string) kmetav1.TypeMeta {
		return kmetav1.TypeMeta{APIVersion: rbacv1.SchemeGroupVersion.String(), Kind: kind}
	}
	switch o := obj.(type) {
	case *authv1.Role:
		return &rbacv1.Role{TypeMeta: of("Role"), ObjectMeta: meta, Rules: Rules(o.GetRules())}, nil
	case *authv1.ClusterRole:
		return &rbacv1.ClusterRole{TypeMeta: of("ClusterRole"), ObjectMeta: meta, Rules: Rules(o.GetRules())}, nil
	case *authv1.RoleBinding:
		return &rbacv1.RoleBinding{TypeMeta: of("RoleBinding"), ObjectMeta: meta, Subjects: subjects(o.GetSubjects()), RoleRef: m.role(o.GetRoleRef())}, nil
	case *authv1.ClusterRoleBinding:
		return &rbacv1.ClusterRoleBinding{TypeMeta: of("ClusterRoleBinding"), ObjectMeta: meta, Subjects: subjects(o.GetSubjects()), RoleRef: m.role(o.GetRoleRef())}, nil
	}
	return nil, fmt.Errorf("%T has no image in the cluster", obj)
}

// Rules returns rules in the type of Kubernetes' RBAC, whose schema they have.
func Rules(of []*authv1.PolicyRule) []rbacv1.PolicyRule {
	out := make([]rbacv1.PolicyRule, len(of))
	for i, r := range of {
		out[i] = rbacv1.PolicyRule{
			Verbs: r.GetVerbs(), APIGroups: r.GetApiGroups(), Resources: r.GetResources(),
			ResourceNames: r.GetResourceNames(), NonResourceURLs: r.GetNonResourceUrls(),
		}
	}
	return out
}

func subjects(of []*authv1.Subject) []rbacv1.Subject {
	out := make([]rbacv1.Subject, len(of))
	for i, s := range of {
		if s.GetKind() == rbacv1.ServiceAccountKind {
			out[i] = rbacv1.Subject{Kind: s.GetKind(), Namespace: s.GetNamespace(), Name: s.GetName()}
		} else {
			out[i] = rbacv1.Subject{Kind: s.GetKind(), APIGroup: rbacv1.GroupName, Name: rpc.ClusterPrefix + s.GetName()}
		}
	}
	return out
}

func (m *Mirror) role(ref *authv1.RoleRef) rbacv1.RoleRef {
	return rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: ref.GetKind(), Name: m.Name(ref.GetName())}
}

// Validate tells why a role or binding cannot hold in the cluster as well.
func Validate(obj store.Object) []apierror.Cause {
	value, ok := obj.GetMetadata().GetAnnotations()[Annotation]
	const at = "metadata.annotations[" + Annotation + "]"
	switch {
	case !ok:
		return nil
	case value != "true":
		return []apierror.Cause{apierror.Invalid(at, fmt.Sprintf("Invalid value: %q: it is \"true\", or absent", value))}
	}
	if r, ok := obj.(*authv1.ClusterRole); ok && r.GetAggregationRule() != nil {
		return []apierror.Cause{apierror.Invalid(at, "Invalid value: what a role gathers from others cannot be tried in the cluster when they change; mirror a role with rules of its own")}
	}
	var causes []apierror.Cause
	if b, ok := obj.(interface{ GetSubjects() []*authv1.Subject }); ok {
		for i, s := range b.GetSubjects() {
			if s.GetKind() != rbacv1.ServiceAccountKind && strings.HasPrefix(s.GetName(), "system:") {
				causes = append(causes, apierror.Invalid(fmt.Sprintf("subjects[%d].name", i),
					fmt.Sprintf("Invalid value: %q: the cluster knows no such name of ours; leave it out of bindings that are mirrored", s.GetName())))
			}
		}
	}
	return causes
}

// Try asks the cluster whether it would accept a role or binding from a caller, given by the names that it knows, and
// writes nothing. What does not change there is not asked about.
func (m *Mirror) Try(ctx context.Context, as rest.ImpersonationConfig, k kinds.Kind, obj, old store.Object) error {
	if !Mirrored(obj) {
		return nil
	}
	image, err := m.image(obj)
	if err != nil {
		return apierror.Internal(err)
	}
	if Mirrored(old) {
		if before, err := m.image(old); err == nil && equality.Semantic.DeepEqual(before, image) {
			return nil
		}
	}
	ctx, cancel := context.WithTimeout(ctx, tryTimeout)
	defer cancel()
	if b, ok := obj.(interface{ GetRoleRef() *authv1.RoleRef }); ok {
		if err := m.bringRole(ctx, k, obj, b.GetRoleRef()); err != nil {
			return err
		}
	}
	config := m.deps.Kube.Config()
	config.Impersonate = as
	client, err := dynamic.NewForConfig(config)
	if err != nil {
		return apierror.Internal(fmt.Errorf("auth: client in the caller's name: %w", err))
	}
	data, err := json.Marshal(image)
	if err != nil {
		return apierror.Internal(fmt.Errorf("auth: encode %s: %w", image.GetName(), err))
	}
	force := true
	_, err = client.Resource(m.resource(k)).Namespace(image.GetNamespace()).Patch(ctx, image.GetName(), types.ApplyPatchType, data,
		kmetav1.PatchOptions{FieldManager: fieldManager, Force: &force, DryRun: []string{kmetav1.DryRunAll}})
	return refused(k, obj, err)
}

// refused tells what the cluster does not accept.
func refused(k kinds.Kind, obj store.Object, err error) error {
	r := apierror.Resource{Group: k.Group, Plural: k.Plural, Kind: k.Kind}
	var status apierrors.APIStatus
	switch {
	case err == nil:
		return nil
	case errors.As(err, &status) && status.Status().Code >= 400 && status.Status().Code < 500 && status.Status().Code != 429:
		return apierror.Forbidden(r, obj.GetMetadata().GetName(), "%s %q is forbidden: it is to hold in the Kubernetes behind as well (annotation %s), which does not accept it from you: %s",
			r, obj.GetMetadata().GetName(), Annotation, status.Status().Message)
	}
	return apierror.Unavailable(time.Second,
		"%s %q is to hold in the Kubernetes behind as well (annotation %s), which does not answer; try again in a moment", r, obj.GetMetadata().GetName(), Annotation).Wrap(err)
}

// bringRole makes the role that a binding names known to the cluster, in the state that was accepted: it may be so new that
// its controller has not come to it yet.
func (m *Mirror) bringRole(ctx context.Context, k kinds.Kind, b store.Object, ref *authv1.RoleRef) error {
	kind, key := m.kinds.ClusterRole, store.Key{Name: ref.GetName()}
	if ref.GetKind() == m.kinds.Role.Kind {
		kind, key.Namespace = m.kinds.Role, b.GetMetadata().GetNamespace()
	}
	role, err := m.deps.Store.Get(ctx, kind, key)
	if err != nil && !apierror.IsNotFound(err) {
		return err //nolint:wrapcheck // an error of ours
	}
	if err != nil || !Mirrored(role) {
		return apierror.InvalidObject(apierror.Resource{Group: k.Group, Plural: k.Plural, Kind: k.Kind}, b.GetMetadata().GetName(), []apierror.Cause{
			apierror.Invalid("roleRef.name", fmt.Sprintf("Invalid value: %q: the role does not hold in the cluster; give it the annotation %s first", ref.GetName(), Annotation)),
		})
	}
	if err := m.apply(ctx, kind, role); err != nil {
		return refused(k, b, err)
	}
	return nil
}

// apply makes a role or binding in the cluster what it is here.
func (m *Mirror) apply(ctx context.Context, k kinds.Kind, obj store.Object) error {
	image, err := m.image(obj)
	if err != nil {
		return err
	}
	owner := kube.OwnerOf(k, obj.GetMetadata())
	_, err = m.deps.Kube.Apply(ctx, owner, image)
	if !apierrors.IsInvalid(err) {
		return err //nolint:wrapcheck // says it all
	}
	// The role of a binding cannot change: one that has another role is not the one that was accepted.
	if err := m.deps.Kube.Delete(ctx, m.resource(k), image.GetNamespace(), image.GetName(), ""); err != nil {
		return err //nolint:wrapcheck // says it all
	}
	if image, err = m.image(obj); err != nil {
		return err
	}
	_, err = m.deps.Kube.Apply(ctx, owner, image)
	return err //nolint:wrapcheck // says it all
}

// rights keeps roles, or bindings, in the cluster as they are here.
type rights struct {
	mirror *Mirror
	kind   kinds.Kind
}

type rightsRun struct {
	key store.Key
	obj store.Object
}

// Reconcile brings one role or binding closer to what it says.
func (r *rights) Reconcile(ctx context.Context, key store.Key) (reconcile.Result, error) {
	return reconcile.Steps(ctx, &rightsRun{key: key}, //nolint:wrapcheck // steps are named
		reconcile.Step[*rightsRun]{Name: "read", Run: r.read},
		reconcile.Step[*rightsRun]{Name: "apply", Run: r.apply},
	)
}

func (r *rights) read(ctx context.Context, s *rightsRun) (reconcile.Outcome, error) {
	holds := func(obj store.Object) bool { return stays(obj) && Mirrored(obj) }
	if obj, ok := r.mirror.deps.Store.Cache(r.kind).Get(s.key); ok && holds(obj) {
		s.obj = obj
		return reconcile.Go, nil
	}
	return reconcile.Done, r.mirror.prune(ctx, r.kind, s.key, holds)
}

func (r *rights) apply(ctx context.Context, s *rightsRun) (reconcile.Outcome, error) {
	return reconcile.Done, r.mirror.apply(ctx, r.kind, s.obj)
}
