// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

// Package gittest serves git repositories to tests.
package gittest

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"errors"
	"io"
	"net"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/knownhosts"
)

// Key makes a private key as ssh-keygen writes it.
func Key(tb testing.TB) (private string, public ssh.PublicKey) {
	tb.Helper()
	pub, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		tb.Fatal(err)
	}
	block, err := ssh.MarshalPrivateKey(key, "")
	if err != nil {
		tb.Fatal(err)
	}
	public, err = ssh.NewPublicKey(pub)
	if err != nil {
		tb.Fatal(err)
	}
	return string(pem.EncodeToMemory(block)), public
}

// SSH is a server that lets one key read the repositories of a folder.
type SSH struct {
	// Address is host and port.
	Address string
	// PrivateKey is what opens it.
	PrivateKey string
	// HostKey is its own.
	HostKey ssh.PublicKey

	root     string
	listener net.Listener
	config   *ssh.ServerConfig
	wg       sync.WaitGroup

	mu    sync.Mutex
	conns []net.Conn
}

// ServeSSH serves the repositories below root at an address, such as 127.0.0.1:0, until the test ends.
func ServeSSH(tb testing.TB, address, root string) *SSH {
	tb.Helper()
	s := &SSH{root: root}
	var allowed ssh.PublicKey
	s.PrivateKey, allowed = Key(tb)
	hostKey, public := Key(tb)
	s.HostKey = public
	signer, err := ssh.ParsePrivateKey([]byte(hostKey))
	if err != nil {
		tb.Fatal(err)
	}
	s.config = &ssh.ServerConfig{PublicKeyCallback: func(_ ssh.ConnMetadata, key ssh.PublicKey) (*ssh.Permissions, error) {
		if bytes.Equal(key.Marshal(), allowed.Marshal()) {
			return &ssh.Permissions{}, nil
		}
		return nil, errors.New("not allowed")
	}}
	s.config.AddHostKey(signer)
	if s.listener, err = (&net.ListenConfig{}).Listen(tb.Context(), "tcp", address); err != nil {
		tb.Fatal(err)
	}
	s.Address = s.listener.Addr().String()
	s.wg.Go(s.accept)
	tb.Cleanup(func() {
		_ = s.listener.Close()
		s.mu.Lock()
		for _, c := range s.conns {
			_ = c.Close()
		}
		s.mu.Unlock()
		s.wg.Wait()
	})
	return s
}

// KnownHosts is the line with the server's host key.
func (s *SSH) KnownHosts() string { return knownhosts.Line([]string{s.Address}, s.HostKey) + "\n" }

func (s *SSH) accept() {
	for {
		conn, err := s.listener.Accept()
		if err != nil {
			return
		}
		s.mu.Lock()
		s.conns = append(s.conns, conn)
		s.mu.Unlock()
		s.wg.Go(func() {
			defer func() { _ = conn.Close() }()
			_, channels, requests, err := ssh.NewServerConn(conn, s.config)
			if err != nil {
				return
			}
			go ssh.DiscardRequests(requests)
			for c := range channels {
				if c.ChannelType() != "session" {
					_ = c.Reject(ssh.UnknownChannelType, "only sessions")
					continue
				}
				channel, requests, err := c.Accept()
				if err != nil {
					return
				}
				s.wg.Go(func() { s.session(channel, requests) })
			}
		})
	}
}

// session runs the one command that git wants: `git-upload-pack 'PATH'`.
func (s *SSH) session(channel ssh.Channel, requests <-chan *ssh.Request) {
	defer func() { _ = channel.Close() }()
	for r := range requests {
		var payload struct{ Command string }
		if r.Type != "exec" || ssh.Unmarshal(r.Payload, &payload) != nil {
			_ = r.Reply(r.Type == "env", nil)
			continue
		}
		_ = r.Reply(true, nil)
		verb, path, _ := strings.Cut(payload.Command, " ")
		status := struct{ Status uint32 }{1}
		if verb == "git-upload-pack" {
			cmd := exec.CommandContext(context.Background(), "git", "-c", "safe.directory=*", "upload-pack", filepath.Join(s.root, filepath.Clean("/"+strings.Trim(path, "'"))))
			cmd.Stdout, cmd.Stderr = channel, channel.Stderr()
			if in, err := cmd.StdinPipe(); err == nil && cmd.Start() == nil {
				s.wg.Go(func() {
					_, _ = io.Copy(in, channel)
					_ = in.Close()
				})
				if cmd.Wait() == nil {
					status.Status = 0
				}
			}
		}
		_, _ = channel.SendRequest("exit-status", false, ssh.Marshal(&status))
		return
	}
}
