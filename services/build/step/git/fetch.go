// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

// Package git fetches one revision of a git repository into a folder.
package git

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	gogit "github.com/go-git/go-git/v5"
	"github.com/go-git/go-git/v5/config"
	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/object"
	"github.com/go-git/go-git/v5/plumbing/transport"
	cryptossh "golang.org/x/crypto/ssh"

	"fairlead.dev/services/build/step/credentials"
)

// fetched is the reference under which what was fetched is kept.
const fetched = plumbing.ReferenceName("refs/fairlead/source")

// Source says what to fetch, and where to put it.
type Source struct {
	// URL is the repository.
	URL string
	// Revision is a branch, a tag, a reference or a commit.
	Revision string
	// SubPath must be a folder of the revision; empty is the whole.
	SubPath string
	// Dir is where the files go.
	Dir string
	// Credentials are those that may be shown to git servers.
	Credentials []credentials.Credential
	// Faults are what keeps other credentials from being used.
	Faults []credentials.Fault
	// KnownHosts are files that get the host keys which were accepted, since no credential said which ones to accept.
	KnownHosts []string
	// Log gets what a person may want to know meanwhile.
	Log io.Writer
	// Tries is how often a server that does not answer is asked; 1 by default.
	Tries int
	// RetryAfter is how long to wait before the second try; it doubles with each one.
	RetryAfter time.Duration

	accepted *accepted
}

// Fetch fetches the source, and returns the commit. An error is a *Error.
func Fetch(ctx context.Context, s Source) (commit string, err error) {
	wait := s.RetryAfter
	s.accepted = &accepted{keys: map[string]cryptossh.PublicKey{}}
	for try := 1; ; try++ {
		commit, err = s.fetch(ctx)
		if err == nil {
			return commit, nil
		}
		e := explain(s, err)
		if !e.Temporary || try >= s.Tries {
			return "", e
		}
		fmt.Fprintf(s.Log, "%s; trying again in %s\n", e.Message, wait)
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return "", e
		}
		wait *= 2
	}
}

func (s Source) fetch(ctx context.Context) (string, error) {
	auth, err := s.authFor(s.URL)
	if err != nil {
		return "", err
	}
	repo, err := open(s.Dir, s.URL)
	if err != nil {
		return "", err
	}
	// The repository keeps its URL as the build has it; what is dialled may have another port.
	remote := gogit.NewRemote(repo.Storer, &config.RemoteConfig{Name: gogit.DefaultRemoteName, URLs: []string{s.dial(s.URL)}})
	refs, err := remote.ListContext(ctx, &gogit.ListOptions{Auth: auth, PeelingOption: gogit.AppendPeeled})
	if err != nil {
		return "", fmt.Errorf("list references: %w", err)
	}
	name, hash, err := s.get(ctx, repo, refs, auth)
	if err != nil {
		return "", err
	}
	commit, err := peel(repo, hash)
	if err != nil {
		return "", err
	}
	if err := s.checkSubPath(commit); err != nil {
		return "", err
	}
	if err := checkout(repo, name, commit); err != nil {
		return "", err
	}
	if err := s.submodules(ctx, repo, 0); err != nil {
		return "", err
	}
	return commit.Hash.String(), openUp(s.Dir)
}

func open(dir, url string) (*gogit.Repository, error) {
	repo, err := gogit.PlainInit(dir, false)
	if errors.Is(err, gogit.ErrRepositoryAlreadyExists) {
		repo, err = gogit.PlainOpen(dir) // an earlier try made it
	}
	if err != nil {
		return nil, fmt.Errorf("init: %w", err)
	}
	_, err = repo.CreateRemote(&config.RemoteConfig{Name: gogit.DefaultRemoteName, URLs: []string{url}})
	if err != nil && !errors.Is(err, gogit.ErrRemoteExists) {
		return nil, fmt.Errorf("remote: %w", err)
	}
	return repo, nil
}

// get fetches as little as it can: one commit where the server lets it be asked for, everything otherwise.
func (s Source) get(ctx context.Context, repo *gogit.Repository, refs []*plumbing.Reference, auth transport.AuthMethod) (plumbing.ReferenceName, plumbing.Hash, error) {
	if name, ok := advertised(refs, s.Revision); ok {
		hash, err := s.getOne(ctx, repo, name.String(), auth)
		if hash.String() == s.Revision {
			name = "" // a commit was asked for, not what points at it
		}
		return name, hash, err
	}
	if !isHex(s.Revision) {
		return "", plumbing.ZeroHash, errRevisionNotFound
	}
	if plumbing.IsHash(s.Revision) {
		hash, err := s.getOne(ctx, repo, s.Revision, auth)
		if !errors.Is(err, gogit.ErrExactSHA1NotSupported) {
			return "", hash, err
		}
	}
	err := repo.FetchContext(ctx, &gogit.FetchOptions{
		RefSpecs: []config.RefSpec{"+refs/*:refs/remotes/origin/*"}, Tags: gogit.NoTags, Auth: auth, Force: true,
		RemoteURL: s.dial(s.URL),
	})
	if err != nil && !errors.Is(err, gogit.NoErrAlreadyUpToDate) {
		return "", plumbing.ZeroHash, fmt.Errorf("fetch: %w", err)
	}
	hash, err := repo.ResolveRevision(plumbing.Revision(s.Revision))
	if err != nil {
		return "", plumbing.ZeroHash, errRevisionNotFound
	}
	return "", *hash, nil
}

func (s Source) getOne(ctx context.Context, repo *gogit.Repository, what string, auth transport.AuthMethod) (plumbing.Hash, error) {
	err := repo.FetchContext(ctx, &gogit.FetchOptions{
		RefSpecs: []config.RefSpec{config.RefSpec("+" + what + ":" + fetched.String())},
		Depth:    1, Tags: gogit.NoTags, Auth: auth, Force: true, RemoteURL: s.dial(s.URL),
	})
	if err != nil && !errors.Is(err, gogit.NoErrAlreadyUpToDate) {
		return plumbing.ZeroHash, fmt.Errorf("fetch: %w", err)
	}
	ref, err := repo.Reference(fetched, true)
	if err != nil {
		return plumbing.ZeroHash, fmt.Errorf("fetch: %w", err)
	}
	return ref.Hash(), nil
}

// advertised finds the reference that a person means by a revision, as `git clone --branch` does, or one that points at
// the commit.
func advertised(refs []*plumbing.Reference, revision string) (plumbing.ReferenceName, bool) {
	byName := make(map[plumbing.ReferenceName]bool, len(refs))
	for _, r := range refs {
		byName[r.Name()] = true
	}
	for _, form := range []string{"refs/heads/%s", "refs/tags/%s", "%s", "refs/%s"} {
		name := plumbing.ReferenceName(fmt.Sprintf(form, revision))
		if byName[name] {
			return name, true
		}
	}
	for _, r := range refs {
		if r.Hash().String() == revision && r.Name() != plumbing.HEAD {
			return plumbing.ReferenceName(strings.TrimSuffix(r.Name().String(), "^{}")), true
		}
	}
	return "", false
}

func isHex(s string) bool {
	if len(s)%2 == 1 {
		s += "0"
	}
	_, err := hex.DecodeString(s)
	return err == nil && len(s) >= 4
}

func peel(repo *gogit.Repository, hash plumbing.Hash) (*object.Commit, error) {
	for {
		tag, err := repo.TagObject(hash)
		if errors.Is(err, plumbing.ErrObjectNotFound) {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("tag %s: %w", hash, err)
		}
		hash = tag.Target
	}
	commit, err := repo.CommitObject(hash)
	if err != nil {
		return nil, fmt.Errorf("%w: %s is not a commit", errRevisionNotFound, hash)
	}
	return commit, nil
}

func (s Source) checkSubPath(commit *object.Commit) error {
	path := filepath.ToSlash(filepath.Clean(s.SubPath))
	if path == "." {
		return nil
	}
	tree, err := commit.Tree()
	if err != nil {
		return fmt.Errorf("files of %s: %w", commit.Hash, err)
	}
	if _, err := tree.Tree(path); err != nil {
		return errSubPathNotFound
	}
	return nil
}

func checkout(repo *gogit.Repository, name plumbing.ReferenceName, commit *object.Commit) error {
	worktree, err := repo.Worktree()
	if err != nil {
		return fmt.Errorf("check out: %w", err)
	}
	opts := &gogit.CheckoutOptions{Hash: commit.Hash, Force: true}
	if name.IsBranch() {
		opts.Branch = name
		_, err := repo.Reference(name, false)
		opts.Create = err != nil
		if !opts.Create {
			opts.Hash = plumbing.ZeroHash
		}
	}
	if err := worktree.Checkout(opts); err != nil {
		return fmt.Errorf("check out: %w", err)
	}
	return nil
}

// submodules fetches the submodules, each with the credentials for its own place: those for one host must not be shown to
// another.
func (s Source) submodules(ctx context.Context, repo *gogit.Repository, depth int) error {
	const deepest = 10
	worktree, err := repo.Worktree()
	if err != nil {
		return fmt.Errorf("submodules: %w", err)
	}
	modules, err := worktree.Submodules()
	if err != nil {
		return fmt.Errorf("submodules: %w", err)
	}
	if len(modules) > 0 && depth == deepest {
		return fmt.Errorf("submodules lie deeper than %d in each other", deepest)
	}
	for _, m := range modules {
		if err := s.submodule(ctx, m, depth); err != nil {
			return fmt.Errorf("submodule %s: %w", m.Config().Name, err)
		}
	}
	return nil
}

func (s Source) submodule(ctx context.Context, m *gogit.Submodule, depth int) error {
	if err := m.Init(); err != nil && !errors.Is(err, gogit.ErrSubmoduleAlreadyInitialized) {
		return err //nolint:wrapcheck // wrapped by the caller
	}
	repo, err := m.Repository()
	if err != nil {
		return err //nolint:wrapcheck // wrapped by the caller
	}
	remote, err := repo.Remote(gogit.DefaultRemoteName) // its URL is whole where that in .gitmodules is relative
	if err != nil {
		return err //nolint:wrapcheck // wrapped by the caller
	}
	auth, err := s.authFor(remote.Config().URLs[0])
	if err != nil {
		return err
	}
	if err := m.UpdateContext(ctx, &gogit.SubmoduleUpdateOptions{Auth: auth}); err != nil {
		return err //nolint:wrapcheck // wrapped by the caller
	}
	return s.submodules(ctx, repo, depth+1)
}

// openUp lets every user of the pod write, since steps may run as any.
func openUp(dir string) error {
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.Type()&fs.ModeSymlink != 0 {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err //nolint:wrapcheck // wrapped below
		}
		mode := info.Mode().Perm() | 0o666
		if d.IsDir() || mode&0o111 != 0 {
			mode |= 0o111
		}
		if mode == info.Mode().Perm() {
			return nil
		}
		return os.Chmod(path, mode) //nolint:wrapcheck,gosec // wrapped below; see above
	})
	if err != nil {
		return fmt.Errorf("let every step write: %w", err)
	}
	return nil
}
