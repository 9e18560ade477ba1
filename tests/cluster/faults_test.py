# SPDX-License-Identifier: Apache-2.0
"""What goes wrong around a cluster and is nobody's crash: full disks, odd networks, clocks, filters,
somebody else's devices. Each story shows that the agent says what is wrong, in a sentence, that
everything which does not depend on it works on, and that it ends when the cause does."""
import contextlib
import json
import os
import shutil
import subprocess
import time

import pytest

import lab
import traffic
from lab import (BIN, Cluster, DEVICE, Failed, PROGRAMS, equal, resource, step, true, until,
                 until_it_passes)

pytestmark = pytest.mark.needs(*PROGRAMS)


def says(node, *words):
    """Whether one line of roostctl status has all the words; the line, so that it can be shown."""
    return next((line.strip() for line in node.status_text().splitlines()
                 if all(w in line for w in words)), None)


def refused(node):
    """Pods until an ADD is refused; how it was."""
    for _ in range(40):
        pod = node.new_pod()
        answer = node.try_add(pod)
        if answer.status:
            refusal = answer.refused(11)
            return pod, f"{refusal['msg']}; {refusal.get('details', '')}"
    true(False, "an ADD to be refused in the end")


# ---- full disks ----

def goes_on_when_there_is_room(cluster, pod, make_room):
    node = cluster.nodes[0]
    with cluster.pinger_within(list(node.pods.values())[:3]) as pinger:
        make_room()
        until(lambda: node.call("ADD", pod).status == 0, "ADD to work again")
        pinger.goes_on()
    pinger.lost_nothing()
    node.call("DEL", pod).ok("DEL")
    until(lambda: not says(node, "did not take") and not says(node, "are not used"),
          "status to be content again")
    until_it_passes(node.consistent, "the node to be consistent")


def small(store, **more):
    """One node whose blocks have four addresses and which claims none ahead."""
    return Cluster(nodes=1, store=store, subnets=1, families=(4,), block=30, start=False,
                   settings={"headroom": 1}, **more)


def begun(cluster):
    cluster.store.start()
    cluster.apply(*cluster.manifest())
    cluster.nodes[0].start()
    until(cluster.nodes[0].ready, "the node to be ready")
    cluster.nodes[0].add_pod()


def test_a_full_etcd_is_named_in_status_and_to_pods_that_get_no_address():
    with small("etcd") as c:
        c.store.members[0].argv += ["--quota-backend-bytes", str(8 << 20)]
        begun(c)
        node = c.nodes[0]
        filler = b"x" * (1 << 20)
        full = False
        for n in range(24):
            try:
                c.store.put(b"filler", filler)
            except Exception:
                full = True
                break
        true(full, "etcd to be full")
        step("status: " + until(lambda: says(node, "did not take", "space exceeded"),
                                "status to say that etcd is full"))
        pod, why = refused(node)
        step(f"ADD after {len(node.pods)} pods: {why}")
        true("space exceeded" in why, "the refusal to name the cause", why)
        node.call("STATUS", None, "1.1.0").ok("STATUS while pods are well")

        def make_room():
            c.store.ask("kv/deleterange", key=b"/roost/filler")
            revision = c.store.raw("range", key=b"/roost/x")["header"]["revision"]
            c.store.raw("compaction", revision=revision, physical=True)
            c.store.ask("maintenance/defragment")
            for alarm in c.store.ask("maintenance/alarm", action="GET").get("alarms", []):
                c.store.ask("maintenance/alarm", action="DEACTIVATE", **alarm)
        goes_on_when_there_is_room(c, pod, make_room)


def tmpfs(path, size):
    os.makedirs(path, exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", path], check=True)


def fill_up(path):
    """Until not a byte more fits."""
    with open(f"{path}/filler", "wb", buffering=0) as f:
        for size in (1 << 16, 1):
            try:
                while f.write(b"x" * size) == size:
                    pass
            except OSError:
                pass


def test_a_full_disk_under_the_embedded_store_is_named():
    with small("file") as c:
        folder = f"{c.dir}/store"
        tmpfs(folder, "2m")
        try:
            begun(c)
            node = c.nodes[0]
            fill_up(folder)
            for n, size in enumerate((100000, 3000, 10) * 60):  # what is left in LMDB's own file
                with contextlib.suppress(Failed):
                    c.store.put(f"filler/{n}", b"x" * size)
            pod, why = refused(node)
            step(f"ADD after {len(node.pods)} pods: {why}")
            full = f"cannot use the store in {folder}: "  # LMDB: EIO when half of it fits
            true(f"{full}No space" in why or f"{full}Input/output" in why,
                 "the refusal to name the cause", why)
            step("status: " + until(lambda: says(node, "did not take", full),
                                    "status to say that the disk is full"))
            goes_on_when_there_is_room(c, pod, lambda: os.unlink(f"{folder}/filler"))
        finally:
            subprocess.run(["umount", "-l", folder], check=True)


def test_a_full_disk_under_the_agents_own_file_is_named():
    with small("etcd") as c:
        node = c.nodes[0]
        tmpfs(node.data, "64k")
        try:
            begun(c)
            fill_up(node.data)
            pod, why = refused(node)
            step(f"ADD after {len(node.pods)} pods: {why}")
            true("No space left" in why, "the refusal to name the cause", why)
            step("status: " + until(lambda: says(node, "new blocks are not used", "No space left"),
                                    "status to say that the disk is full"))
            goes_on_when_there_is_room(c, pod, lambda: os.unlink(f"{node.data}/filler"))
        finally:
            subprocess.run(["umount", "-l", node.data], check=True)


# ---- a store that is ruined under the agents ----

def ruin_by_cutting(path):
    os.truncate(path, 0)


def ruin_by_overwriting(path):
    with open(path, "r+b") as f:
        f.seek(8192)
        f.write(b"nonsense" * 8192)


def restore_in_place(copy, path):
    with open(copy, "rb") as good, open(path, "r+b") as f:
        shutil.copyfileobj(good, f)


@pytest.mark.parametrize("ruin, mend", [(ruin_by_cutting, os.replace),
                                        (ruin_by_cutting, restore_in_place),
                                        (ruin_by_overwriting, os.replace)])
def test_an_embedded_store_that_is_ruined_under_the_agents_is_named_and_read_again(ruin, mend):
    with Cluster(nodes=2, store="file", subnets=1) as c:
        c.started()
        path, copy = f"{c.dir}/store/store.mdb", f"{c.dir}/copy.mdb"
        pods = [n.add_pod() for n in c.nodes]
        pids = [n.agent._popen.pid for n in c.nodes]
        subprocess.run(["cp", "--sparse=always", path, copy], check=True)
        with c.pinger_within(pods) as pinger:
            ruin(path)
            for node in c.nodes:
                step(f"{node}: " + until(lambda n=node: says(n, "store", "is damaged"),
                                         "status to name the damaged store"))
                node.add_pod()  # free addresses are there
            mend(copy, path)
            for node in c.nodes:
                until(lambda n=node: not says(n, "is damaged"), "status to be content again")
            c.apply(c.pool("more", "100.99.0.0/24", 28))
            until(lambda: all("100.99.0.0/24" in str(n.ask("ipam", "show")) for n in c.nodes),
                  "the agents to hear of changes")
            pinger.goes_on()
        pinger.lost_nothing()
        equal([n.agent._popen.pid for n in c.nodes], pids, "the agents, which went on")
        for node in c.nodes:
            until_it_passes(node.consistent, "the node to be consistent")


# ---- odd networks ----

def test_an_uplink_too_small_for_ipv6_leaves_ipv4_to_pods():
    with Cluster(encap="vxlan") as c:
        c.started()
        node = c.nodes[0]
        four = [p for n in c.nodes for p in n.pods.values()]
        with traffic.Pinger({f"{a} to {b}": (a.path, b.ip4) for a in four for b in four
                             if a is not b}) as pinger:
            node.ns.ip("link set eth0 mtu 1300")
            step("status: " + until(lambda: says(node, "MTU of eth0 is 1300", "IPv6 needs 1280"),
                                    "status to name the MTU"))
            until(lambda: not node.ns.link(DEVICE[6]), "the IPv6 tunnel to go")
            pod = node.add_pod()
            equal((pod.ip(6), pod.ns.link("eth0")["mtu"]), (None, 1250),
                  "IPv6 address and MTU of a new pod")
            others = c.nodes[1:]
            traffic.icmp(pod.path, next(iter(others[0].pods.values())).ip4)
            pinger.goes_on()
        pinger.lost_nothing()
        a, b = (next(iter(n.pods.values())) for n in others)
        traffic.tcp(a.path, b.ip(6))
        step("IPv4 everywhere, IPv6 between the other nodes")
        node.del_pod(pod)
        node.ns.ip("link set eth0 mtu 1500")
        until(lambda: not says(node, "IPv6 needs"), "status to be content again")
        true(node.add_pod().ip(6), "an IPv6 address again")
        c.wait_converged()
        c.matrix()


def test_a_kernel_without_ipip_is_told_and_all_else_goes_on():
    """On a kernel that has it tests/vm/ipip_test.py tells the rest."""
    if lab.has_ipip():
        step("this kernel has IPIP")
        return
    with Cluster(encap="ipip", encap6="vxlan") as c:
        c.fill()
        for node in c.nodes:
            step("status: " + until(lambda n=node: says(n, "this kernel has no IPIP", "modprobe ipip"),
                                    "status to name the module"))
        here = next(iter(c.nodes[0].pods.values()))
        traffic.icmp(here.path, c.nodes[0].add_pod().ip4)
        there = next(iter(c.nodes[1].pods.values()))
        until(lambda: traffic.answers(here.path, there.ip(6)), "IPv6 pods to reach each other")
        c.encap = "vxlan"
        c.apply(*c.manifest())
        c.wait_converged()
        until(lambda: not says(c.nodes[0], "IPIP"), "status to be content")
        c.matrix()


def test_a_foreign_device_in_our_place_is_named_left_alone_and_its_end_noticed():
    with Cluster(nodes=2, encap="vxlan", families=(4,)) as c:
        c.started()
        node = c.nodes[0]
        for what, words, command in (
                ("a device of our name", "exists and is not ours",
                 f"link add {DEVICE[4]} type vxlan id 77 dstport 4790"),
                ("a device of our name, of another kind", "exists and is not ours",
                 f"link add {DEVICE[4]} type bridge"),
                ("a device with our VNI and port", "another VXLAN device has VNI 4096",
                 "link add vxlan.other type vxlan id 4096 dstport 4789 local 10.1.1.11")):
            foreign = command.split()[2]
            node.agent.kill()
            node.ns.ip(f"link del {DEVICE[4]}", command)
            before = node.ns.link(foreign)
            node.agent.start()
            step(f"{what}: " + until(lambda: says(node, words), f"status to tell of {what}"))
            pod = node.add_pod()
            traffic.icmp(pod.path, next(iter(node.pods.values())).ip4)
            node.del_pod(pod)
            equal(node.ns.link(foreign), before, f"{what} as it was")
            asked = time.monotonic()
            node.ns.ip(f"link del {foreign}")
            c.wait_converged()
            until(lambda: c.matrix() and not says(node, words), "everything to be right again")
            step(f"deleted: right again after {time.monotonic() - asked:.1f} s")


def test_a_node_inside_a_pool_and_a_pool_over_the_nodes_harm_nobody_else():
    """roostctl refuses both; here somebody writes past it."""
    with Cluster(encap="vxlan", families=(4,), store="etcd") as c:
        c.started()
        with c.pinger() as pinger:
            pinger.goes_on()
            stray = resource("Node", "stray", bgp={"ipv4Address": "100.66.7.7/24"},
                             ipv4VXLANTunnelAddr="100.66.7.8",
                             vxlanTunnelMACAddr="02:00:00:00:00:77")
            wrong = c.pool("a-wrong-one", "10.1.0.0/16", 26)
            for name, document in (("Node", stray), ("IPPool", wrong)):
                refusal = c.nodes[0].ctl("apply", "-f", "-", stdin=json.dumps(document), ok=False)
                equal(refusal.returncode, 1, f"the exit status of apply of the {name}")
            c.store.put(b"resources/nodes/stray", json.dumps(stray).encode())
            c.store.put(b"resources/ippools/a-wrong-one", json.dumps(wrong).encode())
            for node in c.nodes:
                step("status: " + until(
                    lambda n=node: says(n, "address of node stray", "inside pool pool4"),
                    "status to name the node"))
                step("status: " + until(
                    lambda n=node: says(n, "pool a-wrong-one contains the address of node"),
                    "status to name the pool"))
            for node in c.nodes:
                node.agent.kill()
                node.agent.start()
                until(lambda n=node: says(n, "a-wrong-one"), f"the agent of {node} to be back")
                true(node.add_pod().ip4.startswith("100.66."), "an address from the good pool")
            c.converged()
            pinger.goes_on()
        pinger.lost_nothing()
        c.matrix()
        c.store.delete(b"resources/nodes/stray")
        c.store.delete(b"resources/ippools/a-wrong-one")
        for node in c.nodes:
            until(lambda n=node: not says(n, "problem   "), "status to be content again")


def gateways(node, other, family=4):
    """Through whom and which link a node reaches the other one's blocks."""
    routes = node.bird_routes(family)
    return {(routes.get(b, {}).get("gateway"), routes.get(b, {}).get("dev"))
            for b in other.blackholes(family)}


def add_uplink(cluster, node, subnet, number):
    """A second link of a node, eth1, into another subnet of the lab."""
    port = f"to-{node.name}-{subnet}"
    four, six = f"10.1.{subnet}.{number}", f"fd00:{subnet}::{number}"
    node.ns.ip(f"link add eth1 type veth peer name {port} netns {cluster.router.name}")
    cluster.router.ip(f"link set {port} master lan{subnet}", f"link set {port} up")
    node.ns.ip("link set eth1 addrgenmode none", "link set eth1 up", f"addr add {four}/24 dev eth1",
               f"addr add fe80::{number}/64 dev eth1 nodad", f"addr add {six}/64 dev eth1 nodad")
    node.also |= {four, six}
    return {4: four, 6: six}


def a_node_in_two_subnets(encap, tor):
    """Node 2, in the second subnet, gets a link into the first one, too."""
    with Cluster(encap=encap, tor=tor) as c:
        c.started()
        one, two, three = c.nodes
        before = dict(two.address)
        second = add_uplink(c, two, 1, 112)
        direct = {("10.1.1.11", "eth1")} if encap == "none" else {(one.vtep(4), DEVICE[4])}
        until(lambda: gateways(two, one) == direct, "node2 to use its link into the subnet")
        c.matrix()
        two.agent.kill()
        two.agent.start()
        until(two.status, "the agent to answer")
        equal(two.status()["address"]["ipv4"], f"{before[4]}/24", "the address after a restart")
        c.matrix()
        step("the address stays; packets to the other subnet go as the host's routes say")

        two.configure(address={"ipv4": "interface=eth1", "ipv6": "interface=eth1"})
        two.agent.stop()
        two.agent.start()
        two.also |= set(before.values())
        two.address = second
        if tor:  # the router peers with the address; the session of the old one ends first
            c.nodes = [one, three]
            c.router_says([])
            c.nodes, two.subnet = [one, two, three], 1
            c.router_says([])
            c.apply(*c.manifest())
        near = {(second[4], "eth0")}
        until(lambda: gateways(one, two) == near == gateways(three, two),
              "the others to reach it directly")
        until(lambda: c.matrix(), "every probe to pass")
        step("address.ipv4 interface=eth1: neighbours of the first subnet now")


def test_a_node_in_two_subnets_without_a_tunnel():
    a_node_in_two_subnets("none", tor=True)


def test_a_node_in_two_subnets_with_vxlan_between_subnets():
    a_node_in_two_subnets("vxlan-cross-subnet", tor=False)


def test_a_node_behind_another_router_is_reached_as_the_hosts_routes_say():
    """Node 2 moves behind a router of its own, which knows the pods; the default gateway does not.
    Node 1 has a route to that network."""
    with Cluster(nodes=2, encap="none", subnets=1, families=(4,)) as c:
        c.started()
        one, two = c.nodes
        other = c.namespace("second-router")
        c.router.ip(f"link add to-second type veth peer name eth0 netns {other.name}",
                    "link set to-second master lan1", "link set to-second up",
                    "route add 10.7.0.0/24 via 10.1.1.254")
        two.ns.ip(f"link add eth1 type veth peer name eth1 netns {other.name}")
        other.ip("link set eth0 up", "link set eth1 up", "addr add 10.1.1.253/24 dev eth0",
                 "addr add 10.1.1.254/24 dev eth0", "addr add 10.7.0.1/24 dev eth1")
        other.set_sysctl("ipv4/ip_forward", 1)
        two.ns.ip("addr flush dev eth0", "link set eth0 down", "link set eth1 up",
                  "addr add 10.7.0.12/24 dev eth1", "route replace default via 10.7.0.1")
        two.address = {4: "10.7.0.12"}
        for node, dev in ((one, "eth0"), (two, "eth1")):
            other.ip(*(f"route add {b} via {node.ip(4)} dev {dev}" for b in node.blackholes()))
        default = {("10.1.1.1", "eth0")}
        until(lambda: gateways(one, two) == default, "node1 to know no better than its default route")
        for via in ("10.1.1.254", "10.1.1.253"):
            one.ns.ip(f"route replace 10.7.0.0/24 via {via}")
            until(lambda v=via: gateways(one, two) == {(v, "eth0")}, f"node1 to go through {via}")
            until(lambda: c.matrix(), "every probe to pass")
            step(f"through {via}")
        one.ns.ip("route del 10.7.0.0/24")
        until(lambda: gateways(one, two) == default, "node1 to fall back to its default route")


def test_routes_of_others_that_hide_the_way_to_pods_are_named_until_they_are_gone():
    with Cluster(encap="none", subnets=1) as c:
        c.started()
        here, there = c.nodes[:2]
        a, b = (next(iter(n.pods.values())) for n in (here, there))
        for family, words in ((4, "blackhole {} proto bird"),
                              (6, "blackhole {} proto bird metric 5"),
                              (4, "unreachable {} proto static metric 3"),
                              (6, "prohibit {} proto 11 metric 7")):
            block = there.blackholes(family)[0]
            route = words.format(block)
            here.ns.ip(f"route add {route}")
            true(not a.ns.pings(b.ip(family)), "the pod to be hidden")
            here.sync()
            step(until(lambda: says(here, f"pods of node {there.name}: ip route del {route}"),
                       f"{route} to be named"))
            true(block in here.ctl("ipam", "check", ok=False).stdout, "ipam check to name it, too")
            if route == f"blackhole {block} proto bird":
                done = c.conformance("-o", "json", ok=False)
                failed = [k for k in json.loads(done.stdout)["checks"] if k["verdict"] == "failed"]
                true(any(f"IPv{family} other nodes" in k["check"] and block in k["saw"]
                         for k in failed), "conformance to name it", failed)
            here.ns.ip(f"route del {route}")
            until(lambda: a.ns.pings(b.ip(family)), "the pod to be reached")
            here.sync()
            until(lambda: not says(here, "of others"), "status to be content")
            here.consistent()


def test_a_block_to_which_bird_has_no_next_hop_is_named():
    """The far node has no route to the other subnet any more."""
    with Cluster(encap="none", families=(4,), tor=True) as c:
        c.started()
        here, far = c.nodes[:2]
        until(lambda: c.sessions_up(here), "the sessions to be up")
        here.ns.ip(f"route add {far.ip(4)}/32 via 10.1.{here.subnet}.1 dev eth0",
                   "route del default")
        here.sync()
        c.wait_converged()
        step("a route of its own is as good")
        here.ns.ip(f"route del {far.ip(4)}/32")
        step(until(lambda: says(here, f"of node {far.name} is unreachable", far.ip(4)),
                   "the block to be named"))
        here.ns.ip(f"route add default via 10.1.{here.subnet}.1")
        c.wait_converged()
        until(lambda: not says(here, "is unreachable"), "status to be content")


def test_a_strict_uplink_that_drops_what_came_another_way_is_named():
    """Node 3 takes node 1 for a stranger (a longer prefix), node 1 takes it for a neighbour: it gets in
    the clear what it would answer through the tunnel."""
    with Cluster(encap="vxlan-cross-subnet", families=(4,), nat=True) as c:
        c.started()
        one, two, three = c.nodes
        three.ns.ip("addr del 10.1.1.13/24 dev eth0", "addr add 10.1.1.213/25 dev eth0",
                    "route replace default via 10.1.1.1 dev eth0 onlink")
        three.address = {4: "10.1.1.213"}
        until(lambda: gateways(one, three) == {("10.1.1.213", "eth0")}
              and gateways(three, one) == {(one.vtep(4), DEVICE[4])}, "asymmetric routes")
        until(lambda: c.matrix(), "every probe to pass while nobody is strict")
        equal(says(three, "rp_filter"), None, "a word of it")
        for node in c.nodes:  # as distributions have it that want it strict
            for name in ("all", "eth0"):
                node.ns.set_sysctl(f"ipv4/conf/{name}/rp_filter", 1)
        sentence = until(lambda: says(three, "packets from pods of node node1", "rp_filter"),
                         "status to tell of it")
        step(f"node3: {sentence}")
        a, b = (next(iter(n.pods.values())) for n in (one, three))
        true(not traffic.answers(a.path, b.ip4), "no answer, as it is dropped")
        equal([says(one, "rp_filter"), says(two, "rp_filter")], [None, None],
              "a word of it where nothing is dropped")
        three.run("sh", "-c", sentence.split(": ")[-1])
        until(lambda: c.matrix(), "every probe to pass after the command that status names")
        three.sync()
        until(lambda: not says(three, "rp_filter"), "status to be content")

        # Without outgoing NAT pods' packets to the address of a node are not what its answers are.
        c.nat = False
        c.apply(*c.manifest())
        sentence = until(lambda: says(two, "packets to this node's own address", "rp_filter"),
                         "status to tell of the address, too")
        step(f"node2: {sentence}")
        until(lambda: not traffic.answers(a.path, two.ip(4)), "no answer, as it is dropped")
        for node in (one, two):
            node.run("sh", "-c", sentence.split(": ")[-1])
        until(lambda: c.matrix(), "every probe to pass")


def test_a_filter_that_drops_the_tunnel_stops_what_goes_through_it_and_nothing_else():
    """Two nodes in one subnet, one in another: only packets between subnets take the tunnel."""
    with Cluster(encap="vxlan-cross-subnet", families=(4,)) as c:
        c.started()
        first, far, near = c.nodes
        a, b, n = (next(iter(node.pods.values())) for node in (first, far, near))
        with traffic.Pinger({"near": (a.path, n.ip4), "nodes": (first.path, far.ip(4))}) as pinger:
            traffic.icmp(a.path, b.ip4)
            far.run("nft", "add table inet guard; add chain inet guard input "
                    "{ type filter hook input priority 0; }; "
                    "add rule inet guard input udp dport 4789 counter drop")
            true(not traffic.answers(a.path, b.ip4) and not traffic.answers(b.path, a.ip4),
                 "no answer through the tunnel")
            c.converged()
            true("packets 0 " not in far.run("nft", "list table inet guard"),
                 "the rule's counter to tell of it")
            equal(sum(far.sessions().values()), 2, "the BGP sessions that stand")
            pod = far.add_pod()
            traffic.icmp(pod.path, b.ip4)
            far.run("nft", "delete table inet guard")
            traffic.icmp(a.path, b.ip4)
            pinger.goes_on()
        pinger.lost_nothing()
        c.matrix()


# ---- clocks ----

YEAR = 365 * 24 * 3600


def test_clocks_that_jump_change_nothing_but_what_people_see():
    with Cluster(encap="vxlan-cross-subnet", store="etcd", start=False) as c:
        odd, other = c.nodes[0], c.nodes[1]
        clock = f"{odd.dir}/clock"
        odd.wrapper += ["env", f"LD_PRELOAD={BIN}/../tests/cluster/clock.so",
                        f"CLOCK_OFFSET_FILE={clock}", "ASAN_OPTIONS=verify_asan_link_order=0"]
        odd.bird.wrapper = odd.wrapper

        def is_seen_as(words):
            line = next((l for l in other.ctl("node", "list").splitlines()
                         if l.split()[:1] == [odd.name]), "")
            return words in line and line

        def jump(seconds):
            with open(clock + ".new", "w") as f:
                f.write(str(seconds))
            os.rename(clock + ".new", clock)

        def pods_come_and_go():
            pod = odd.add_pod()
            odd.del_pod(pod)
            again = odd.add_pod()
            true(again.ip4 != pod.ip4, "another address than the one that cools down", pod.ip4)
            odd.del_pod(again)

        jump(0)
        c.store.start()
        c.apply(*c.manifest())
        for node in c.nodes:
            node.start()
        c.started()
        with c.pinger() as pinger:
            for seconds, seen, refusal in ((YEAR, "clock ahead", "ahead of ours"),
                                           (-YEAR, "stale since", "still has"),
                                           (0, "live", "is live")):
                jump(seconds)
                step("node list: " + until(lambda s=seen: is_seen_as(s), f"node1 to be {seen}"))
                pods_come_and_go()
                done = other.ctl("node", "remove", odd.name, ok=False)
                true(done.returncode == 1 and refusal in done.stderr, f"{refusal!r}", done.stderr)
                odd.agent.kill()
                odd.agent.start()
                until(odd.status, "the agent to answer with such a clock")
                pods_come_and_go()
                until(lambda s=seen: is_seen_as(s), f"node1 to be {seen} after a restart")
                pinger.goes_on()
        pinger.lost_nothing()
        c.matrix()
        step(f"{pinger.sent()} pings, none lost")

        # Its clock is behind, it looks dead, and somebody removes it by force: it lives and comes back.
        blocks = {f: odd.blackholes(f) for f in c.families}
        jump(-YEAR)
        until(lambda: is_seen_as("stale since"), "node1 to look dead")
        done = other.ctl("node", "remove", odd.name, "--force", ok=False)
        true(done.returncode == 0 or "has come back" in done.stderr,
             "node1 to be removed, or to have come back before its blocks were", done.stderr)
        c.wait_converged()
        equal({f: odd.blackholes(f) for f in c.families}, blocks, "its blocks afterwards")
        c.matrix()
        odd.consistent()
        step("removed by force although it lives: it registers again and keeps its blocks")


# ---- links and addresses ----

def is_quiet(cluster, node):
    """Three looks at everything change no route and no session."""
    monitor = subprocess.Popen(["ip", "-n", node.ns.name, "monitor", "route", "nexthop"],
                               stdout=subprocess.PIPE, text=True)
    try:
        before = node.birdc("show status")
        for _ in range(3):
            node.sync()
            node.status()
        equal(node.birdc("show status")[-2:], before[-2:], "BIRD's last reconfiguration")
        cluster.converged()
    finally:
        monitor.terminate()
        seen = monitor.communicate()[0]
    equal(seen, "", "changes of routes after everything was right again:")


def test_an_uplink_that_flaps_many_times_is_as_before_at_once():
    with Cluster(encap="vxlan-cross-subnet") as c:
        c.started()
        node = c.nodes[0]
        port = f"to-{node.name}"
        others = [next(iter(n.pods.values())) for n in c.nodes[1:]]
        mine = next(iter(node.pods.values()))
        sessions = node.sessions()
        with c.pinger(others) as untouched, c.pinger() as pinger:
            def carrier():
                return "LOWER_UP" in node.ns.link("eth0")["flags"]
            for seen in [True] * 5 + [False] * 25:  # some are long enough to be noticed
                c.router.ip(f"link set {port} down")
                until(lambda: not (seen and carrier()), "the node to notice")
                c.router.ip(f"link set {port} up")
                until(lambda: not seen or carrier(), "the node to notice")
            began = time.monotonic()
            for other in others:
                for family in c.families:
                    until(lambda o=other, f=family: traffic.answers(mine.path, o.ip(f)),
                          f"{mine} to reach {other}")
            step(f"30 flaps: reached again {time.monotonic() - began:.2f} s after the last one")
            c.converged()
            untouched.goes_on()
        untouched.lost_nothing()
        step(f"{sum(f.sent for f in pinger.flows)} pings, "
             f"{sum(len(f.waiting) + len(f.refused) for f in pinger.flows)} of them lost")
        until(lambda: node.sessions() == sessions, "the BGP sessions as before")
        with c.pinger() as pinger:
            is_quiet(c, node)
            pinger.goes_on()
        pinger.lost_nothing()
        c.matrix()
        equal(node.status().get("problems"), [], "problems")


def test_a_node_that_changes_its_address_under_traffic_is_followed():
    with Cluster(encap="vxlan-cross-subnet") as c:
        c.started()
        node = c.nodes[2]
        others = [next(iter(n.pods.values())) for n in c.nodes[:2]]
        mine = next(iter(node.pods.values()))
        with c.pinger(others) as untouched, c.pinger_within([mine, node.add_pod()]) as within:
            with c.pinger() as pinger:
                pinger.goes_on()
                node.ns.ip("addr del 10.1.1.13/24 dev eth0", "addr del fd00:1::13/64 dev eth0",
                           "addr add 10.1.1.43/24 dev eth0",
                           "addr add fd00:1::43/64 dev eth0 nodad",
                           "route replace default via 10.1.1.1",
                           "route replace default via fd00:1::1")
                node.address = {4: "10.1.1.43", 6: "fd00:1::43"}
                c.wait_converged()
                pinger.goes_on(100)
            gaps = {f.name: f.gap for f in pinger.flows}
            step(f"unreached at most {max(gaps.values()):.2f} s ({max(gaps, key=gaps.get)})")
        untouched.lost_nothing()
        within.lost_nothing()
        c.matrix()
        is_quiet(c, node)
