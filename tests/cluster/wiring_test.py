# SPDX-License-Identifier: Apache-2.0
"""What only a person would notice: something of a pod's wiring is broken by hand, and the agent puts it right, or
names it, on the kernel's event or within one look. The same faults as in tests/netns/wiring_test.py, where CHECK
and ipam check see them."""
import pytest

from faults import FAULTS, HOST_FAULTS, LIMIT_FAULTS
from lab import Cluster, PROGRAMS, equal, true, until

pytestmark = pytest.mark.needs(*PROGRAMS)


@pytest.fixture(scope="module")
def cluster():
    """Two nodes with a pod each; the first node is the one that things happen to."""
    with Cluster(nodes=2, encap="vxlan", nat=True) as c:
        c.started()
        yield c


def is_right(node):
    return node.ctl("ipam", "check", ok=False).returncode == 0


@pytest.mark.parametrize("fault", FAULTS + HOST_FAULTS, ids=lambda f: f.name)
def test_the_agent_puts_right_what_somebody_broke(cluster, fault):
    node, other = cluster.nodes[:2]
    [pod] = node.pods.values()
    until(lambda: is_right(node), "a sound node")
    before = len(node.agent.said())
    fault.breaks(node.ns, pod.ns, pod.host_link())
    if fault.silent:
        node.sync()
    until(lambda: is_right(node), f"{node} to be right again")
    if not fault.elsewhere:
        until(lambda: "put right" in node.agent.said()[before:], "a line in its log")
    [peer] = other.pods.values()
    for family in (4, 6):
        until(lambda f=family: peer.ns.pings(pod.ip(f)), f"{peer} to reach {pod}")


def test_all_of_our_tables_are_back_after_a_flush(cluster):
    node = cluster.nodes[0]
    def tables():
        return sorted(node.ns.run("nft", "list", "tables").split("\n"))
    ours = {f"table inet {table}" for table in ("roost", "roost-nat", "roost-tunnels")}
    until(lambda: ours <= set(tables()), "our tables")
    before = tables()
    node.ns.run("nft", "flush", "ruleset")
    until(lambda: tables() == before, "the tables of before", seconds=8)


@pytest.mark.parametrize("command", ["flush map inet roost-ports any4", "flush table inet roost-ports",
                                     "delete table inet roost-ports"])
def test_host_ports_are_back_after_somebody_removed_them(cluster, command):
    node = cluster.nodes[0]
    pod = node.new_pod("web")
    ports = {"portMappings": [{"hostPort": 8080, "containerPort": 80, "protocol": "tcp"}]}
    equal(node.try_add(pod, runtimeConfig=ports).status, 0, "the status of ADD")

    def table():
        return node.ns.run("nft", "list", "table", "inet", "roost-ports", check=False)
    before = table()
    true("8080" in before, "the port", before)
    node.ns.run("nft", command)
    until(lambda: table() == before, "the table of before", seconds=8)
    until(lambda: is_right(node), f"{node} to be right again")
    node.del_pod(pod)
    until(lambda: "8080" not in table(), "the port to be gone")


@pytest.mark.parametrize("fault", LIMIT_FAULTS, ids=lambda f: f.name)
def test_limits_of_bandwidth_are_back_after_somebody_removed_them(cluster, fault):
    """Without a call: the kernel announces each of these."""
    node = cluster.nodes[0]
    pod = node.new_pod("limited")
    limits = {"bandwidth": {"ingressRate": 8_000_000, "egressRate": 8_000_000}}
    equal(node.try_add(pod, runtimeConfig=limits).status, 0, "the status of ADD")
    until(lambda: is_right(node), "a sound node")
    before = len(node.agent.said())
    fault.breaks(node.ns, pod.ns, pod.host_link())
    until(lambda: is_right(node), f"{node} to be right again", seconds=8)
    until(lambda: "put right: the limit of what the pod" in node.agent.said()[before:], "a line in its log")
    node.del_pod(pod)
    until(lambda: not any(l["ifname"].startswith("ifb-") for l in node.ns.ask("link show")), "the device to be gone")


def test_host_ports_of_a_pod_that_died_are_removed(cluster):
    node = cluster.nodes[0]
    pod = node.new_pod("brief")
    ports = {"portMappings": [{"hostPort": 8081, "containerPort": 80, "protocol": "udp"}]}
    equal(node.try_add(pod, runtimeConfig=ports).status, 0, "the status of ADD")
    pod.ns.remove()
    until(lambda: not node.ns.link(pod.host_link()), "its link to go")
    node.sync()
    until(lambda: "8081" not in node.ns.run("nft", "list", "table", "inet", "roost-ports", check=False),
          "the port to be gone")
    node.del_pod(pod)


def test_a_pod_that_ignores_ARP_is_reached_after_a_look(cluster):
    node = cluster.nodes[0]
    node.ns.set_sysctl("ipv4/conf/all/arp_ignore", 2)
    node.sync()
    until(lambda: any("arp_ignore is 2" in p for p in node.status()["problems"]), "the problem")
    node.ns.set_sysctl("ipv4/conf/all/arp_ignore", 0)
    node.sync()
    until(lambda: not any("arp_ignore" in p for p in node.status()["problems"]), "the problem to be over")
    pod = node.new_pod("deaf")
    pod.ns.set_sysctl("ipv4/conf/all/arp_ignore", 2)
    node.add(pod)
    true(not node.ns.pings(pod.ip4), "the pod not to answer")
    node.ns.run("ping", "-n", "-c", "4", "-W", "1", pod.ip4, check=False)
    node.sync()
    until(lambda: node.ns.pings(pod.ip4), "the pod to be reached")
    node.del_pod(pod)


def test_what_is_changed_again_and_again_becomes_one_problem(cluster):
    node = cluster.nodes[0]
    [pod] = node.pods.values()
    name = f"ipv4/conf/{pod.host_link()}/proxy_arp"
    words = f"net.ipv4.conf.{pod.host_link()}.proxy_arp is 0 and has to be 1: put right again and again"

    def fights():
        node.ns.set_sysctl(name, 0)
        return any(words in p for p in node.status().get("problems", []))
    until(fights, "the problem")
    lines = [l for l in node.agent.said().split("\n") if "proxy_arp" in l and "put right: " in l]
    true(len(lines) <= 4, "few lines in the log", lines)
    until(lambda: node.ns.get_sysctl(name) == "1", "the setting to be right in the end")


def test_an_uplink_that_does_not_forward_is_named_and_a_tunnel_is_mended(cluster):
    node = cluster.nodes[0]
    uplink = node.ns.ask("route get 192.0.2.1")[0]["dev"]
    name = f"ipv4/conf/{uplink}/forwarding"
    node.ns.set_sysctl(name, 0)

    def is_named():
        return any(f"{uplink} forwards no IPv4 packets" in p for p in node.status().get("problems", []))
    until(is_named, "the problem", seconds=8)
    equal(node.ns.get_sysctl(name), "0", "the administrator's setting")
    node.ns.set_sysctl(name, 1)
    until(lambda: not is_named(), "the problem to be over", seconds=8)
    for name, right, wrong in (("forwarding", "1", 0), ("rp_filter", "2", 1)):
        name = f"ipv4/conf/vxlan.roost/{name}"
        node.ns.set_sysctl(name, wrong)
        until(lambda n=name, r=right: node.ns.get_sysctl(n) == r, f"{name} to be {right} again", seconds=8)


def test_pods_that_come_and_go_are_not_taken_for_broken(cluster):
    """ADD and DEL while somebody keeps the agent looking: neither fails, and nothing is put right."""
    node = cluster.nodes[1]
    before = len(node.agent.said())
    for turn in range(25):
        pod = node.add_pod(f"guest{turn}")
        node.sync()
        node.del_pod(pod)
        node.sync()
    until(lambda: is_right(node), "a sound node")
    said = node.agent.said()[before:]
    true("put right" not in said and "cannot be put right" not in said, "nothing to be put right", said)


def breaks_route(node, pod):
    """Of the pod, by hand. The answer: whether it is there again."""
    node.ns.ip(f"route del {pod.ip4}/32")
    return lambda: node.ns.run("ip", "route", "show", pod.ip4) != ""


def test_a_namespace_that_dies_without_DEL_is_nothing_to_put_right(cluster):
    node = cluster.nodes[1]
    before = len(node.agent.said())
    pod = node.add_pod("dying")
    node.pods.pop("dying")
    cluster.echo.leave(pod.path)
    cluster.drop(pod.ns)
    until(lambda: not node.ns.link(pod.host_link()), "the link to be gone")
    node.sync()
    node.sync()
    equal(node.status().get("problems"), [], "problems")
    true("put right" not in node.agent.said()[before:], "nothing to be put right", node.agent.said()[before:])
    node.call("DEL", pod).ok("DEL")


def test_pods_of_all_its_state_folders_are_kept_and_those_of_others_left_alone(cluster):
    node = cluster.nodes[1]
    second, strange = f"{node.dir}/second", f"{node.dir}/strange"
    node.settings["stateDirs"] = [node.state, second]
    node.configure()
    node.agent.stop()
    node.agent.start()
    ours, theirs = node.new_pod("ours"), node.new_pod("theirs")
    pools = {"type": "roost-ipam", "pools": [{"cidr": "10.77.0.0/24"}]}
    until(lambda: node.try_add(ours, stateDir=second).status == 0, "a pod with the second folder")
    until(lambda: node.try_add(theirs, stateDir=strange, ipam=pools).status == 0, "a pod with a folder that is not the agent's")
    is_back = {pod: breaks_route(node, pod) for pod in (theirs, ours)}
    until(is_back[ours], f"the route of {ours} to be there again")
    node.sync()
    true(not is_back[theirs](), f"the route of {theirs} to be left alone")
    node.call("DEL", ours, stateDir=second).ok("DEL")
    node.call("DEL", theirs, stateDir=strange, ipam=pools).ok("DEL")
    for pod in (ours, theirs):
        node.pods.pop(pod.name, None)
        cluster.drop(pod.ns)


def test_pods_are_kept_while_the_store_is_away():
    with Cluster(nodes=1, store="etcd") as c:
        c.started()
        node = c.nodes[0]
        [pod] = node.pods.values()
        c.store.stop()
        until(breaks_route(node, pod), "the route to be there again")
        node.agent.kill()
        node.agent.start()
        until(breaks_route(node, pod), "the route to be there again, with an agent that has not met the store")
