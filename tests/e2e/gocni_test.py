# SPDX-License-Identifier: Apache-2.0
"""go-cni and libcni, without a daemon, in each version of CNI that they speak.

The driver in gocni/main.go is compiled from Debian's packaged sources when the test runs; no
network is asked for anything. What containerd never does, other clients do: CHECK right after ADD
(CRI-O), DEL before ADD (nerdctl), DEL with an empty namespace (ctr), ADD again without DEL (Nomad,
or anybody after a reboot), and DEL without the cached result (after a power loss). Each story is
told once per version.
"""
import json
import os
import shutil

import pytest

import e2e
from e2e import Failed, NODE4, ROUTER4, ROUTER6, expect, expect_in

pytestmark = pytest.mark.needs("/usr/bin/go", "iptables", "ping", "nsenter")

SERVED, GATEWAY, BROADCAST = "10.68.0.0/24", "10.68.0.1", "10.68.0.63"
VERSIONS = ("0.3.1", "0.4.0", "1.0.0")
PACKAGED = {"GOPATH": "/usr/share/gocode", "GO111MODULE": "off", "GOFLAGS": "", "CGO_ENABLED": "0"}


class GoCni:
    """The driver, and the pods (namespaces) that were made for it."""

    def __init__(self, node):
        self.node = node
        self.binary = node.scratch + "/gocni"
        self.pods = []
        here = os.path.dirname(os.path.abspath(__file__))
        e2e.run("/usr/bin/go", "build", "-o", self.binary, here + "/gocni/main.go",
                env=dict(PACKAGED, GOCACHE=node.scratch + "/gocache"), timeout=300)

    def use(self, network):
        self.conflist = self.node.install(network)

    def all(self, verb, attachments):
        """Does the verb for each id of {id: namespace path} at once; {id: outcome}."""
        words = [f"{ident}={netns}" for ident, netns in attachments.items()]
        said = self.node.run(self.binary, self.conflist, self.node.cni_bin, verb, *words)
        return json.loads(said)

    def attempt(self, verb, ident, netns):
        return self.all(verb, {ident: netns})[ident]

    def __call__(self, verb, ident, netns):
        outcome = self.attempt(verb, ident, netns)
        if "error" in outcome:
            raise Failed(f"{verb} of {ident}: {outcome['error']}")
        return outcome

    def pod(self, name):
        """A new namespace; its path."""
        e2e.run("ip", "netns", "add", name)
        e2e.run("ip", "-n", name, "link", "set", "lo", "up")
        if name not in self.pods:
            self.pods.append(name)
        return "/run/netns/" + name

    def remove_all(self):
        pods, self.pods = self.pods, []
        outcomes = self.all("remove", {name: "/run/netns/" + name for name in pods})
        for name in pods:
            e2e.run("ip", "netns", "del", name)
        errors = [o["error"] for o in outcomes.values() if "error" in o]
        if errors:
            raise Failed("removal: " + "; ".join(errors))


def ping(pod, *addresses):
    for address in addresses:
        e2e.run(*e2e.in_netns(pod, "ping", "-c", "1", "-W", "3", address))


def link(pod, name):
    links = json.loads(e2e.run("ip", "-n", pod, "-j", "addr"))
    return next((one for one in links if one["ifname"] == name), None)


def lifetime(address):
    """What `ip -j` says of a global address; a tentative one would not be usable yet."""
    return address["local"], address["prefixlen"], "tentative" in address


@pytest.fixture(scope="module")
def driver():
    return GoCni(e2e.Node())


@pytest.fixture
def any_cni(driver):
    """No network is there yet."""
    with e2e.audited(driver):
        yield driver


@pytest.fixture(params=VERSIONS)
def cni(request, any_cni):
    """A network of both families, in each version."""
    any_cni.use(any_cni.node.network("roostnet", e2e.POOL4, e2e.POOL6, version=request.param))
    return any_cni


# --- Stories --------------------------------------------------------------------------------------

def test_setup_returns_what_the_pod_has(cni):
    netns = cni.pod("p1")
    result = cni("setup", "p1", netns)
    eth0 = link("p1", "eth0")
    v4, v6 = result["addresses"]
    expect("addresses", [(v4, 32, False), (v6, 128, False)],
           [lifetime(a) for a in eth0["addr_info"] if a["scope"] == "global"])
    expect("mac", eth0["address"], result["mac"])
    expect("sandbox", netns, result["sandbox"])
    expect("name servers", ["192.0.2.53"], result["servers"])
    ping("p1", ROUTER4, ROUTER6)


@pytest.mark.parametrize("cni", VERSIONS[1:], indirect=True)  # 0.3.1 has no CHECK
def test_check_passes_right_after_setup_and_fails_without_the_address(cni):
    netns = cni.pod("p1")
    address = cni("setup", "p1", netns)["addresses"][0]
    cni("check", "p1", netns)
    e2e.run("ip", "-n", "p1", "addr", "flush", "dev", "eth0", "to", address)
    refused = cni.attempt("check", "p1", netns)
    expect_in("what check says", address, refused.get("error", "no error"))


def test_remove_may_be_repeated(cni):
    netns = cni.pod("p1")
    cni("setup", "p1", netns)
    for _ in range(2):
        cni("remove", "p1", netns)
        expect("eth0 in the pod", None, link("p1", "eth0"))
        expect("allocations", [], cni.node.allocations())


def test_remove_needs_no_namespace(cni):
    cni("setup", "p1", cni.pod("p1"))
    cni("remove", "p1", "")
    expect("allocations", [], cni.node.allocations())
    expect("eth0 in the pod", None, link("p1", "eth0"))
    cni("remove", "p1", "")


def test_remove_may_come_before_setup(cni):
    netns = cni.pod("p1")
    cni("remove", "p1", "")
    cni("setup", "p1", netns)
    ping("p1", ROUTER4)


def test_remove_needs_no_cached_result(cni):
    netns = cni.pod("p1")
    cni("setup", "p1", netns)
    shutil.rmtree("/var/lib/cni/results")
    cni("remove", "p1", netns)
    expect("allocations", [], cni.node.allocations())


def test_a_second_setup_is_refused_and_changes_nothing(cni):
    netns = cni.pod("p1")
    cni("setup", "p1", netns)
    before = link("p1", "eth0"), cni.node.allocations()
    refused = cni.attempt("setup", "p1", netns)
    expect_in("the refusal", "eth0", refused.get("error", "no error"))
    expect("pod and allocations", before, (link("p1", "eth0"), cni.node.allocations()))
    ping("p1", ROUTER4)


def test_a_container_id_comes_back_with_a_new_namespace(cni):
    first = cni("setup", "p1", cni.pod("p1"))
    e2e.run("ip", "netns", "del", "p1")
    second = cni("setup", "p1", cni.pod("p1"))
    expect("addresses", first["addresses"], second["addresses"])
    ping("p1", ROUTER4, ROUTER6)


def test_eight_at_once_have_eight_addresses(cni):
    pods = {name: cni.pod(name) for name in (f"p{i}" for i in range(8))}
    outcomes = cni.all("setup", pods)
    expect("errors", {}, {name: o for name, o in outcomes.items() if "error" in o})
    expect("distinct addresses", 16, len({a for o in outcomes.values() for a in o["addresses"]}))
    for name in pods:
        ping(name, *outcomes["p0"]["addresses"])
    removed = cni.all("remove", pods)
    expect("outcome of removal", {name: {} for name in pods}, removed)


# --- Stories with other plugins -------------------------------------------------------------------

def test_a_chain_of_other_plugins_finds_what_it_needs(any_cni):
    """tuning changes the link after us; CHECK accepts that, for the chain's result says so."""
    chained = [{"type": "tuning", "mac": "02:00:00:00:00:42", "mtu": 1300},
               {"type": "bandwidth", "ingressRate": 8000000, "ingressBurst": 8000000,
                "egressRate": 8000000, "egressBurst": 8000000},
               {"type": "firewall"}]
    any_cni.use(any_cni.node.network("chainnet", e2e.POOL4, e2e.POOL6, chained=chained))
    netns = any_cni.pod("p1")
    expect("mac", "02:00:00:00:00:42", any_cni("setup", "p1", netns)["mac"])
    expect("mtu", 1300, link("p1", "eth0")["mtu"])
    ping("p1", ROUTER4, ROUTER6)
    any_cni("check", "p1", netns)
    any_cni("remove", "p1", netns)


def test_a_foreign_ipam_plugin_gives_roost_its_addresses(any_cni):
    leases = any_cni.node.scratch + "/leases"
    network = any_cni.node.network("foreignnet")
    network["plugins"][0]["ipam"] = {"type": "host-local", "dataDir": leases,
                                     "subnet": "10.67.5.0/24"}
    any_cni.use(network)
    netns = any_cni.pod("p1")
    expect("addresses", ["10.67.5.2"], any_cni("setup", "p1", netns)["addresses"])
    expect("our allocations", [], any_cni.node.allocations())
    ping("p1", ROUTER4)
    any_cni("check", "p1", netns)
    any_cni("remove", "p1", netns)
    expect("leases left", False, os.path.exists(leases + "/foreignnet/10.67.5.2"))


@pytest.mark.parametrize("main_plugin", [
    {"type": "ptp"}, {"type": "bridge", "bridge": "br0", "isGateway": True}], ids=["ptp", "bridge"])
def test_roost_ipam_serves(any_cni, main_plugin):
    """ptp and bridge want a gateway in the pod's own network; roost-ipam keeps it and the
    broadcast address of its block reserved."""
    ipam = {"type": "roost-ipam", "stateDir": any_cni.node.state, "gateway": GATEWAY,
            "pools": [{"cidr": SERVED, "blockSize": 26}]}
    any_cni.use({"cniVersion": "1.0.0", "name": main_plugin["type"] + "net",
                 "plugins": [dict(main_plugin, ipam=ipam)]})
    pods = {name: any_cni.pod(name) for name in ("p1", "p2")}
    outcomes = any_cni.all("setup", pods)
    expect("errors", {}, {name: o for name, o in outcomes.items() if "error" in o})
    ping("p1", *outcomes["p2"]["addresses"], GATEWAY, NODE4)
    expect("reserved", [GATEWAY, BROADCAST],
           [a["address"] for a in any_cni.node.allocations("reserved")])
    expect("check", {name: {} for name in pods}, any_cni.all("check", pods))
    expect("remove", {name: {} for name in pods}, any_cni.all("remove", pods))
