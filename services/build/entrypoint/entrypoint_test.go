// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package entrypoint_test

import (
	"context"
	"encoding/base64"
	"errors"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	corev1 "k8s.io/api/core/v1"
	kmetav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"fairlead.dev/services/build/entrypoint"
	"fairlead.dev/services/build/pod"
)

type registryUnderTest struct {
	host string

	mu       sync.Mutex
	password string
	status   int
	asked    []string
}

func start(t *testing.T) *registryUnderTest {
	t.Helper()
	r := &registryUnderTest{}
	inner := registry.New(registry.Logger(log.New(io.Discard, "", 0)))
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		r.mu.Lock()
		r.asked = append(r.asked, req.URL.Path)
		wanted, broken := r.password, r.status
		r.mu.Unlock()
		if _, password, _ := req.BasicAuth(); wanted != "" && password != wanted {
			w.Header().Set("WWW-Authenticate", `Basic realm="test"`)
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		if broken != 0 && req.URL.Path != "/v2/" {
			w.WriteHeader(broken)
			return
		}
		inner.ServeHTTP(w, req)
	}))
	t.Cleanup(server.Close)
	r.host = strings.TrimPrefix(server.URL, "http://")
	return r
}

// set makes the registry want a password, and answer with a status.
func (r *registryUnderTest) set(password string, status int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.password, r.status, r.asked = password, status, nil
}

func (r *registryUnderTest) paths() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.asked)
}

func image(t *testing.T, arch string, c v1.Config) v1.Image {
	t.Helper()
	img, err := mutate.ConfigFile(empty.Image, &v1.ConfigFile{OS: "linux", Architecture: arch, Config: c, RootFS: v1.RootFS{Type: "layers"}})
	if err != nil {
		t.Fatal(err)
	}
	return img
}

func (r *registryUnderTest) push(t *testing.T, tag string, img remote.Taggable) string {
	t.Helper()
	ref, err := name.ParseReference(r.host + "/" + tag)
	if err != nil {
		t.Fatal(err)
	}
	switch img := img.(type) {
	case v1.ImageIndex:
		err = remote.WriteIndex(ref, img)
	case v1.Image:
		err = remote.Write(ref, img)
	}
	if err != nil {
		t.Fatal(err)
	}
	d, err := remote.Head(ref)
	if err != nil {
		t.Fatal(err)
	}
	return ref.Context().Digest(d.Digest.String()).String()
}

func TestResolve(t *testing.T) {
	r := start(t)
	amd := v1.Config{Entrypoint: []string{"/amd"}, Cmd: []string{"--help"}}
	one := r.push(t, "one:v1", image(t, "amd64", amd))
	index := mutate.AppendManifests(empty.Index,
		mutate.IndexAddendum{Add: image(t, "amd64", amd), Descriptor: v1.Descriptor{Platform: &v1.Platform{OS: "linux", Architecture: "amd64"}}},
		mutate.IndexAddendum{Add: image(t, "arm64", v1.Config{Cmd: []string{"/arm"}}), Descriptor: v1.Descriptor{Platform: &v1.Platform{OS: "linux", Architecture: "arm64"}}},
		mutate.IndexAddendum{Add: image(t, "amd64", amd), Descriptor: v1.Descriptor{Platform: &v1.Platform{OS: "windows", Architecture: "amd64"}}})
	many := r.push(t, "many:v1", index)
	resolver := entrypoint.New(entrypoint.Options{})
	for _, c := range []struct {
		reason, image string
		want          pod.Entrypoint
	}{
		{"an image", r.host + "/one:v1", pod.Entrypoint{Image: one, Platforms: map[string]pod.Command{"linux/amd64": {Entrypoint: []string{"/amd"}, Cmd: []string{"--help"}}}}},
		{"by digest", one, pod.Entrypoint{Image: one, Platforms: map[string]pod.Command{"linux/amd64": {Entrypoint: []string{"/amd"}, Cmd: []string{"--help"}}}}},
		{"an index", r.host + "/many:v1", pod.Entrypoint{Image: many, Platforms: map[string]pod.Command{
			"linux/amd64": {Entrypoint: []string{"/amd"}, Cmd: []string{"--help"}}, "linux/arm64": {Cmd: []string{"/arm"}},
		}}},
	} {
		t.Run(c.reason, func(t *testing.T) {
			got, err := resolver.Resolve(context.Background(), c.image, authn.DefaultKeychain)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("entrypoint (-want +got):\n%s", diff)
			}
		})
	}
	r.set("", 0)
	if _, err := resolver.Resolve(context.Background(), r.host+"/one:v1", authn.DefaultKeychain); err != nil {
		t.Fatal(err)
	}
	for _, path := range r.paths() {
		if strings.Contains(path, "/blobs/") {
			t.Errorf("an image that is known was read again: %v", r.paths())
		}
	}
	moved := r.push(t, "one:v1", image(t, "amd64", v1.Config{Entrypoint: []string{"/new"}}))
	if got, err := resolver.Resolve(context.Background(), r.host+"/one:v1", authn.DefaultKeychain); err != nil || got.Image != moved {
		t.Errorf("a tag that moved leads to %s, %v; want %s", got.Image, err, moved)
	}
}

func TestResolveFails(t *testing.T) {
	r := start(t)
	r.push(t, "one:v1", image(t, "amd64", v1.Config{}))
	r.push(t, "windows:v1", mutate.AppendManifests(empty.Index,
		mutate.IndexAddendum{Add: image(t, "amd64", v1.Config{}), Descriptor: v1.Descriptor{Platform: &v1.Platform{OS: "windows", Architecture: "amd64"}}}))
	resolver := entrypoint.New(entrypoint.Options{})
	for _, c := range []struct {
		reason, image, password string
		status                  int
		temporary               bool
		says                    string
	}{
		{reason: "no reference", image: "Not An Image", says: "is not a reference"},
		{reason: "absent", image: r.host + "/none", says: "not found in its registry"},
		{reason: "private", image: r.host + "/one:v1", password: "secret", says: "refuses access"},
		{reason: "down", image: r.host + "/one:v1", status: http.StatusServiceUnavailable, temporary: true, says: "answers 503"},
		{reason: "nobody there", image: "127.0.0.1:1/one:v1", temporary: true, says: "registry 127.0.0.1:1 does not answer"},
		{reason: "for another system", image: r.host + "/windows:v1", says: "made for no version of Linux"},
	} {
		t.Run(c.reason, func(t *testing.T) {
			r.set(c.password, c.status)
			defer r.set("", 0)
			_, err := resolver.Resolve(context.Background(), c.image, authn.NewMultiKeychain())
			var e *entrypoint.Error
			if !errors.As(err, &e) {
				t.Fatalf("error %v, want an *entrypoint.Error", err)
			}
			if e.Temporary != c.temporary || !strings.Contains(e.Message, c.says) {
				t.Errorf("temporary %t: %s; want %t: … %s …", e.Temporary, e.Message, c.temporary, c.says)
			}
		})
	}
}

func TestPullSecrets(t *testing.T) {
	r := start(t)
	r.push(t, "team/one:v1", image(t, "amd64", v1.Config{}))
	r.set("right", 0)
	auth := func(password string) string { return base64.StdEncoding.EncodeToString([]byte("ann:" + password)) }
	secret := func(name, host, password string) corev1.Secret {
		return corev1.Secret{
			ObjectMeta: kmetav1.ObjectMeta{Name: name}, Type: corev1.SecretTypeDockerConfigJson,
			Data: map[string][]byte{corev1.DockerConfigJsonKey: []byte(`{"auths":{"` + host + `":{"auth":"` + auth(password) + `"}}}`)},
		}
	}
	resolver := entrypoint.New(entrypoint.Options{})
	for _, c := range []struct {
		reason  string
		secrets []corev1.Secret
		ok      bool
	}{
		{"none", nil, false},
		{"a broken one beside it", []corev1.Secret{{Data: map[string][]byte{corev1.DockerConfigJsonKey: []byte("{")}}, secret("a", r.host, "right")}, true},
		{"another port", []corev1.Secret{secret("a", "127.0.0.1:1", "right")}, false},
		{"no port", []corev1.Secret{secret("a", "127.0.0.1", "right")}, false},
		{"a wildcard for several labels", []corev1.Secret{secret("a", "127.*"+r.host[strings.LastIndex(r.host, ":"):], "right")}, false},
		{"the host", []corev1.Secret{secret("a", r.host, "right")}, true},
		{"with scheme and API", []corev1.Secret{secret("a", "https://"+r.host+"/v2/", "right")}, true},
		{"another host", []corev1.Secret{secret("a", "registry.example", "right")}, false},
		{"the longer path wins", []corev1.Secret{secret("a", r.host, "wrong"), secret("b", r.host+"/team", "right")}, true},
		{"another path", []corev1.Secret{secret("a", r.host+"/te", "right")}, false},
		{"a pattern", []corev1.Secret{secret("a", "127.*.0.*"+r.host[strings.LastIndex(r.host, ":"):], "right")}, true},
		{"the older form", []corev1.Secret{{Data: map[string][]byte{corev1.DockerConfigKey: []byte(`{"` + r.host + `":{"username":"ann","password":"right"}}`)}}}, true},
	} {
		t.Run(c.reason, func(t *testing.T) {
			keychain, _ := entrypoint.Keychain(c.secrets, nil)
			if _, err := resolver.Resolve(context.Background(), r.host+"/team/one:v1", keychain); (err == nil) != c.ok {
				t.Errorf("error %v, want success %t", err, c.ok)
			}
		})
	}
	keychain, _ := entrypoint.Keychain([]corev1.Secret{secret("a", r.host, "wrong")}, []entrypoint.Login{{Place: r.host, Username: "ann\n", Password: "right\n"}})
	if _, err := resolver.Resolve(context.Background(), r.host+"/team/one:v1", keychain); err != nil {
		t.Errorf("a login, which goes before a pull Secret for the same place: %v", err)
	}
	keychain, _ = entrypoint.Keychain([]corev1.Secret{secret("stale", r.host, "hunter2")}, nil)
	if _, err := resolver.Resolve(context.Background(), r.host+"/team/one:v1", keychain); err == nil || !strings.Contains(err.Error(), `correct Secret "stale", which was shown`) || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("a wrong password: %v", err)
	}
	broken := secret("broken", "a", "b")
	broken.Data[corev1.DockerConfigJsonKey] = []byte(`{"auths": "hunter2"`)
	_, faults := entrypoint.Keychain([]corev1.Secret{broken}, nil)
	if len(faults) != 1 || faults[0].Secret != "broken" || strings.Contains(faults[0].String(), "hunter2") {
		t.Errorf("faults %v, want one that names the Secret and not its content", faults)
	}
}

func TestDockerHubsNames(t *testing.T) {
	for _, place := range []string{"https://index.docker.io/v1/", "docker.io", "index.docker.io", "https://registry-1.docker.io/v2/", "registry.hub.docker.com"} {
		keychain, _ := entrypoint.Keychain(nil, []entrypoint.Login{{Place: place, Username: "ann", Password: "right"}})
		for _, image := range []string{"alpine", "team/app", "docker.io/team/app", "index.docker.io/team/app"} {
			ref, err := name.ParseReference(image)
			if err != nil {
				t.Fatal(err)
			}
			if auth, err := keychain.Resolve(ref.Context()); err != nil || auth == authn.Anonymous {
				t.Errorf("a login for %s is not used for %s: %v", place, image, err)
			}
		}
	}
}
