// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

// Package network makes and removes what a devcluster needs of the kernel's
// networking: the pod bridge, a route to the Service range, address
// translation for pods, and a few sysctls.
package network

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"

	"github.com/vishvananda/netlink"

	"fairlead.dev/deploy/devcluster/internal/topology"
)

// bridgeMAC is fixed, since a bridge without one takes the address of a port
// and changes it as pods come and go.
const bridgeMAC = "0a:58:0a:f4:00:01"

// Setup makes the bridge and all that goes with it. What is there stays.
func Setup(ctx context.Context) error {
	loadModules(ctx)
	if err := setSysctls(); err != nil {
		return err
	}
	bridge, err := ensureBridge()
	if err != nil {
		return fmt.Errorf("make the bridge %s: %w", topology.Bridge, err)
	}
	if err := ensureServiceRoute(bridge); err != nil {
		return fmt.Errorf("route %s: %w", topology.ServiceCIDR, err)
	}
	if err := nft(ctx, masqueradeRules()); err != nil {
		return err
	}
	return allowForwarding(ctx)
}

// loadModules tries what may be built into the kernel: setSysctls finds out
// whether something is missing.
func loadModules(ctx context.Context) {
	for _, module := range []string{"overlay", "br_netfilter", "nf_conntrack", "nft_masq"} {
		_ = exec.CommandContext(ctx, "modprobe", module).Run()
	}
}

type sysctl struct {
	key   string
	value int
	// atLeast leaves a larger value alone.
	atLeast bool
}

func sysctls() []sysctl {
	return []sysctl{
		{"net/ipv4/ip_forward", 1, false},
		// Without it an answer between two pods passes by the translation of
		// the Service's address.
		{"net/bridge/bridge-nf-call-iptables", 1, false},
		{"fs/inotify/max_user_instances", 8192, true},
		{"fs/inotify/max_user_watches", 524288, true},
	}
}

func setSysctls() error {
	for _, s := range sysctls() {
		path := "/proc/sys/" + s.key
		raw, err := os.ReadFile(path)
		if err != nil {
			return fmt.Errorf("read the sysctl %s (is a kernel module missing, e.g. br_netfilter?): %w", s.key, err)
		}
		have, err := strconv.Atoi(strings.TrimSpace(string(raw)))
		if err == nil && (have == s.value || s.atLeast && have > s.value) {
			continue
		}
		if err := os.WriteFile(path, []byte(strconv.Itoa(s.value)), 0o600); err != nil {
			return fmt.Errorf("set the sysctl %s to %d: %w", s.key, s.value, err)
		}
	}
	return nil
}

func ensureBridge() (netlink.Link, error) {
	link, err := netlink.LinkByName(topology.Bridge)
	if _, missing := errors.AsType[netlink.LinkNotFoundError](err); missing {
		mac, parseErr := net.ParseMAC(bridgeMAC)
		if parseErr != nil {
			return nil, parseErr
		}
		attrs := netlink.NewLinkAttrs()
		attrs.Name, attrs.HardwareAddr = topology.Bridge, mac
		if err := netlink.LinkAdd(&netlink.Bridge{LinkAttrs: attrs}); err != nil {
			return nil, err
		}
		link, err = netlink.LinkByName(topology.Bridge)
	}
	if err != nil {
		return nil, err
	}
	addr, err := netlink.ParseAddr(fmt.Sprintf("%s/%d", topology.BridgeIP, topology.PodMaskBits))
	if err != nil {
		return nil, err
	}
	if err := netlink.AddrReplace(link, addr); err != nil {
		return nil, fmt.Errorf("give it %s: %w", addr, err)
	}
	return link, netlink.LinkSetUp(link)
}

// ensureServiceRoute gives the host a way and a source address to ClusterIPs,
// on a machine without a default route too.
func ensureServiceRoute(bridge netlink.Link) error {
	_, services, err := net.ParseCIDR(topology.ServiceCIDR)
	if err != nil {
		return err
	}
	return netlink.RouteReplace(&netlink.Route{
		LinkIndex: bridge.Attrs().Index,
		Dst:       services,
		Src:       net.ParseIP(topology.BridgeIP),
		Scope:     netlink.SCOPE_LINK,
	})
}

func masqueradeRules() string {
	return fmt.Sprintf(`add table ip %[1]s
delete table ip %[1]s
table ip %[1]s {
	chain postrouting {
		type nat hook postrouting priority srcnat + 10; policy accept;
		ip saddr %[2]s ip daddr != %[2]s oifname != "%[3]s" masquerade
	}
}
`, topology.Marker, topology.PodCIDR, topology.Bridge)
}

// Teardown removes the pods' links, the bridge and the packet filter's rules.
func Teardown(ctx context.Context) error {
	return errors.Join(removeLinks(), removeTables(ctx), removeIPTables(ctx))
}

func removeLinks() error {
	bridge, err := netlink.LinkByName(topology.Bridge)
	if _, missing := errors.AsType[netlink.LinkNotFoundError](err); missing {
		return nil
	}
	if err != nil {
		return err
	}
	links, err := netlink.LinkList()
	if err != nil {
		return err
	}
	var errs []error
	for _, link := range links {
		if link.Attrs().MasterIndex != bridge.Attrs().Index {
			continue
		}
		// A pod's end may have gone with its namespace meanwhile.
		err := netlink.LinkDel(link)
		if _, gone := errors.AsType[netlink.LinkNotFoundError](err); err != nil && !gone && !noSuchDevice(err) {
			errs = append(errs, fmt.Errorf("delete the link %s: %w", link.Attrs().Name, err))
		}
	}
	if err := netlink.LinkDel(bridge); err != nil {
		errs = append(errs, fmt.Errorf("delete the bridge: %w", err))
	}
	return errors.Join(errs...)
}

// removeTables deletes our table and kube-proxy's. In nft, adding a table that
// exists is no error, so that deleting it afterwards is none either.
func removeTables(ctx context.Context) error {
	var rules strings.Builder
	for _, table := range []string{"ip " + topology.Marker, "ip kube-proxy", "ip6 kube-proxy"} {
		fmt.Fprintf(&rules, "add table %[1]s\ndelete table %[1]s\n", table)
	}
	return nft(ctx, rules.String())
}

func nft(ctx context.Context, rules string) error {
	cmd := exec.CommandContext(ctx, "nft", "-f", "-")
	cmd.Stdin = strings.NewReader(rules)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("nft: %w\n%s", err, out)
	}
	return nil
}
