// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

// Package session keeps how a person is signed in to servers, and signs people in at OpenID Connect issuers.
package session

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"syscall"

	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
)

const (
	fileMode, dirMode = 0o600, 0o700
	// provider is what kubeconfigs call a user who is signed in at an issuer, and the keys below it.
	provider        = "oidc"
	keyIssuer       = "idp-issuer-url"
	keyIssuerCA     = "idp-certificate-authority-data"
	keyClient       = "client-id"
	keySecret       = "client-secret"
	keyIDToken      = "id-token"
	keyRefreshToken = "refresh-token"
)

// Session is how a person is signed in to one server.
type Session struct {
	// URL is the front door of the server; empty where it tells none.
	URL string
	// CA is the PEM of the certificates by which the server is known; empty for those of the system.
	CA []byte
	// Token is the token, where it was given and did not come from an issuer.
	Token string
	// Grant is what an issuer gave; nil where there is none.
	Grant *Grant
}

// File is where sessions are kept: in the form of a kubeconfig, whose contexts, clusters and users are named by the
// addresses of servers.
type File struct {
	path   string
	config *clientcmdapi.Config
}

// Path is where the file is by default.
func Path() (string, error) {
	if path := os.Getenv("FAIRLEAD_CONFIG"); path != "" {
		return path, nil
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return "", fmt.Errorf("there is no place to keep who is signed in: %w; set $FAIRLEAD_CONFIG", err)
	}
	return filepath.Join(home, ".config", "fairlead", "config"), nil
}

// Open reads the file. One that is absent is empty.
func Open(path string) (*File, error) {
	config, err := clientcmd.LoadFromFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		config, err = clientcmdapi.NewConfig(), nil
	}
	if err != nil {
		return nil, fmt.Errorf("sign-in file %s: %w; mend or delete it, and sign in again", path, err)
	}
	return &File{path, config}, nil
}

// Locked opens the file, has change it, and writes it, while nobody else does the same. Where change fails nothing is written.
func Locked(path string, change func(*File) error) error {
	if err := os.MkdirAll(filepath.Dir(path), dirMode); err != nil {
		return fmt.Errorf("sign-in file: %w", err)
	}
	lock, err := os.OpenFile(path+".lock", os.O_CREATE|os.O_RDWR, fileMode)
	if err != nil {
		return fmt.Errorf("sign-in file: %w", err)
	}
	defer func() { _ = lock.Close() }() // which unlocks it
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX); err != nil {
		return fmt.Errorf("lock the sign-in file: %w", err)
	}
	f, err := Open(path)
	if err != nil {
		return err
	}
	if err := change(f); err != nil {
		return err
	}
	return f.save()
}

// save writes the file for its owner's eyes only, whole or not at all.
func (f *File) save() error {
	data, err := clientcmd.Write(*f.config)
	if err != nil {
		return fmt.Errorf("sign-in file: %w", err)
	}
	temp, err := os.CreateTemp(filepath.Dir(f.path), ".config-*") // of mode 0600
	if err != nil {
		return fmt.Errorf("sign-in file: %w", err)
	}
	defer func() { _ = os.Remove(temp.Name()) }() // is gone once it has its name
	_, err = temp.Write(data)
	if err := errors.Join(err, temp.Chmod(fileMode), temp.Sync(), temp.Close()); err != nil {
		return fmt.Errorf("sign-in file: %w", err)
	}
	if err := os.Rename(temp.Name(), f.path); err != nil {
		return fmt.Errorf("sign-in file: %w", err)
	}
	return nil
}

// Current is the address of the server that was signed in to last; empty where there is none.
func (f *File) Current() string { return f.config.CurrentContext }

// Session returns how the person is signed in to a server; nil if they are not.
func (f *File) Session(address string) *Session {
	user := f.config.AuthInfos[address]
	if user == nil {
		return nil
	}
	s := &Session{Token: user.Token}
	if p := user.AuthProvider; p != nil && p.Name == provider {
		s.Grant = &Grant{
			Issuer: p.Config[keyIssuer], IssuerCA: p.Config[keyIssuerCA], ClientID: p.Config[keyClient], ClientSecret: p.Config[keySecret],
			IDToken: p.Config[keyIDToken], RefreshToken: p.Config[keyRefreshToken],
		}
	}
	if c := f.config.Clusters[address]; c != nil {
		s.URL, s.CA = c.Server, c.CertificateAuthorityData
	}
	return s
}

// Put keeps how the person is signed in to a server, which is the current one from then on.
func (f *File) Put(address string, s *Session) {
	user := &clientcmdapi.AuthInfo{Token: s.Token}
	if g := s.Grant; g != nil {
		config := map[string]string{
			keyIssuer: g.Issuer, keyIssuerCA: g.IssuerCA, keyClient: g.ClientID, keySecret: g.ClientSecret,
			keyIDToken: g.IDToken, keyRefreshToken: g.RefreshToken,
		}
		maps.DeleteFunc(config, func(_, value string) bool { return value == "" })
		user.AuthProvider = &clientcmdapi.AuthProviderConfig{Name: provider, Config: config}
	}
	f.config.AuthInfos[address] = user
	f.config.Clusters[address] = &clientcmdapi.Cluster{Server: s.URL, CertificateAuthorityData: s.CA}
	f.config.Contexts[address] = &clientcmdapi.Context{Cluster: address, AuthInfo: address}
	f.config.CurrentContext = address
}

// Renew keeps a renewed session of a server, which may be current or not.
func (f *File) Renew(address string, s *Session) {
	current := f.config.CurrentContext
	f.Put(address, s)
	f.config.CurrentContext = current
}

// Remove forgets how the person is signed in to a server, and tells whether there was anything to forget.
func (f *File) Remove(address string) bool {
	_, was := f.config.AuthInfos[address]
	delete(f.config.AuthInfos, address)
	delete(f.config.Clusters, address)
	delete(f.config.Contexts, address)
	if f.config.CurrentContext == address {
		f.config.CurrentContext = ""
	}
	return was
}
