// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package managed_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	metav1 "fairlead.dev/gen/go/fairlead/meta/v1"
	servingv1 "fairlead.dev/gen/go/fairlead/serving/v1"
	"fairlead.dev/services/internal/apierror"
	"fairlead.dev/services/internal/codec"
	"fairlead.dev/services/internal/managed"
)

// write is one write of a manager.
type write struct {
	manager string
	// apply is what is applied; update what the object becomes, of which metadata may be left out.
	apply, update string
	status, force bool
	// fails is in the error, if there is to be one, and causes are its causes.
	fails  string
	causes []string
}

// service is a Service with parts of a spec and of a status.
func service(spec, status string) string {
	out := `{"apiVersion":"serving.knative.dev/v1","kind":"Service","metadata":{"name":"web"}`
	if spec != "" {
		out += `,"spec":` + spec
	}
	if status != "" {
		out += `,"status":` + status
	}
	return out + "}"
}

func container(fields string) string {
	return service(`{"template":{"spec":{"containers":[{"name":"main",`+fields+`}]}}}`, "")
}

// run makes the writes to an object, one after another.
func run(t *testing.T, tr *managed.Tracker, writes []write) *servingv1.Service {
	t.Helper()
	var live *servingv1.Service
	for i, w := range writes {
		by := managed.Write{Manager: w.manager, Status: w.status, Force: w.force}
		next := &servingv1.Service{}
		data := []byte(w.update)
		if w.apply != "" {
			data = []byte(w.apply)
		}
		if _, err := codec.Unmarshal(data, next, codec.Options{Strict: true}); err != nil {
			t.Fatal(err)
		}
		var current managed.Object
		if live != nil {
			current = live
			next.Metadata.Uid = live.GetMetadata().GetUid()
		}
		var err error
		if w.apply != "" {
			next, err = apply(tr, current, next, data, by)
		} else {
			err = tr.Update(current, next, by)
		}
		check(t, i, w, err)
		if err == nil {
			live = next
			live.Metadata.Uid = "u"
		}
	}
	return live
}

func apply(tr *managed.Tracker, live, said managed.Object, data []byte, by managed.Write) (*servingv1.Service, error) {
	doc, err := tr.Read(data, said, false)
	if err != nil {
		return nil, err
	}
	out, err := tr.Apply(live, doc, by)
	if err != nil {
		return nil, err
	}
	return out.(*servingv1.Service), nil
}

func check(t *testing.T, i int, w write, err error) {
	t.Helper()
	if w.fails == "" {
		if err != nil {
			t.Fatalf("write %d: %v", i, err)
		}
		return
	}
	if err == nil || !strings.Contains(err.Error(), w.fails) {
		t.Errorf("write %d: got %v, want an error that says %q", i, err, w.fails)
		return
	}
	var causes []string
	for _, c := range apierror.From(err).Causes {
		causes = append(causes, c.Reason+" "+c.Field+": "+c.Message)
	}
	if d := cmp.Diff(w.causes, causes); d != "" {
		t.Errorf("write %d: causes (-want +got):\n%s", i, d)
	}
}

// managers are the managers of an object with their fields.
func managers(obj managed.Object) map[string]string {
	out := map[string]string{}
	for _, e := range obj.GetMetadata().GetManagedFields() {
		out[strings.TrimSpace(e.GetManager()+" "+e.GetOperation()+" "+e.GetSubresource())] = string(e.GetFieldsV1().GetRaw())
	}
	return out
}

func TestWrites(t *testing.T) {
	tr := tracker(t, &servingv1.Service{})
	const pod = `{"f:spec":{"f:template":{"f:spec":{"f:containers":{`
	cases := []struct {
		reason string
		writes []write
		spec   string
		want   map[string]string
	}{
		{
			"who makes an object manages what it says, and the server's own fields are nobody's",
			[]write{{manager: "curl", update: container(`"image":"a"`)}},
			`{"template":{"spec":{"containers":[{"name":"main","image":"a"}]}}}`,
			map[string]string{"curl Update": `{"f:spec":{".":{},"f:template":{".":{},"f:spec":{".":{},"f:containers":{".":{},"k:{\"name\":\"main\"}":{".":{},"f:image":{},"f:name":{}}}}}}}`},
		},
		{
			"an apply manages what it names, and no more",
			[]write{{manager: "a", apply: container(`"image":"a"`)}},
			`{"template":{"spec":{"containers":[{"name":"main","image":"a"}]}}}`,
			map[string]string{"a Apply": pod + `"k:{\"name\":\"main\"}":{".":{},"f:image":{},"f:name":{}}}}}}}`},
		},
		{
			"two managers share a container, and each its own variable",
			[]write{
				{manager: "a", apply: container(`"env":[{"name":"A","value":"1"}]`)},
				{manager: "b", apply: container(`"env":[{"name":"B","value":"2"}]`)},
			},
			`{"template":{"spec":{"containers":[{"name":"main","env":[{"name":"A","value":"1"},{"name":"B","value":"2"}]}]}}}`,
			map[string]string{
				"a Apply": pod + `"k:{\"name\":\"main\"}":{".":{},"f:env":{"k:{\"name\":\"A\"}":{".":{},"f:name":{},"f:value":{}}},"f:name":{}}}}}}}`,
				"b Apply": pod + `"k:{\"name\":\"main\"}":{".":{},"f:env":{"k:{\"name\":\"B\"}":{".":{},"f:name":{},"f:value":{}}},"f:name":{}}}}}}}`,
			},
		},
		{
			"what a manager applies no longer goes, unless another wants it",
			[]write{
				{manager: "a", apply: container(`"image":"x","workingDir":"/w","env":[{"name":"A","value":"1"}]`)},
				{manager: "b", apply: container(`"workingDir":"/w"`)},
				{manager: "a", apply: container(`"image":"x"`)},
			},
			`{"template":{"spec":{"containers":[{"name":"main","image":"x","workingDir":"/w"}]}}}`,
			map[string]string{
				"a Apply": pod + `"k:{\"name\":\"main\"}":{".":{},"f:image":{},"f:name":{}}}}}}}`,
				"b Apply": pod + `"k:{\"name\":\"main\"}":{".":{},"f:name":{},"f:workingDir":{}}}}}}}`,
			},
		},
		{
			"another's field is a conflict, in Kubernetes' words",
			[]write{
				{manager: "a", apply: container(`"image":"x"`)},
				{manager: "b", apply: container(`"image":"y"`), fails: `Apply failed with 1 conflict: conflict with "a": .spec.template.spec.containers[name="main"].image`,
					causes: []string{`FieldManagerConflict .spec.template.spec.containers[name="main"].image: conflict with "a"`}},
			},
			`{"template":{"spec":{"containers":[{"name":"main","image":"x"}]}}}`,
			map[string]string{"a Apply": pod + `"k:{\"name\":\"main\"}":{".":{},"f:image":{},"f:name":{}}}}}}}`},
		},
		{
			"force takes it over",
			[]write{
				{manager: "a", apply: container(`"image":"x"`)},
				{manager: "b", apply: container(`"image":"y"`), force: true},
			},
			`{"template":{"spec":{"containers":[{"name":"main","image":"y"}]}}}`,
			map[string]string{
				"a Apply": pod + `"k:{\"name\":\"main\"}":{".":{},"f:name":{}}}}}}}`,
				"b Apply": pod + `"k:{\"name\":\"main\"}":{".":{},"f:image":{},"f:name":{}}}}}}}`,
			},
		},
		{
			"an update takes over without asking, and is a conflict afterwards",
			[]write{
				{manager: "a", apply: container(`"image":"x"`)},
				{manager: "b", update: container(`"image":"y"`)},
				{manager: "a", apply: container(`"image":"x"`), fails: `conflict with "b" using serving.knative.dev/v1`,
					causes: []string{`FieldManagerConflict .spec.template.spec.containers[name="main"].image: conflict with "b" using serving.knative.dev/v1`}},
			},
			`{"template":{"spec":{"containers":[{"name":"main","image":"y"}]}}}`,
			map[string]string{
				"a Apply":  pod + `"k:{\"name\":\"main\"}":{".":{},"f:name":{}}}}}}}`,
				"b Update": pod + `"k:{\"name\":\"main\"}":{"f:image":{}}}}}}}`,
			},
		},
		{
			"several conflicts are told together",
			[]write{
				{manager: "a", apply: container(`"image":"x","workingDir":"/a"`)},
				{manager: "b", apply: container(`"image":"y","workingDir":"/b"`),
					fails: "Apply failed with 2 conflicts: conflicts with \"a\":\n- .spec.template.spec.containers[name=\"main\"].image\n- .spec.template.spec.containers[name=\"main\"].workingDir",
					causes: []string{
						`FieldManagerConflict .spec.template.spec.containers[name="main"].image: conflict with "a"`,
						`FieldManagerConflict .spec.template.spec.containers[name="main"].workingDir: conflict with "a"`,
					}},
			},
			`{"template":{"spec":{"containers":[{"name":"main","image":"x","workingDir":"/a"}]}}}`,
			map[string]string{"a Apply": pod + `"k:{\"name\":\"main\"}":{".":{},"f:image":{},"f:name":{},"f:workingDir":{}}}}}}}`},
		},
		{
			"ports without a protocol are those of TCP",
			[]write{
				{manager: "a", apply: container(`"ports":[{"containerPort":80}]`)},
				{manager: "b", apply: container(`"ports":[{"containerPort":80,"protocol":"TCP","name":"http"}]`)},
			},
			`{"template":{"spec":{"containers":[{"name":"main","ports":[{"name":"http","containerPort":80,"protocol":"TCP"}]}]}}}`,
			map[string]string{
				"a Apply": pod + `"k:{\"name\":\"main\"}":{".":{},"f:name":{},"f:ports":{"k:{\"containerPort\":80,\"protocol\":\"TCP\"}":{".":{},"f:containerPort":{}}}}}}}}}`,
				"b Apply": pod + `"k:{\"name\":\"main\"}":{".":{},"f:name":{},"f:ports":{"k:{\"containerPort\":80,\"protocol\":\"TCP\"}":{".":{},"f:containerPort":{},"f:name":{},"f:protocol":{}}}}}}}}}`,
			},
		},
		{
			"traffic is replaced as a whole",
			[]write{
				{manager: "a", apply: service(`{"traffic":[{"percent":100,"latestRevision":true}]}`, "")},
				{manager: "a", apply: service(`{"traffic":[{"percent":100,"revisionName":"r"}]}`, "")},
			},
			`{"traffic":[{"revisionName":"r","percent":100}]}`,
			map[string]string{"a Apply": `{"f:spec":{"f:traffic":{}}}`},
		},
		{
			"a status has managers of its own, and an object's writers none of it",
			[]write{
				{manager: "a", apply: service(`{"traffic":[{"percent":100}]}`, `{"url":"http://no"}`)},
				{manager: "c", apply: service("", `{"url":"http://web"}`), status: true},
			},
			`{"traffic":[{"percent":100}]}`,
			map[string]string{"a Apply": `{"f:spec":{"f:traffic":{}}}`, "c Apply status": `{"f:status":{"f:url":{}}}`},
		},
		{
			"managers that are not known are taken for one",
			[]write{{manager: "", update: service(`{"traffic":[{"percent":100}]}`, "")}},
			`{"traffic":[{"percent":100}]}`,
			map[string]string{"unknown Update": `{"f:spec":{".":{},"f:traffic":{}}}`},
		},
	}
	for _, c := range cases {
		t.Run(c.reason, func(t *testing.T) {
			got := run(t, tr, c.writes)
			if d := cmp.Diff(c.want, managers(got)); d != "" {
				t.Errorf("managers (-want +got):\n%s", d)
			}
			spec, err := codec.Marshal(got.GetSpec())
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(parsed(t, c.spec), parsed(t, string(spec))); d != "" {
				t.Errorf("spec (-want +got):\n%s", d)
			}
		})
	}
}

func parsed(t *testing.T, text string) any {
	t.Helper()
	var out any
	if err := json.Unmarshal([]byte(text), &out); err != nil {
		t.Fatal(err)
	}
	return out
}

// An object that was there before anything was applied belongs to one manager, who is nobody.
func TestBeforeFirstApply(t *testing.T) {
	tr := tracker(t, &servingv1.Service{})
	live := &servingv1.Service{}
	if _, err := codec.Unmarshal([]byte(container(`"image":"x"`)), live, codec.Options{}); err != nil {
		t.Fatal(err)
	}
	live.Metadata.Uid = "u"
	next := proto.CloneOf(live)
	next.Spec.Traffic = []*servingv1.TrafficTarget{{Percent: proto.Int64(100)}}
	if err := tr.Update(live, next, managed.Write{Manager: "curl"}); err != nil || len(managers(next)) > 0 {
		t.Errorf("an update of an object that nobody has applied: %v, %v", managers(next), err)
	}
	said := &servingv1.Service{}
	data := []byte(container(`"image":"y"`))
	if _, err := codec.Unmarshal(data, said, codec.Options{}); err != nil {
		t.Fatal(err)
	}
	_, err := apply(tr, live, said, data, managed.Write{Manager: "a"})
	if err == nil || !strings.Contains(err.Error(), `conflict with "before-first-apply" using serving.knative.dev/v1`) {
		t.Errorf("got %v", err)
	}
	got, err := apply(tr, live, said, data, managed.Write{Manager: "a", Force: true})
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff([]string{"a Apply", "before-first-apply Update"}, slices.Sorted(maps.Keys(managers(got)))); d != "" {
		t.Errorf("managers (-want +got):\n%s", d)
	}
}

// There are at most ten managers of updates: the oldest become one.
func TestManyUpdaters(t *testing.T) {
	tr := tracker(t, &servingv1.Service{})
	writes := []write{{manager: "first", apply: service("", "")}}
	for i := range 14 {
		annotations := map[string]string{}
		for j := range i + 1 {
			annotations[fmt.Sprintf("a%02d", j)] = "x"
		}
		data, err := json.Marshal(annotations)
		if err != nil {
			t.Fatal(err)
		}
		writes = append(writes, write{manager: fmt.Sprintf("m%02d", i), update: strings.Replace(service("", ""), `"name":"web"`, `"name":"web","annotations":`+string(data), 1)})
	}
	writes[0].apply = strings.Replace(service("", ""), `"name":"web"`, `"name":"web","labels":{"a":"b"}`, 1)
	for i := range writes[1:] {
		writes[i+1].update = strings.Replace(writes[i+1].update, `"name":"web"`, `"name":"web","labels":{"a":"b"}`, 1)
	}
	got := managers(run(t, tr, writes))
	if _, ok := got["ancient-changes Update"]; !ok || len(got) != 11 {
		t.Errorf("got %v", got)
	}
}

// Whoever sets managedFields in an update decides about them; an empty entry takes all away.
func TestUpdateOfManagedFields(t *testing.T) {
	tr := tracker(t, &servingv1.Service{})
	live := run(t, tr, []write{{manager: "kubectl-client-side-apply", update: container(`"image":"x"`)}})
	fields := live.GetMetadata().GetManagedFields()[0].GetFieldsV1()
	for _, c := range []struct {
		reason string
		set    []*metav1.ManagedFieldsEntry
		want   map[string]string
	}{
		{"what is left out stays", nil, managers(live)},
		{"an empty entry", []*metav1.ManagedFieldsEntry{{}}, map[string]string{}},
		{"another manager, as kubectl does that comes from client-side apply", []*metav1.ManagedFieldsEntry{{
			Manager: "kubectl", Operation: "Apply", ApiVersion: "serving.knative.dev/v1", FieldsType: "FieldsV1", FieldsV1: fields,
		}}, map[string]string{"kubectl Apply": string(fields.GetRaw())}},
		{"what makes no sense is as if left out", []*metav1.ManagedFieldsEntry{{Manager: "x", Operation: "Nonsense"}}, managers(live)},
	} {
		next := proto.CloneOf(live)
		next.Metadata.ManagedFields = c.set
		if err := tr.Update(live, next, managed.Write{Manager: "m"}); err != nil {
			t.Error(err)
		}
		if d := cmp.Diff(c.want, managers(next)); d != "" {
			t.Errorf("%s (-want +got):\n%s", c.reason, d)
		}
	}
}

// A container without a name gets one when it is stored, and is to be the same container whenever it is applied.
func TestKeysThatAreLeftOpen(t *testing.T) {
	tr := trackerWith(t, &servingv1.Service{}, func(obj managed.Object) {
		for _, c := range obj.(*servingv1.Service).GetSpec().GetTemplate().GetSpec().GetPodSpec().GetContainers() {
			if c.GetName() == "" {
				c.Name = "user-container"
			}
		}
	})
	nameless := func(image string) string {
		return service(`{"template":{"spec":{"containers":[{"image":"`+image+`"}]}}}`, "")
	}
	got := run(t, tr, []write{{manager: "a", apply: nameless("x")}, {manager: "a", apply: nameless("y")}, {manager: "b", update: nameless("z")}})
	if c := got.GetSpec().GetTemplate().GetSpec().GetPodSpec().GetContainers(); len(c) != 1 || c[0].GetImage() != "z" {
		t.Errorf("containers: %v", c)
	}
	if d := cmp.Diff([]string{"a Apply", "b Update"}, slices.Sorted(maps.Keys(managers(got)))); d != "" {
		t.Errorf("managers (-want +got):\n%s", d)
	}
}

func TestDocumentsThatCannotBeApplied(t *testing.T) {
	tr := tracker(t, &servingv1.Service{})
	for _, c := range []struct{ reason, doc, want string }{
		{"managed fields are the server's", strings.Replace(service("", ""), `"name":"web"`, `"name":"web","managedFields":[]`, 1), "metadata.managedFields must be nil"},
		{"an item twice", service(`{"template":{"spec":{"containers":[{"name":"a"},{"name":"a"}]}}}`, ""), `duplicate entries for key [name="a"]`},
		{"an item that cannot be told apart", strings.Replace(service("", ""), `"name":"web"`, `"name":"web","ownerReferences":[{"name":"a"}]`, 1), `omits all key fields ["uid"]`},
	} {
		said := &servingv1.Service{}
		if _, err := codec.Unmarshal([]byte(c.doc), said, codec.Options{}); err != nil {
			t.Fatal(err)
		}
		_, err := tr.Read([]byte(c.doc), said, false)
		if !apierror.Is(err, apierror.ReasonBadRequest) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want %q", c.reason, err, c.want)
		}
	}
}

func TestManagerOf(t *testing.T) {
	for _, c := range []struct{ reason, field, agent, want string }{
		{"what the request says", "me", "kubectl/v1", "me"},
		{"the program", "", "kubectl/v1.34 (linux)", "kubectl"},
		{"what cannot be printed is left out", "", "a\x00b\n/1", "ab"},
		{"no more than Kubernetes takes", "", strings.Repeat("é", 100), strings.Repeat("é", 64)},
		{"nothing known", "", "", ""},
	} {
		if got := managed.ManagerOf(c.field, c.agent); got != c.want {
			t.Errorf("%s: got %q, want %q", c.reason, got, c.want)
		}
	}
}

func TestKeepTimes(t *testing.T) {
	entry := func(seconds int64, fields string) []*metav1.ManagedFieldsEntry {
		return []*metav1.ManagedFieldsEntry{{Manager: "a", Time: &timestamppb.Timestamp{Seconds: seconds}, FieldsV1: &metav1.RawJSON{Raw: []byte(fields)}}}
	}
	for _, c := range []struct {
		reason string
		now    *metav1.ObjectMeta
		kept   bool
	}{
		{"nothing but the time", &metav1.ObjectMeta{ManagedFields: entry(2, "{}")}, true},
		{"a field, too", &metav1.ObjectMeta{Name: "x", ManagedFields: entry(2, "{}")}, false},
		{"other fields", &metav1.ObjectMeta{ManagedFields: entry(2, `{"f:a":{}}`)}, false},
		{"more managers", &metav1.ObjectMeta{ManagedFields: append(entry(2, "{}"), entry(2, "{}")...)}, false},
	} {
		old, now := &servingv1.Service{Metadata: &metav1.ObjectMeta{ManagedFields: entry(1, "{}")}}, &servingv1.Service{Metadata: c.now}
		managed.KeepTimes(now, old)
		if got := now.GetMetadata().GetManagedFields()[0].GetTime().GetSeconds() == 1; got != c.kept {
			t.Errorf("%s: kept is %v", c.reason, got)
		}
	}
}
