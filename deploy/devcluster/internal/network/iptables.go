// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package network

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"syscall"

	"fairlead.dev/deploy/devcluster/internal/topology"
)

func noSuchDevice(err error) bool { return errors.Is(err, syscall.ENODEV) }

// allowForwarding lets pod traffic through where another program (a Docker
// engine, a firewall) drops what is forwarded: an accept in a table of our own
// would not outvote that drop.
func allowForwarding(ctx context.Context) error {
	out, err := exec.CommandContext(ctx, "iptables", "-S", "FORWARD").CombinedOutput()
	if err != nil {
		return fmt.Errorf("iptables -S FORWARD: %w\n%s", err, out)
	}
	rules := string(out)
	if !strings.Contains(rules, "-P FORWARD DROP") || strings.Contains(rules, topology.Marker) {
		return nil
	}
	for _, direction := range []string{"-i", "-o"} {
		args := []string{
			"-w", "-I", "FORWARD", direction, topology.Bridge,
			"-m", "comment", "--comment", topology.Marker, "-j", "ACCEPT",
		}
		if out, err := exec.CommandContext(ctx, "iptables", args...).CombinedOutput(); err != nil {
			return fmt.Errorf("iptables %s: %w\n%s", strings.Join(args, " "), err, out)
		}
	}
	return nil
}

// portmapShared are the chains that the portmap plugin makes for all of its
// networks. They go once no network has a rule in them.
var portmapShared = []string{"CNI-HOSTPORT-SETMARK", "CNI-HOSTPORT-MASQ", "CNI-HOSTPORT-DNAT"}

var portmapChain = regexp.MustCompile(`^CNI-(DN|SN)-[0-9a-f]+$`)

// removal is a set of edits to one iptables table.
type removal struct {
	table string
	// lines are in the form that iptables-restore reads.
	lines []string
}

// ours finds what the cluster left in the output of iptables-save: rules with
// its marker, which is the CNI network's name as well, the chains they lead to,
// and the portmap plugin's chains if no network uses them.
func ours(saved string) []removal {
	var out []removal
	for table := range strings.SplitSeq(saved, "\n*") {
		name, body, found := strings.Cut(strings.TrimPrefix(table, "*"), "\n")
		if !found || strings.HasPrefix(name, "#") {
			continue
		}
		if r := oursOf(name, strings.Split(body, "\n")); len(r.lines) > 0 {
			out = append(out, r)
		}
	}
	return out
}

func oursOf(table string, lines []string) removal {
	var rules []string
	for _, line := range lines {
		if strings.HasPrefix(line, "-A ") {
			rules = append(rules, line)
		}
	}
	doomed := map[string]bool{}
	isOurs := func(rule string) bool {
		return strings.Contains(rule, topology.Marker+" ") || strings.Contains(rule, topology.Marker+`\"`) ||
			strings.Contains(rule, `"`+topology.Marker+`"`) || doomed[chainOf(rule)]
	}
	for _, rule := range rules {
		if target := targetOf(rule); isOurs(rule) && portmapChain.MatchString(target) {
			doomed[target] = true
		}
	}
	left := slices.DeleteFunc(slices.Clone(rules), isOurs)
	if !slices.ContainsFunc(left, func(rule string) bool { return portmapChain.MatchString(targetOf(rule)) }) {
		for _, chain := range portmapShared {
			doomed[chain] = true
		}
		left = slices.DeleteFunc(left, func(rule string) bool { return doomed[chainOf(rule)] || doomed[targetOf(rule)] })
	}
	return removal{table: table, lines: edits(lines, rules, left, doomed)}
}

// edits deletes rules first, then flushes and deletes chains: a chain can go
// only when it is empty and nothing leads to it.
func edits(lines, rules, left []string, doomed map[string]bool) []string {
	var out, flushes, deletes []string
	for _, rule := range rules {
		if !slices.Contains(left, rule) && !doomed[chainOf(rule)] {
			out = append(out, "-D "+strings.TrimPrefix(rule, "-A "))
		}
	}
	for _, line := range lines {
		chain, isChain := strings.CutPrefix(line, ":")
		chain, _, _ = strings.Cut(chain, " ")
		if isChain && doomed[chain] {
			flushes = append(flushes, "-F "+chain)
			deletes = append(deletes, "-X "+chain)
		}
	}
	return slices.Concat(out, flushes, deletes)
}

func chainOf(rule string) string { return wordAfter(rule, "-A") }

func targetOf(rule string) string { return wordAfter(rule, "-j") }

func wordAfter(rule, flag string) string {
	words := strings.Fields(rule)
	for i, word := range words {
		if word == flag && i+1 < len(words) {
			return words[i+1]
		}
	}
	return ""
}

func removeIPTables(ctx context.Context) error {
	saved, err := exec.CommandContext(ctx, "iptables-save").Output()
	if err != nil {
		return fmt.Errorf("iptables-save: %w", err)
	}
	for _, r := range ours(string(saved)) {
		cmd := exec.CommandContext(ctx, "iptables-restore", "--noflush", "-w")
		cmd.Stdin = strings.NewReader("*" + r.table + "\n" + strings.Join(r.lines, "\n") + "\nCOMMIT\n")
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("iptables-restore of %s: %w\n%s", r.table, err, out)
		}
	}
	return errors.Join(removeEmptyTable(ctx, "ip"), removeEmptyTable(ctx, "ip6"))
}

// removeEmptyTable deletes iptables' nat table if it does nothing: the portmap
// plugin makes it by looking into it, for each pod that ends.
func removeEmptyTable(ctx context.Context, family string) error {
	listing, err := exec.CommandContext(ctx, "nft", "-j", "list", "table", family, "nat").Output()
	if exit, ok := errors.AsType[*exec.ExitError](err); ok && exit.Exited() {
		return nil // There is none, or iptables is not of the nft flavour.
	}
	if err != nil {
		return fmt.Errorf("nft list table %s nat: %w", family, err)
	}
	if idle, err := doesNothing(listing); !idle || err != nil {
		return err
	}
	return nft(ctx, "delete table "+family+" nat\n")
}

// doesNothing reads nft's JSON listing of a table, and reports whether it has
// neither rules, nor sets or maps, nor a chain that drops.
func doesNothing(listing []byte) (bool, error) {
	var parsed struct {
		Nftables []map[string]struct {
			Hook   string `json:"hook"`
			Policy string `json:"policy"`
		} `json:"nftables"`
	}
	if err := json.Unmarshal(listing, &parsed); err != nil {
		return false, fmt.Errorf("read nft's listing: %w", err)
	}
	for _, object := range parsed.Nftables {
		for kind, value := range object {
			switch kind {
			case "metainfo", "table":
			case "chain":
				if value.Hook == "" || value.Policy != "accept" {
					return false, nil
				}
			default:
				return false, nil
			}
		}
	}
	return true, nil
}
