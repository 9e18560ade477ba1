# SPDX-License-Identifier: Apache-2.0
"""podman 4.3 with its CNI backend starts and stops containers on roost.

podman is a one-shot client: each command reads the network configurations, asks each plugin for
its VERSION, and calls ADD or DEL under one lock. It sends --ip and --mac-address as IP= and MAC=
in CNI_ARGS (two addresses as the capability `ips`), wants a MAC for each interface in a result,
and after a lost /run it calls ADD for the same container id without any DEL before.

The image is a busybox and a web page, imported from a folder. Three networks share one state
folder: `roostnet` (IPv4), `othernet` (IPv4, another pool), `dualnet` (both families).
"""
import json
import os
import shutil
import signal

import pytest

import e2e
import world
from e2e import MTU, NODE4, PAGE, ROUTER4, ROUTER6, expect, expect_in, page_from

pytestmark = pytest.mark.needs("podman", "runc", "conmon", "busybox", "iptables", "curl", "nsenter")

IMAGE = "localhost/busybox:1"

CONTAINERS_CONF = """
[containers]
default_ulimits = ["nofile=1024:1024", "nproc=1024:1024"]
[engine]
cgroup_manager = "cgroupfs"
events_logger = "file"
runtime = "runc"
[network]
network_backend = "cni"
cni_plugin_dirs = ["{cni_bin}"]
network_config_dir = "{net_d}"
default_network = "roostnet"
"""

STORAGE_CONF = """
[storage]
driver = "overlay"
runroot = "{scratch}/storage-run"
graphroot = "{scratch}/storage"
"""


class Podman:
    """podman, run in the node's network namespace with everything below the scratch folder."""

    def __init__(self, node):
        self.node = node
        self.tmp = node.scratch + "/podman"
        self.env = {"CONTAINERS_CONF": self._write("containers.conf", CONTAINERS_CONF),
                    "CONTAINERS_STORAGE_CONF": self._write("storage.conf", STORAGE_CONF)}
        self("import", e2e.busybox_root(node.scratch), IMAGE)

    def _write(self, name, template):
        path = f"{self.node.scratch}/{name}"
        with open(path, "w") as file:
            file.write(template.format(**vars(self.node)))
        return path

    def attempt(self, *words):
        return self.node.attempt("podman", "--tmpdir", self.tmp, *words, env=self.env)

    def __call__(self, *words):
        return self.node.run("podman", "--tmpdir", self.tmp, *words, env=self.env)

    def start(self, name, *options, network="roostnet"):
        """A container that serves PAGE; its first address."""
        self("run", "-d", "--name", name, "--network", network,
             "--cgroup-parent", "/" + world.cgroup(), *options, IMAGE,
             "/bin/httpd", "-f", "-p", "80", "-h", "/www")
        return self.address(name, network.split(",")[0])

    def networks(self, name):
        return json.loads(self("inspect", name))[0]["NetworkSettings"]["Networks"]

    def address(self, name, network="roostnet"):
        return self.networks(name)[network]["IPAddress"]

    def inside(self, name, *argv):
        return self("exec", name, *argv)

    def ping(self, name, address):
        self.inside(name, "ping", "-c", "1", "-W", "3", address)

    def lose_everything(self, name):
        """What a reboot does: the container is in podman's database, and nothing else is left."""
        state = json.loads(self("inspect", name))[0]
        for process in ("ConmonPid", "Pid"):
            os.kill(state["State"][process], signal.SIGKILL)
        netns = state["NetworkSettings"]["SandboxKey"]
        e2e.run("umount", netns)
        os.unlink(netns)
        e2e.run("umount", "-R", self.node.scratch + "/storage/overlay")
        for folder in (self.tmp, self.node.scratch + "/storage-run", "/run/runc"):
            shutil.rmtree(folder)
        os.unlink("/dev/shm/libpod_lock")

    def remove_all(self):
        """podman waits 5 s for a killed process to end; on a busy machine it is asked again."""
        if self.attempt("rm", "-f", "-a", "-t", "0").returncode != 0:
            self("rm", "-f", "-a", "-t", "0")


@pytest.fixture(scope="module")
def installed():
    node = e2e.Node()
    node.install(node.network("roostnet", e2e.POOL4))
    node.install(node.network("othernet", e2e.OTHER4))
    node.install(node.network("dualnet", e2e.POOL4, e2e.POOL6))
    return Podman(node)


@pytest.fixture
def podman(installed):
    with e2e.audited(installed):
        yield installed


# --- Stories --------------------------------------------------------------------------------------

def test_a_container_has_its_address_its_routes_and_the_mtu_of_the_uplink(podman):
    address = podman.start("c1")
    expect_in("address in the pod", f"inet {address}/32 ", podman.inside("c1", "ip", "addr"))
    routes = podman.inside("c1", "ip", "route")
    expect_in("routes in the pod", "default via 169.254.1.1 dev eth0", routes)
    expect_in("links in the pod", f"mtu {MTU} ", podman.inside("c1", "ip", "link", "show", "eth0"))
    host = json.loads(podman.node.run("ip", "-j", "-N", "route", "show", address))
    digits = "".join(f"{int(part):02x}" for part in address.split("."))
    expect("route on the node", [("roost" + digits, "82")],
           [(route["dev"], str(route["protocol"])) for route in host])


def test_its_owner_is_recorded(podman):
    address = podman.start("c1")
    record = podman.node.allocation(address)
    expect("pod name", "c1", record["podName"])
    expect("network", "roostnet", record["network"])
    expect("interface", "eth0", record["interface"])
    expect("container id", podman("inspect", "-f", "{{.Id}}", "c1").strip(), record["containerID"])


def test_containers_reach_each_other_the_node_and_the_world(podman):
    first, second = podman.start("c1"), podman.start("c2")
    podman.ping("c1", second)
    podman.ping("c2", first)
    podman.ping("c1", NODE4)
    podman.ping("c1", ROUTER4)
    expect("page from the node", PAGE, page_from("node", f"http://{first}/"))
    expect("page from the world", PAGE, page_from("router", f"http://{second}/"))


def test_a_container_that_restarts_is_reachable_again(podman):
    podman.start("c1")
    podman("restart", "-t", "0", "c1")
    expect("page after restart", PAGE, page_from("node", f"http://{podman.address('c1')}/"))
    podman("stop", "-t", "0", "c1")
    expect("allocations while stopped", [], podman.node.allocations())
    podman("start", "c1")
    expect("page after stop and start", PAGE, page_from("node", f"http://{podman.address('c1')}/"))


def test_a_published_port_is_reached_from_the_node_and_from_the_world(podman):
    podman.start("c1", "-p", "8080:80")
    podman.start("c2")
    expect("on loopback", PAGE, page_from("node", "http://127.0.0.1:8080/"))
    expect("on the node's address", PAGE, page_from("node", f"http://{NODE4}:8080/"))
    expect("from the world", PAGE, page_from("router", f"http://{NODE4}:8080/"))
    ask = f"printf 'GET / HTTP/1.0\\r\\n\\r\\n' | nc -w 5 {NODE4} 8080"
    expect_in("from another container", PAGE, podman.inside("c2", "sh", "-c", ask))
    podman("restart", "-t", "0", "c1")
    expect("from the world after restart", PAGE, page_from("router", f"http://{NODE4}:8080/"))


def test_a_requested_address_is_given_and_given_again(podman):
    wanted = "10.66.200.7"
    expect("address", wanted, podman.start("c1", "--ip", wanted))
    podman("restart", "-t", "0", "c1")
    expect("address after restart", wanted, podman.address("c1"))
    podman("rm", "-f", "-t", "0", "c1")
    expect("address of the next container", wanted, podman.start("c2", "--ip", wanted))
    podman.ping("c2", ROUTER4)


def test_a_request_that_cannot_be_met_is_refused_and_names_the_address(podman):
    for wanted in (podman.start("c1"), "10.99.0.1"):
        refused = podman.attempt("run", "--rm", "--network", "roostnet", "--ip", wanted,
                                 "--cgroup-parent", "/" + world.cgroup(), IMAGE, "/bin/sleep", "1")
        expect(f"refusal of {wanted}", True, refused.returncode != 0)
        expect_in("the refusal", wanted, refused.stderr)
    podman.ping("c1", NODE4)


def test_a_container_on_two_networks_has_two_interfaces(podman):
    """podman itself settles which of the two is eth0, and calls ADD in the order of its liking."""
    podman.start("c1", network="roostnet,othernet")
    addresses = [podman.address("c1"), podman.address("c1", "othernet")]
    names = [podman.node.allocation(address)["interface"] for address in addresses]
    expect("interfaces", ["eth0", "eth1"], sorted(names))
    seen = podman.inside("c1", "ip", "addr")
    for name, address in zip(names, addresses):
        expect_in(f"address of {name}", f"inet {address}/32 scope global {name}", seen)
        expect(f"page at {address}", PAGE, page_from("router", f"http://{address}/"))
    podman.ping("c1", podman.start("c2", network="othernet"))
    podman.ping("c1", ROUTER4)


def test_a_running_container_joins_and_leaves_a_network(podman):
    podman.start("c1")
    podman("network", "connect", "othernet", "c1")
    other = podman.address("c1", "othernet")
    expect_in("links after connect", f"inet {other}/32 scope global eth1",
              podman.inside("c1", "ip", "addr"))
    expect("owner of the second address", "eth1", podman.node.allocation(other)["interface"])
    podman("network", "disconnect", "othernet", "c1")
    expect("eth1 after disconnect", False, "eth1" in podman.inside("c1", "ip", "addr"))
    expect("allocations after disconnect", ["roostnet"],
           [a["network"] for a in podman.node.allocations()])
    podman.ping("c1", ROUTER4)


def test_a_requested_mac_address_is_set(podman):
    podman.start("c1", "--mac-address", "02:11:22:33:44:55")
    expect_in("the link", "02:11:22:33:44:55", podman.inside("c1", "ip", "link", "show", "eth0"))
    expect("what podman shows", "02:11:22:33:44:55",
           podman.networks("c1")["roostnet"]["MacAddress"])
    podman.ping("c1", ROUTER4)


def test_a_dual_stack_container_is_reachable_over_both_families(podman):
    podman.start("c1", network="dualnet")
    podman.start("c2", "-p", "8080:80", network="dualnet")
    first, second = (podman.networks(name)["dualnet"] for name in ("c1", "c2"))
    expect_in("addresses", f"inet6 {first['GlobalIPv6Address']}/128 scope global",
              podman.inside("c1", "ip", "addr"))
    for target in (second["IPAddress"], second["GlobalIPv6Address"], ROUTER4, ROUTER6):
        podman.ping("c1", target)
    expect("page over IPv6", PAGE, page_from("router", f"http://[{first['GlobalIPv6Address']}]/"))
    expect("published port over IPv6", PAGE, page_from("router", f"http://[{e2e.NODE6}]:8080/"))


def test_two_requested_addresses_are_given_together(podman):
    podman.start("c1", "--ip", "10.66.201.9", "--ip6", "fd66::201:9", network="dualnet")
    seen = podman.networks("c1")["dualnet"]
    expect("addresses", ("10.66.201.9", "fd66::201:9"),
           (seen["IPAddress"], seen["GlobalIPv6Address"]))


def test_a_container_starts_again_after_a_lost_run_folder(podman):
    """As after a reboot: no process, no namespace; then ADD with no DEL before."""
    podman.start("c1", "--ip", "10.66.202.3")
    podman.lose_everything("c1")
    podman("start", "c1")
    expect("address", "10.66.202.3", podman.address("c1"))
    expect("page", PAGE, page_from("node", "http://10.66.202.3/"))
