// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package credentials_test

import (
	"encoding/json"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"fairlead.dev/services/build/step/credentials"
)

// deliverAs runs a delivery as another user, in a process of its own.
func deliverAs(t *testing.T, uid uint32, d credentials.Delivery) (env []string, err string) {
	t.Helper()
	data, fault := json.Marshal(d)
	if fault != nil {
		t.Fatal(fault)
	}
	// The test's own binary may lie where only root can read.
	self := filepath.Join(t.TempDir(), "self")
	binary, fault := os.ReadFile(os.Args[0])
	if fault == nil {
		fault = os.WriteFile(self, binary, 0o755)
	}
	if fault != nil {
		t.Fatal(fault)
	}
	open(t, filepath.Dir(self))
	cmd := exec.Command(self, "-test.run=^TestDeliverer$")
	cmd.Env = []string{"DELIVERY=" + string(data)}
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uid, Gid: uid}}
	out, fault := cmd.Output()
	if fault != nil {
		t.Fatalf("%v\n%s", fault, out)
	}
	var answer struct {
		Env []string
		Err string
	}
	line, _, _ := strings.Cut(string(out), "\n")
	if fault := json.Unmarshal([]byte(line), &answer); fault != nil {
		t.Fatalf("%v\n%s", fault, out)
	}
	return answer.Env, answer.Err
}

// open lets other users enter a folder of t.TempDir.
func open(t *testing.T, dir string) {
	t.Helper()
	if err := os.Chmod(filepath.Dir(dir), 0o755); err != nil {
		t.Fatal(err)
	}
}

// TestDeliverer is what deliverAs runs.
func TestDeliverer(t *testing.T) {
	var d credentials.Delivery
	if json.Unmarshal([]byte(os.Getenv("DELIVERY")), &d) != nil {
		t.Skip("only for deliverAs")
	}
	env, err := d.Deliver()
	answer := map[string]any{"Env": env}
	if err != nil {
		answer["Err"] = err.Error()
	}
	if err := json.NewEncoder(os.Stdout).Encode(answer); err != nil {
		t.Fatal(err)
	}
}

// pod is what a pod has of folders: the originals, the home that steps share, and another user's home.
type pod struct{ from, shared, own, passwd string }

func newPod(t *testing.T) pod {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("other users take root")
	}
	root := t.TempDir()
	open(t, root)
	p := pod{from: filepath.Join(root, "credentials"), shared: filepath.Join(root, "shared"), own: filepath.Join(root, "own"), passwd: filepath.Join(root, "passwd")}
	for _, dir := range []string{p.from, p.shared, p.own} {
		if err := os.Mkdir(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	err := os.Chmod(p.shared, 0o777)
	if err == nil {
		err = os.Chown(p.own, nobody, nobody)
	}
	if err == nil {
		err = os.WriteFile(p.passwd, []byte("root:x:0:0:root:"+p.shared+":/x\nnobody:x:65532:65532::"+p.own+":/x\n"), 0o644)
	}
	if err == nil {
		err = credentials.Keep(p.from, credentials.Files{
			".gitconfig": "config", ".docker/config.json": "docker", ".ssh/id_key": "KEY", ".ssh/known_hosts": "known",
			".ssh/config": "\tIdentityFile \"" + p.shared + "/.ssh/id_key\"\n",
		})
	}
	if err != nil {
		t.Fatal(err)
	}
	return p
}

const nobody = 65532

func (p pod) deliver(home string) credentials.Delivery {
	return credentials.Delivery{From: p.from, Home: home, Shared: p.shared, Passwd: p.passwd}
}

// modes are the modes and owners below a folder.
func modes(t *testing.T, dir string) map[string]string {
	t.Helper()
	out := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || path == dir {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		owner := "root"
		if info.Sys().(*syscall.Stat_t).Uid == nobody {
			owner = "nobody"
		}
		name, err := filepath.Rel(dir, path)
		out[name] = info.Mode().String() + " " + owner
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestSharedHome(t *testing.T) {
	p := newPod(t)
	if _, err := deliverAs(t, 0, p.deliver(p.shared)); err != "" {
		t.Fatal(err)
	}
	want := map[string]string{
		".gitconfig": "-rw-rw-rw- root", ".docker": "drwxrwxrwx root", ".docker/config.json": "-rw-rw-rw- root", ".ssh": "drwxrwxrwx root",
		".ssh/config": "-rw-r--r-- root", ".ssh/known_hosts": "-rw-rw-rw- root", ".ssh/id_key": "-rw------- root",
	}
	if diff := cmp.Diff(want, modes(t, p.shared)); diff != "" {
		t.Errorf("root's home (-want +got):\n%s", diff)
	}
	// A step has logged in to a registry; those after it, whoever they are, keep that.
	if err := os.WriteFile(filepath.Join(p.shared, ".docker/config.json"), []byte("login"), 0o666); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		uid   uint32
		owner string
	}{{nobody, "nobody"}, {0, "root"}, {nobody, "nobody"}} {
		if _, err := deliverAs(t, c.uid, p.deliver(p.shared)); err != "" {
			t.Fatal(err)
		}
		want[".ssh/id_key"] = "-rw------- " + c.owner
		if diff := cmp.Diff(want, modes(t, p.shared)); diff != "" {
			t.Errorf("the home that %s finds (-want +got):\n%s", c.owner, diff)
		}
	}
	if data, err := os.ReadFile(filepath.Join(p.shared, ".docker/config.json")); err != nil || string(data) != "login" {
		t.Errorf("docker's config is %q, %v", data, err)
	}
}

func TestOwnHome(t *testing.T) {
	p := newPod(t)
	env, err := deliverAs(t, nobody, p.deliver(p.own))
	if err != "" || len(env) > 0 {
		t.Fatal(env, err)
	}
	want := map[string]string{
		".gitconfig": "-rw------- nobody", ".docker": "drwx------ nobody", ".docker/config.json": "-rw------- nobody", ".ssh": "drwx------ nobody",
		".ssh/config": "-rw------- nobody", ".ssh/known_hosts": "-rw------- nobody", ".ssh/id_key": "-rw------- nobody",
	}
	if diff := cmp.Diff(want, modes(t, p.own)); diff != "" {
		t.Errorf("nobody's home (-want +got):\n%s", diff)
	}
	if data, err := os.ReadFile(filepath.Join(p.own, ".ssh/config")); err != nil || string(data) != "\tIdentityFile \""+p.own+"/.ssh/id_key\"\n" {
		t.Errorf("ssh's config is %q, %v", data, err)
	}
}

func TestSSHLooksElsewhere(t *testing.T) {
	p := newPod(t)
	// HOME is the shared home, and ssh looks into the one of /etc/passwd.
	if env, err := deliverAs(t, nobody, p.deliver(p.shared)); err != "" || len(env) > 0 {
		t.Fatal(env, err)
	}
	if to, err := os.Readlink(filepath.Join(p.own, ".ssh")); err != nil || to != filepath.Join(p.shared, ".ssh") {
		t.Errorf("the link leads to %q, %v", to, err)
	}
	// It has something there already.
	env, err := deliverAs(t, nobody, p.deliver(p.shared))
	if want := "GIT_SSH_COMMAND=ssh -F '" + p.shared + "/.ssh/config'"; err != "" || len(env) != 1 || env[0] != want {
		t.Errorf("environment %q, %s; want %s", env, err, want)
	}
}

func TestHomesThatCannotBe(t *testing.T) {
	p := newPod(t)
	closed := filepath.Join(p.shared, "closed")
	if err := os.Mkdir(closed, 0o700); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ reason, home, says string }{
		{"none", "", ""},
		{"a relative one", "home", ""},
		{"one that somebody else owns", closed, "permission denied"},
		{"one that is not there and can be made", filepath.Join(p.shared, "new"), ""},
		{"one that is a file", p.passwd, "not a directory"},
	} {
		t.Run(c.reason, func(t *testing.T) {
			_, err := deliverAs(t, nobody, p.deliver(c.home))
			if (err == "") != (c.says == "") || !strings.Contains(err, c.says) || strings.Contains(err, "KEY") {
				t.Errorf("error %q, want %q", err, c.says)
			}
		})
	}
	d := p.deliver(p.shared)
	d.From = filepath.Join(p.from, "none")
	if _, err := deliverAs(t, nobody, d); err != "" {
		t.Errorf("nothing to deliver: %s", err)
	}
}
