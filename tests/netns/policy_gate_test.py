# SPDX-License-Identifier: Apache-2.0
"""What ADD does for network policy without waiting for an agent: a pod that policies may select is closed from
the moment its link is up, until its interface is in the maps."""
import json
import subprocess

import pytest

from cluster_test import POOL4, POOL6, addresses, agent_of, cluster_conf
from roostlab import Failed, at_once, equal, inside, true

pytestmark = pytest.mark.needs("ip", "nft", "ping", "strace")

POOLS = (POOL4, POOL6, "put", "add 10.66.0.0/29", "add fd66::/125")
BOTH = {"ingress": True, "egress": True}


def policy(closed=(), staged=()):
    return "policy " + json.dumps({"closed": list(closed), "staged": list(staged)})


def args(namespace, uid=""):
    return f"IgnoreUnknown=1;K8S_POD_NAMESPACE={namespace};K8S_POD_NAME=p;K8S_POD_UID={uid}"


def add(lab, namespace="shut", uid="", pod=None, conf=None):
    """A pod of that namespace: itself, its addresses, its host end's name."""
    pod = pod or lab.pod()
    result = lab.add(pod, conf or cluster_conf(lab), CNI_ARGS=args(namespace, uid))
    return pod, addresses(result), result["interfaces"][0]["name"], result


def reach(lab, pod, addrs):
    """Who answers: the pod to the router, the router to the pod, in both families."""
    seen = {f"in {a}": lab.router.pings(a, "-W", "1") for a in addrs}
    seen |= {f"out {a}": pod.ns.pings(a, "-W", "1") for a in ("10.99.0.1", "fd99::1")}
    return {k.split()[0] for k, answers in seen.items() if answers}


def group(lab, host):
    return lab.host.link(host)["group"]


def open_by_hand(lab, host):
    lab.host.run("nft", "-f", "-", stdin="".join(
        f'add element inet roost-policy {m} {{ "{host}" : accept }}\n' for m in ("eg", "in")))


def pending(lab):
    text = lab.host.run("nft", "-j", "list", "counters", "table", "inet", "roost-policy")
    return next(x["counter"]["packets"] for x in json.loads(text)["nftables"] if "counter" in x)


@pytest.mark.parametrize("closed, expected", [
    ({"ingress": True}, {"out"}), ({"egress": True}, {"in"}), (BOTH, set()), ({}, {"in", "out"})])
def test_a_pod_is_closed_in_the_directions_of_its_namespace(lab, closed, expected):
    with agent_of(lab, *POOLS, policy([{"namespace": "shut", **closed}])):
        pod, addrs, host, result = add(lab)
        # A reply counts as the direction of its connection: so who is closed inwards answers nobody.
        equal(reach(lab, pod, addrs), expected, "the directions that are open")
        for a in addrs:
            true(lab.host.pings(a), f"the own host to reach {a}: kubelet's probes")
        true(pod.ns.pings("10.99.0.2"), "the pod to reach its own host")
        lab.check(pod, result, cluster_conf(lab)).ok("CHECK")
        near, _, _, _ = add(lab, "other")
        equal(near.ns.pings(addrs[0]), "in" in expected, "a pod of an open namespace to reach it")
        if closed:
            true(pending(lab), "what was dropped to be counted")
            open_by_hand(lab, host)
            equal(reach(lab, pod, addrs), {"in", "out"}, "the directions behind the agent's word")
            lab.delete(pod, cluster_conf(lab))
            again, addrs, _, _ = add(lab)
            equal(reach(lab, again, addrs), expected, "nothing to be inherited by the next pod")


def test_towards_its_own_node_a_pod_is_closed_where_a_policy_may_forbid_it(lab):
    with agent_of(lab, *POOLS, policy([{"namespace": "shut", "egress": True, "toHost": True}])):
        pod, addrs, host, result = add(lab)
        for a in ("10.99.0.2", "fd99::2"):
            true(not pod.ns.pings(a, "-W", "1"), f"the pod not to reach its host at {a}")
        equal(reach(lab, pod, addrs), {"in"}, "the directions that are open")
        for a in addrs:
            true(lab.host.pings(a), f"the own host to reach {a}: kubelet's probes")
        lab.check(pod, result, cluster_conf(lab)).ok("CHECK")
        # Whoever forgets the neighbour asks for it anew.
        lab.host.run("ip", "neigh", "flush", "dev", host)
        pod.ns.run("ip", "-6", "neigh", "flush", "dev", "eth0")
        for a in addrs:
            true(lab.host.pings(a), f"neighbours of {a} to find each other")
        lab.host.run("nft", "add", "element", "inet", "roost-policy", "host", f'{{ "{host}" : accept }}')
        for a in ("10.99.0.2", "fd99::2"):
            true(pod.ns.pings(a), f"the pod to reach its host at {a} behind the agent's word")
        near, _, _, _ = add(lab, "other")
        true(near.ns.pings("10.99.0.2"), "a pod of an open namespace to reach its host")


def test_a_namespace_that_is_not_known_is_closed_as_said(lab):
    with agent_of(lab, *POOLS, policy([{"namespace": "", **BOTH}, {"namespace": "open"}])):
        pod, addrs, _, _ = add(lab, "new")
        equal(reach(lab, pod, addrs), set(), "the directions of an unknown namespace")
        pod, addrs, _, _ = add(lab, "open")
        equal(reach(lab, pod, addrs), {"in", "out"}, "the directions of one without policies")


def test_without_policies_there_is_no_table(lab):
    with agent_of(lab, *POOLS, policy()):
        pod, addrs, host, _ = add(lab)
        equal(group(lab, host), "default", "the link's group")
        true("roost-policy" not in lab.host.run("nft", "list", "tables"), "no table")
        equal(reach(lab, pod, addrs), {"in", "out"}, "the directions")


@pytest.mark.parametrize("harm", ["delete table inet roost-policy", "flush chain inet roost-policy in",
                                  "flush ruleset"])
def test_a_gate_that_somebody_took_away_is_made_again(lab, harm):
    with agent_of(lab, *POOLS, policy([{"namespace": "shut", **BOTH}])):
        add(lab)
        lab.host.run("nft", "-f", "-", stdin=harm + "\n")
        pod, addrs, _, _ = add(lab)
        equal(reach(lab, pod, addrs), set(), f"the directions after {harm}")


def sends(lab, namespace):
    """How many messages an ADD sends to the kernel, whose gate stands."""
    add(lab, namespace)  # makes what is not there
    trace = f"{lab.dir}/sends"
    pod = lab.pod()
    lab.add(pod, cluster_conf(lab), CNI_ARGS=args(namespace), ASAN_OPTIONS="detect_leaks=0",
            wrapper=("strace", "-f", "-o", trace, "-e", "trace=sendto,sendmsg,sendmmsg"))
    with open(trace) as f:
        return sum(" send" in line for line in f)


def test_a_closed_pod_costs_ADD_one_question(lab):
    with agent_of(lab, "pool 10.66.0.0/16 26 60 yes", "put", "add 10.66.0.0/26",
                  policy([{"namespace": "shut", **BOTH, "toHost": True}])):
        equal(sends(lab, "shut"), sends(lab, "other") + 1, "messages of an ADD in a closed namespace")


def test_of_many_first_pods_each_is_closed(lab):
    with agent_of(lab, "pool 10.66.0.0/16 26 60 yes", "put", "add 10.66.0.0/26",
                  policy([{"namespace": "shut", **BOTH}])):
        pods = [lab.pod() for _ in range(12)]
        made = at_once([lambda p=p: add(lab, pod=p) for p in pods])
        for pod, addrs, _, _ in made:
            true(not lab.router.pings(addrs[0], "-W", "1"), f"{addrs[0]} to be closed")
        chain = lab.host.run("nft", "list", "chain", "inet", "roost-policy", "eg")
        equal(chain.count("established"), 1, "the rules once")


def test_a_pod_that_is_known_before_its_add_is_open_at_once(lab):
    staged = {"uid": "u-1", "ingress": "class_in", "egress": ""}
    with agent_of(lab, *POOLS, policy([{"namespace": "shut", **BOTH}], [staged])):
        first, _, _, _ = add(lab)  # makes the table
        lab.host.run("nft", "-f", "-", stdin="add chain inet roost-policy class_in\n"
                     "add rule inet roost-policy class_in ip saddr 10.99.0.1 accept\n"
                     "add rule inet roost-policy class_in drop\n")
        pod, addrs, _, _ = add(lab, uid="u-1")
        true(lab.router.pings(addrs[0]), "its own chain to let the router in")
        true(not lab.router.pings(addrs[1], "-W", "1"), "and nothing else")
        true(pod.ns.pings("10.99.0.1"), "the open direction to be open")
        # The chain is gone meanwhile: closed, and no error.
        lab.host.run("nft", "-f", "-", stdin="flush ruleset\n")
        pod, addrs, _, _ = add(lab, uid="u-1")
        equal(reach(lab, pod, addrs), set(), "the directions without the chain")
        del first


def test_a_pod_with_a_foreign_ipam_is_closed_too(lab):
    conf = {"cniVersion": "1.0.0", "name": "far", "type": "roost", "stateDir": lab.state,
            "ipam": {"type": "host-local", "dataDir": f"{lab.dir}/leases",
                     "ranges": [[{"subnet": "10.66.9.0/24"}]]}}
    with agent_of(lab, *POOLS, policy([{"namespace": "shut", **BOTH}])):
        pod, addrs, host, _ = add(lab, conf=conf)
        true(not lab.router.pings(addrs[0], "-W", "1") and not pod.ns.pings("10.99.0.1", "-W", "1"),
             "both directions to be closed")
        lab.delete(pod, conf)
    del host


# Sends a datagram every millisecond to each address, whether there is anybody or not.
PROBER = """
import socket, sys, time
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.setblocking(False)
print("ready", flush=True)
while True:
    for address in sys.argv[1:]:
        try:
            s.sendto(b"x", (address, 9))
        except OSError:
            pass
    time.sleep(0.001)
"""


def received(pod):
    """Datagrams that came to the pod, for a socket or not."""
    lines = [l.split() for l in pod.ns.run("cat", "/proc/net/snmp").splitlines() if l.startswith("Udp:")]
    found = dict(zip(lines[0][1:], lines[1][1:]))
    return int(found["InDatagrams"]) + int(found["NoPorts"]) + int(found["InErrors"])


def test_no_packet_comes_before_the_agents_word(lab):
    addrs = [f"10.66.0.{i}" for i in range(8)]
    with agent_of(lab, *POOLS, policy([{"namespace": "shut", **BOTH}])):
        with inside(lab.router.path):
            prober = subprocess.Popen(["python3", "-c", PROBER, *addrs], stdout=subprocess.PIPE)
        try:
            prober.stdout.readline()
            for _ in range(5):
                pods = [lab.pod() for _ in range(4)]
                made = at_once([lambda p=p: add(lab, pod=p) for p in pods])
                before = pending(lab)
                while pending(lab) < before + 50:  # the prober really sends to them
                    pass
                for pod, _, _, _ in made:
                    equal(received(pod), 0, "datagrams in the pod")
                for pod, _, _, _ in made:
                    lab.delete(pod, cluster_conf(lab))
            pod, _, host, _ = add(lab)
            open_by_hand(lab, host)
            for _ in range(1000):
                if received(pod):
                    return
                pod.ns.run("true")
            raise Failed("expected datagrams behind an open gate, saw none")
        finally:
            prober.kill()
            prober.wait()
            prober.stdout.close()
