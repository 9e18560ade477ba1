# SPDX-License-Identifier: Apache-2.0
"""containerd 1.6 starts and stops pods on roost, as a kubelet and as `ctr` would ask it to.

Over the CRI socket, containerd calls ADD once and DEL twice (at stop and at removal, the second
with an empty CNI_NETNS), sends the pod's name in CNI_ARGS, port mappings and annotations as
capabilities with keys in capitals, and runs pods in parallel without any lock. `ctr run --cni`
looks in fixed folders, uses the namespace of a process, and calls DEL when that process is gone,
with no namespace at all.

Images come from podman, since containerd has no importer for a plain folder.
"""
import os

import pytest

pytest.importorskip("grpc")
import cri
import e2e
import world
from e2e import Failed, MTU, NODE4, PAGE, ROUTER4, ROUTER6, expect, expect_in, page_from

pytestmark = pytest.mark.needs("containerd", "ctr", "runc", "podman", "protoc", "busybox", "iptables",
                               "curl")

HTTPD = ("/bin/httpd", "-f", "-p", "80", "-h", "/www")
ADDRESSES = "cni.projectcalico.org/ipAddrs"


# --- Setting up -----------------------------------------------------------------------------------

def images(node):
    """One archive with two images: the busybox, and the same as a pause that sleeps."""
    root = e2e.busybox_root(node.scratch)
    podman = ["podman", "--root", node.scratch + "/storage", "--runroot",
              node.scratch + "/storage-run", "--tmpdir", node.scratch + "/podman"]
    e2e.run(*podman, "import", root, cri.IMAGE)
    e2e.run(*podman, "import", "--change", 'ENTRYPOINT ["/bin/sleep", "2147483647"]', root,
            cri.PAUSE)
    archive = node.scratch + "/images.tar"
    e2e.run(*podman, "save", "--multi-image-archive", "-o", archive, cri.IMAGE, cri.PAUSE)
    return archive


def fixed_folders(node):
    """Where `ctr` looks for networks and plugins, whatever one says."""
    for ours, fixed in ((node.net_d, "/etc/cni/net.d"), (node.cni_bin, "/opt/cni/bin")):
        os.makedirs(fixed, exist_ok=True)
        e2e.run("mount", "--bind", ours, fixed)


@pytest.fixture(scope="module")
def running():
    node = e2e.Node()
    node.install(node.network("roostnet", e2e.POOL4, e2e.POOL6))
    fixed_folders(node)
    return cri.Containerd(node, images(node))


@pytest.fixture
def containerd(running):
    with e2e.audited(running):
        yield running


# --- Stories --------------------------------------------------------------------------------------

def test_a_pod_has_its_addresses_and_reaches_the_world(containerd):
    pod = containerd.run_pod("one").start_container(*HTTPD)
    v4, v6 = pod.addresses()
    seen = pod.inside("/bin/ip", "addr")
    expect_in("IPv4 in the pod", f"inet {v4}/32 ", seen)
    expect_in("IPv6 in the pod", f"inet6 {v6}/128 ", seen)
    expect_in("link in the pod", f"mtu {MTU} ", pod.inside("/bin/ip", "link", "show", "eth0"))
    for target in (NODE4, ROUTER4, ROUTER6):
        pod.inside("/bin/ping", "-c", "1", "-W", "3", target)
    expect("page over IPv4", PAGE, page_from("router", f"http://{v4}/"))
    expect("page over IPv6", PAGE, page_from("node", f"http://[{v6}]/"))


def test_the_owner_of_an_address_is_the_pod(containerd):
    pod = containerd.run_pod("two")
    for address in pod.addresses():
        record = containerd.node.allocation(address)
        expect(f"owner of {address}", ("tests", "two", pod.id, "eth0"),
               (record["podNamespace"], record["podName"], record["containerID"],
                record["interface"]))


def test_a_stopped_pod_holds_no_address_and_can_be_stopped_again(containerd):
    pod = containerd.run_pod("three")
    pod.stop()
    expect("allocations after stop", [], containerd.node.allocations())
    pod.stop()
    pod.remove()


def test_eight_pods_start_and_stop_in_parallel(containerd):
    pods = containerd.in_parallel(containerd.run_pod, [f"many-{i}" for i in range(8)])
    addresses = [address for pod in pods for address in pod.addresses()]
    expect("distinct addresses", 16, len(set(addresses)))
    expect("state and kernel", [], containerd.node.disagreements())
    pods[0].start_container(*HTTPD)
    for address in pods[7].addresses():
        pods[0].inside("/bin/ping", "-c", "1", "-W", "3", address)
    containerd.in_parallel(cri.Pod.remove, pods)


def test_a_pod_whose_namespace_vanished_is_stopped(containerd):
    pod = containerd.run_pod("lost")
    netns = pod.netns()
    e2e.run("umount", netns)
    os.unlink(netns)
    pod.stop()
    expect("allocations", [], containerd.node.allocations())


def test_a_pod_whose_namespace_became_a_plain_file_is_stopped(containerd):
    """What a reboot leaves behind: the file that a namespace was mounted on."""
    pod = containerd.run_pod("file")
    e2e.run("umount", pod.netns())
    pod.stop()
    expect("allocations", [], containerd.node.allocations())


def test_an_annotation_asks_for_an_address(containerd):
    pod = containerd.run_pod("wants", {ADDRESSES: '["10.66.77.7"]'})
    expect("address", "10.66.77.7", pod.addresses()[0])
    pod.remove()
    both = containerd.run_pod("wants-both", {ADDRESSES: '["10.66.77.7", "fd66::77:7"]'})
    expect("addresses", ["10.66.77.7", "fd66::77:7"], both.addresses())


def test_an_address_that_is_taken_is_refused_to_a_second_pod(containerd):
    first = containerd.run_pod("first", {ADDRESSES: '["10.66.77.8"]'})
    try:
        containerd.run_pod("second", {ADDRESSES: '["10.66.77.8"]'})
    except Failed as why:
        expect_in("the refusal", "10.66.77.8", str(why))
    else:
        raise Failed("a second pod was given 10.66.77.8")
    expect("owners left", [first.id, first.id],
           [a["containerID"] for a in containerd.node.allocations()])


def test_a_host_port_is_reached_from_the_node_and_from_the_world(containerd):
    containerd.run_pod("web", ports=[(8081, 80)]).start_container(*HTTPD)
    expect("on loopback", PAGE, page_from("node", "http://127.0.0.1:8081/"))
    expect("from the world", PAGE, page_from("router", f"http://{NODE4}:8081/"))
    expect("from the world over IPv6", PAGE, page_from("router", f"http://[{e2e.NODE6}]:8081/"))


def test_a_pod_outlives_a_killed_containerd(containerd):
    pod = containerd.run_pod("survivor").start_container(*HTTPD)
    address = pod.addresses()[0]
    containerd.kill()
    try:
        expect("page meanwhile", PAGE, page_from("router", f"http://{address}/"))
    finally:
        containerd.start()
    expect("addresses afterwards", address, pod.addresses()[0])
    pod.remove()


def test_ctr_runs_a_container_and_cleans_up_without_its_namespace(containerd):
    said = containerd.ctr("run", "--rm", "--cni", "--cgroup", f"/{world.cgroup()}/ctr", cri.IMAGE,
                          "by-ctr", "/bin/sh", "-c", f"ip addr; ping -c 1 -W 3 {ROUTER4}")
    expect_in("address in the container", "/32 scope global eth0", said)
    expect_in("ping of the world", "1 packets received", said)
