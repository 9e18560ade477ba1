# SPDX-License-Identifier: Apache-2.0
"""A node of a cluster, with the agent's part played by tests/netns/standin.c: pools and blocks from
the node state, asking for a block, links that DEL marks and others delete."""

import contextlib
import json
import os
import subprocess

import pytest

from memory_test import MODES, starve
from roostlab import BIN, GATEWAY6, Failed, at_once, equal, inside, script, true, wait_for

pytestmark = pytest.mark.needs()

STANDIN = os.path.abspath(f"{BIN}/../tests/netns/standin")
REAP_GROUP = "8202"


class Agent:
    """The stand-in on a lab's host; tell() raises what it refuses."""

    def __init__(self, lab, locked=True):
        self.socket = f"{lab.dir}/agent.sock"
        with inside(lab.host.path):
            self.process = subprocess.Popen([STANDIN, lab.state, self.socket], text=True,
                                            stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        if locked:
            self.tell("lock")

    def tell(self, *lines):
        """The answer to the last line."""
        answer = ""
        for line in lines:
            self.process.stdin.write(line + "\n")
            self.process.stdin.flush()
            answer = self.process.stdout.readline().rstrip("\n")
            if not answer.startswith("ok"):
                raise Failed(f"expected the stand-in to do {line!r}, saw {answer!r}")
        return answer[3:]

    def requests(self):
        return [json.loads(r) for r in self.tell("requests").split(";") if r]

    def end(self, kill=False):
        if kill:
            self.process.kill()
        self.process.stdin.close()
        self.process.stdout.close()
        self.process.wait()


@contextlib.contextmanager
def agent_of(lab, *lines, locked=True):
    agent = Agent(lab, locked)
    try:
        agent.tell(*lines)
        yield agent
    finally:
        if agent.process.returncode is None:
            agent.end()


POOL4, POOL6 = "pool 10.66.0.0/16 29 60 yes", "pool fd66::/64 125 60 yes"
USUAL = (POOL4, "put", "add 10.66.0.8/29")


def cluster_conf(lab, **more):
    return {"cniVersion": "1.0.0", "name": "net", "type": "roost", "stateDir": lab.state,
            "ipam": {"type": "roost-ipam"}, **more}


def addresses(result):
    return [ip["address"].split("/")[0] for ip in result["ips"]]


def said(lab, status, words, *verb):
    """roostctl's exit status, and words of what it says to people."""
    with inside(lab.host.path):
        done = subprocess.run([f"{BIN}/roostctl", "--state-dir", lab.state, *verb], text=True,
                              capture_output=True)
    equal(done.returncode, status, f"the exit status of {verb}, which said {done}")
    true(words in done.stdout + done.stderr, f"{verb} to say {words!r}", done)


def marked(lab):
    return sorted(l["ifname"] for l in lab.host.ask("link show") if l.get("group") == REAP_GROUP)


def status(lab, conf, **more):
    return lab.call("STATUS", dict(conf, cniVersion="1.1.0"), **more)


# ---- addresses ----

def test_until_an_agent_has_spoken_ADD_is_code_11_and_STATUS_50(lab):
    conf, pod = cluster_conf(lab), lab.pod()
    for plugin in ("roost", "roost-ipam"):
        lab.call("ADD", conf, pod, plugin=plugin).refused(11, "has not told", "roostd", lab.state)
        status(lab, conf, plugin=plugin).refused(50, "is roostd running")
        lab.delete(pod, conf, plugin=plugin)
    lab.nothing_left(pod)


def test_pods_get_addresses_of_the_blocks_in_the_copy(lab):
    conf, pods = cluster_conf(lab), [lab.pod() for _ in range(3)]
    with agent_of(lab, POOL4, POOL6, "put", "add 10.66.0.8/29", "add fd66::8/125") as agent:
        status(lab, conf).ok("STATUS")
        for i, pod in enumerate(pods):
            result = lab.add(pod, conf)
            equal(addresses(result), [f"10.66.0.{8 + i}", f"fd66::{8 + i:x}"], "addresses")
            lab.check(pod, result, conf).ok("CHECK")
        equal(lab.blackholes(), ["10.66.0.8/29", "fd66::8/125"], "blackholes")
        true(pods[0].ns.pings("10.66.0.9"), "a pod to reach another")
        true(pods[0].ns.pings(f"{GATEWAY6}%eth0"), "the gateway to answer at its own address")
        equal(agent.requests(), [], "requests to the agent")
        equal(agent.tell("free ipv4"), "5 0", "free and cooling addresses")
        agent.tell("reap yes")
        for pod in pods:
            lab.delete(pod, conf)
        equal(agent.tell("free ipv4"), "5 3", "free and cooling addresses")
        wait_for(lambda: not marked(lab), "the agent to delete the links")
        lab.nothing_left(*pods)


def test_an_agent_that_is_gone_leaves_pods_starting_and_stopping(lab):
    conf, pods = cluster_conf(lab), [lab.pod() for _ in range(9)]
    with agent_of(lab, *USUAL) as agent:
        agent.end(kill=True)
    for pod in pods[:8]:
        lab.add(pod, conf)
    status(lab, conf).ok("STATUS without a free address")
    lab.call("ADD", conf, pods[8]).refused(
        11, "no free IPv4 address", "1 blocks of 10.66.0.0/16", "8 addresses used",
        "no agent runs on this node")
    lab.delete(pods[0], conf)
    equal(addresses(lab.add(pods[8], conf)), ["10.66.0.8"], "the cooling address")
    lab.consistent()


def test_without_a_free_address_the_agent_is_asked_for_a_block(lab):
    conf, pods = cluster_conf(lab), [lab.pod() for _ in range(10)]
    with agent_of(lab, POOL4, "pool 10.67.0.0/16 29 60 no", POOL6, "put", "add fd66::8/125",
                  "answer 10.66.0.16/29", "answer 10.66.0.0/29") as agent:
        equal(addresses(lab.add(pods[0], conf)), ["10.66.0.0", "fd66::8"], "addresses")
        equal(agent.requests(), [{"op": "block", "stateDir": lab.state, "family": "ipv4",
                                  "pools": ["10.66.0.0/16"]}], "requests")
        for pod in pods[1:8]:
            lab.add(pod, conf)
        # Cooling ones are left alone as long as the agent has a block.
        agent.tell("answer fd66::10/125")
        lab.delete(pods[0], conf)
        equal(addresses(lab.add(pods[8], conf))[0], "10.66.0.16", "address")
        equal([r["family"] for r in agent.requests()], ["ipv4", "ipv4", "ipv6"], "requests")


def test_an_agent_that_has_no_block_is_quoted(lab):
    conf, pods = cluster_conf(lab), [lab.pod() for _ in range(3)]
    with agent_of(lab, "pool 10.66.0.0/16 31 60 yes", "put", "add 10.66.0.0/31",
                  "refuse every block of pool-0 is taken") as agent:
        for plugin in ("roost", "roost-ipam"):
            kept = [p._replace(container=p.container + plugin) for p in pods]
            for pod in kept[:2]:
                lab.add(pod, conf, plugin=plugin)
            lab.call("ADD", conf, kept[2], plugin=plugin).refused(
                11, "no free IPv4", "2 addresses used", "every block of pool-0 is taken")
            status(lab, conf, plugin=plugin).ok("STATUS without a free address")
            lab.delete(kept[0], conf, plugin=plugin)
            lab.add(kept[2], conf, plugin=plugin) # the oldest cooling one
            for pod in kept:
                lab.delete(pod, conf, plugin=plugin)
        true(len(agent.requests()) >= 4, "the agent asked each time", agent.requests())


@pytest.mark.slow
def test_an_agent_that_says_nothing_does_not_hold_ADD_up_for_ever(lab):
    conf, pod = cluster_conf(lab), lab.pod()
    with agent_of(lab, POOL4, "put"):
        lab.call("ADD", conf, pod).refused(11, "did not answer", "no free IPv4")
        lab.delete(pod, conf)
        lab.nothing_left(pod)


def test_a_listening_socket_without_the_lock_is_not_asked(lab):
    conf, pod = cluster_conf(lab), lab.pod()
    with agent_of(lab, POOL4, "put", "answer 10.66.0.0/29", locked=False) as agent:
        lab.call("ADD", conf, pod).refused(11, "no agent runs")
        equal(agent.requests(), [], "requests")
        agent.tell("lock")
        lab.add(pod, conf)


def test_many_ADDs_at_once_share_what_the_agent_gives(lab):
    conf, pods = cluster_conf(lab), [lab.pod() for _ in range(16)]
    with agent_of(lab, POOL4, "put", "answer 10.66.0.16/29", "answer 10.66.0.8/29",
                  "answer 10.66.0.0/29", "refuse nothing left"):
        results = at_once([lambda p=p: lab.add(p, conf) for p in pods])
        equal(len({addresses(r)[0] for r in results}), 16, "different addresses")
        lab.consistent()


def test_a_pool_that_gives_nothing_to_this_node_is_named(lab):
    conf, pods = cluster_conf(lab), [lab.pod(), lab.pod()]
    with agent_of(lab, *USUAL) as agent:
        lab.add(pods[0], conf)
        agent.tell("clear", "pool 10.66.0.0/16 29 60 no", "put")
        lab.call("ADD", conf, pods[1]).refused(11, "no pool of the cluster", "node-a",
                                               "pool-0 (10.66.0.0/16)")
        status(lab, conf).ok("STATUS of a node that is drained")
        equal(list(lab.used()), ["10.66.0.8"], "used addresses")
        agent.tell("clear", "put")
        lab.call("ADD", conf, pods[1]).refused(11, "the cluster has no pool")
        status(lab, conf).refused(50, "the cluster has no pool")
        true(pods[0].ns.pings("10.99.0.1"), "the pod to live on")


def test_pools_of_the_cluster_are_chosen_by_name(lab):
    conf, pod = cluster_conf(lab), lab.pod()
    with agent_of(lab, POOL4, "pool 10.67.0.0/16 29 60 yes", "pool 10.68.0.0/16 29 60 no", POOL6, "put",
                  "add 10.66.0.8/29", "add 10.67.0.8/29", "add fd66::8/125"):
        def asking(**annotations):
            full = {"cni.projectcalico.org/" + k: v for k, v in annotations.items()}
            return dict(conf, runtimeConfig={"io.kubernetes.cri.pod-annotations": full})
        for name in ("pool-2", "pool-9"):  # one that is not for this node, and none
            lab.call("ADD", asking(ipv4pools=f'["{name}"]'), pod).refused(7, name, "for this node")
        equal(addresses(lab.add(pod, asking(ipv4pools='["pool-1"]'))), ["10.67.0.8", "fd66::8"],
              "addresses")
        equal(addresses(lab.add(lab.pod(), asking(ipv4pools='["pool-1"]', ipFamilies='["IPv4"]'))),
              ["10.67.0.9"], "addresses")
        chosen = dict(conf, ipam=dict(conf["ipam"], ipv4_pools=["pool-1"], assign_ipv6="false"))
        equal(addresses(lab.add(lab.pod(), chosen)), ["10.67.0.10"], "addresses")


def test_a_namespace_names_pools_for_pods_that_name_none(lab):
    """What the agent has written into the node state: no call of anybody."""
    def asking(**annotations):
        full = {k.replace("_", "/", 1): v for k, v in annotations.items()}
        return dict(cluster_conf(lab), runtimeConfig={"io.kubernetes.cri.pod-annotations": full})

    def add(conf, namespace="shop"):
        return addresses(lab.add(lab.pod(), conf, CNI_ARGS=f"K8S_POD_NAMESPACE={namespace};K8S_POD_NAME=web-0"))
    calico = {"cni.projectcalico.org/ipv4pools": '["pool-1"]'}
    with agent_of(lab, POOL4, "pool 10.67.0.0/16 29 60 yes", POOL6, "put",
                  "add 10.66.0.8/29", "add 10.67.0.8/29", "add fd66::8/125") as agent:
        agent.tell("namespace shop " + json.dumps(calico))
        equal(add(cluster_conf(lab)), ["10.67.0.8", "fd66::8"], "addresses of a pod in the namespace")
        equal(add(cluster_conf(lab), "other"), ["10.66.0.8", "fd66::9"], "addresses of a pod in another one")
        conf = asking(**{"cni.projectcalico.org_ipv4pools": '["10.66.0.0/16"]'})
        equal(add(conf), ["10.66.0.9", "fd66::a"], "addresses of a pod that names one itself")
        agent.tell("namespace shop " + json.dumps(dict(calico, **{"roost.io/ipv4pools": '["pool-0"]',
                                                                  "roost.io/ipFamilies": '["IPv4"]'})))
        equal(add(cluster_conf(lab)), ["10.66.0.10"], "roost's names before Calico's, and families")
        agent.tell("namespace shop {}")
        equal(add(cluster_conf(lab)), ["10.66.0.11", "fd66::b"], "addresses when the namespace is silent again")


def test_a_wrong_annotation_of_a_namespace_is_refused_by_name(lab):
    pod, args = lab.pod(), {"CNI_ARGS": "K8S_POD_NAMESPACE=shop;K8S_POD_NAME=web-0"}
    with agent_of(lab, *USUAL) as agent:
        for value, words in (("pool-1", 'namespace shop: roost.io/ipv4pools: "pool-1" is not a JSON array'),
                             ('["10.1.2.300/8"]', "is not a prefix or the name of a pool"),
                             ('["none-such"]', "the pod's namespace asks for IPv4 pool none-such"),
                             (json.dumps(["p" * 60] * 20), "is not a JSON array of strings")):
            agent.tell("namespace shop " + json.dumps({"roost.io/ipv4pools": value}))
            said = lab.call("ADD", cluster_conf(lab), pod, **args).refused(7, words)
            true("web-0" in said.get("details", "") or "asks for" in words, "the pod's name", said)
        lab.nothing_left(pod)


def test_roost_s_names_of_annotations_count_before_Calico_s(lab):
    pod = lab.pod()
    with agent_of(lab, *USUAL):
        both = {"roost.io/ipAddrs": '["10.66.0.10"]', "cni.projectcalico.org/ipAddrs": '["10.66.0.11"]',
                "roost.io/hwAddr": "02:00:00:00:00:07"}
        result = lab.add(pod, cluster_conf(lab, runtimeConfig={"io.kubernetes.cri.pod-annotations": both}))
        true("10.66.0.10" in addresses(result), "the address that roost's annotation names", result)
        equal(result["interfaces"][1]["mac"], "02:00:00:00:00:07", "the MAC")
        wrong = {"roost.io/ipAddrs": "10.66.0.12"}
        lab.call("ADD", cluster_conf(lab, runtimeConfig={"io.kubernetes.cri.pod-annotations": wrong}), lab.pod(),
                 CNI_ARGS="K8S_POD_NAMESPACE=shop;K8S_POD_NAME=web-1").refused(
            7, "roost.io/ipAddrs", "is not a JSON array", "pod shop/web-1")


@pytest.mark.slow
@pytest.mark.parametrize("mode", MODES)
def test_ADD_without_memory_beside_an_agent_says_try_again(lab, mode):
    conf, pod, other = cluster_conf(lab, cniVersion="1.1.0"), lab.pod(), lab.pod()
    with agent_of(lab, "pool 10.66.0.0/16 31 60 yes", "put", "add 10.66.0.0/31", "reap yes",
                  "refuse nothing left"):
        lab.add(other, conf)  # one address is left, and cools down again and again
        starve(lab, "ADD", conf, pod, mode, after=lambda good, answer: lab.delete(pod, conf))
        lab.add(pod, conf)
        equal(sorted(lab.used()), ["10.66.0.0", "10.66.0.1"], "used addresses")


def test_a_requested_address_must_be_in_a_block_of_this_node(lab):
    conf, pod = cluster_conf(lab), lab.pod()
    with agent_of(lab, *USUAL, "clear", POOL4, "reserved 10.66.0.12/32", "put"):
        def asking(address):
            return dict(conf, runtimeConfig={"ips": [address]})
        lab.call("ADD", asking("10.66.9.9"), pod).refused(999, "10.66.9.9",
                                                          "not in a block of this node")
        lab.call("ADD", asking("10.66.0.12"), pod).refused(999, "10.66.0.12 is reserved")
        equal(addresses(lab.add(pod, asking("10.66.0.13"))), ["10.66.0.13"], "address")


def test_a_pod_can_ask_for_pools_of_the_cluster(lab):
    pods = [lab.pod(), lab.pod()]
    with agent_of(lab, POOL4, "pool 10.67.0.0/16 29 60 yes", "put", "add 10.66.0.8/29",
                  "add 10.67.0.8/29"):
        def asking(pool):
            return cluster_conf(lab, runtimeConfig={"io.kubernetes.cri.pod-annotations": {
                "cni.projectcalico.org/ipv4pools": json.dumps([pool])}})
        equal(addresses(lab.add(pods[0], asking("10.67.0.0/16"))), ["10.67.0.8"], "address")
        lab.call("ADD", asking("10.68.0.0/16"), pods[1]).refused(
            7, "10.68.0.0/16", "not one of the cluster's pools")


def test_the_mtu_is_the_copy_s_unless_the_configuration_says_another(lab):
    pods = [lab.pod() for _ in range(4)]
    with agent_of(lab, POOL4, POOL6, "mtu4 1450", "mtu6 1430", "put", "add 10.66.0.8/29",
                  "add fd66::8/125") as agent:
        lab.add(pods[0], cluster_conf(lab))
        lab.add(pods[1], cluster_conf(lab, mtu=1400))
        agent.tell("mtu6 0", "put")
        lab.add(pods[2], cluster_conf(lab))
        agent.tell("mtu4 9000", "put") # IPv6 takes the uplink's 1500
        lab.add(pods[3], cluster_conf(lab))
        equal([p.ns.link("eth0")["mtu"] for p in pods], [1430, 1400, 1450, 1500], "MTUs")
        agent.tell("mtu6 1200", "put")
        lab.call("ADD", cluster_conf(lab), lab.pod()).refused(7, "mtu 1200")
        status(lab, cluster_conf(lab)).refused(50, "mtu 1200")


def test_a_configuration_with_pools_works_beside_the_cluster_s(lab):
    pods = [lab.pod(), lab.pod()]
    with agent_of(lab, *USUAL):
        equal(addresses(lab.add(pods[0], cluster_conf(lab))), ["10.66.0.8"], "address")
        own = lab.conf(pools=["10.70.0.0/24"], name="own")
        equal(addresses(lab.add(pods[1], own)), ["10.70.0.0"], "address")
        lab.call("ADD", lab.conf(pools=["10.66.0.0/16"]), lab.pod()).refused(
            7, "blockSize 26")
        lab.call("ADD", lab.conf(pools=[{"cidr": "10.66.0.0/16", "blockSize": 29}],
                                 **{"runtimeConfig": {"ips": ["10.66.0.32"]}}),
                 lab.pod()).refused(7, "10.66.0.0/16 is the cluster's")


def test_GC_leaves_the_node_s_tunnel_address(lab):
    conf, pod = cluster_conf(lab), lab.pod()
    with agent_of(lab, *USUAL) as agent:
        tunnel = agent.tell("tunnel ipv4")
        lab.add(pod, conf)
        lab.gc(None, conf)
        equal(list(lab.used()), [tunnel], "used addresses")
        equal(agent.tell("tunnel ipv4"), tunnel, "the tunnel's address")
        equal(lab.records()[tunnel]["network"], "roost tunnel", "its network")


def test_a_tunnel_s_address_is_shown_as_such_and_released_only_by_force(lab):
    with agent_of(lab, *USUAL) as agent:
        tunnel = agent.tell("tunnel ipv4")
        lab.host.ip("link add vxlan.roost type vxlan id 1 dstport 4789",
                    f"addr add {tunnel}/32 dev vxlan.roost")
        said(lab, 1, "nothing but the device of this node's own tunnel (vxlan, ipv4)",
             "ipam", "check")
        lab.host.run("ip", "link", "set", "vxlan.roost", "alias", "roost: VXLAN over IPv4")
        said(lab, 0, "all is right", "ipam", "check")
        said(lab, 0, "this node's own tunnel (vxlan, ipv4)", "ipam", "show", "--ip", tunnel)
        said(lab, 1, f"{tunnel} is the address of this node's own tunnel (vxlan, ipv4)",
             "ipam", "release", tunnel)
        equal(list(lab.used()), [tunnel], "used addresses")
        said(lab, 0, "released, was used by this node's own tunnel (vxlan, ipv4)",
             "ipam", "release", "--force", tunnel)
        equal(lab.used(), {}, "used addresses")


def test_reserved_addresses_say_what_they_are_reserved_for(lab):
    conf = {**cluster_conf(lab), "ipam": {"type": "roost-ipam", "gateway": "10.66.0.9"}}
    with agent_of(lab, POOL4, "reserved 10.66.0.10/31", "put", "add 10.66.0.8/29"):
        lab.add(lab.pod(), conf)
        equal(lab.in_state("reserved"), ["10.66.0.9", "10.66.0.10", "10.66.0.11", "10.66.0.15"],
              "reserved addresses")
        for address, shown, refused in (
                ("10.66.0.10", "inside an IPReservation", "reserved by an IPReservation"),
                ("10.66.0.9", "kept for a gateway", "reserved for a gateway"),
                ("10.66.0.15", "kept for a gateway or its subnet", "reserved for a gateway")):
            said(lab, 0, shown, "ipam", "show", "--ip", address)
            said(lab, 1, f"{address} is {refused}", "ipam", "release", address)


def test_other_main_plugins_get_addresses_of_the_cluster_too(lab):
    pod = lab.pod()
    conf = {"cniVersion": "1.0.0", "name": "net", "type": "ptp",
            "ipam": {"type": "roost-ipam", "stateDir": lab.state}}
    with agent_of(lab, *USUAL):
        equal(addresses(lab.chain(pod, [conf], "1.0.0")), ["10.66.0.8"], "address")
        lab.chained("DEL", pod, conf, None, "1.0.0")
        equal(lab.used(), {}, "used addresses")


# ---- links that are marked ----

def test_DEL_beside_an_agent_marks_the_link_and_releases_the_address(lab):
    conf, pod = cluster_conf(lab), lab.pod()
    with agent_of(lab, *USUAL) as agent:
        result = lab.add(pod, conf)
        name = lab.host_links()[0]
        lab.delete(pod, conf)
        link = lab.host.link(name)
        equal(link["group"], REAP_GROUP, "the link's group")
        true("UP" not in link["flags"], "the link down", link["flags"])
        true("container-1" in link.get("ifalias", ""), "its label kept", link)
        equal(lab.pod_routes(), {}, "routes")
        equal(lab.in_state("cooling"), ["10.66.0.8"], "cooling addresses")
        true(not pod.ns.pings("10.99.0.1"), "no way out for the pod")
        lab.check(pod, result, conf).refused(999, "host end", "missing")
        lab.delete(pod, conf)
        equal(lab.ctl("ipam", "check").get("problems"), [], "problems")
        agent.tell("reap yes")
        wait_for(lambda: not marked(lab), "the agent to delete the link")
        equal(pod.ns.link("eth0"), None, "the pod's interface")


def test_DEL_beside_an_agent_marks_with_every_kind_of_ipam(lab):
    foreign = f"{lab.dir}/bin"
    os.makedirs(foreign)
    script(f"{foreign}/fixed", '''case $CNI_COMMAND in ADD)
    echo '{"cniVersion":"1.0.0","ips":[{"address":"10.71.0.5/24"}]}';; esac\n''')
    confs = (lab.conf(pools=["10.70.0.0/24", "fd70::/64"]),
             cluster_conf(lab, name="foreign", ipam={"type": "fixed"}))
    with agent_of(lab, *USUAL) as agent:
        for conf in confs:
            pod, path = lab.pod(), {"CNI_PATH": f"{foreign}:{BIN}", "PATH": "/usr/bin:/bin"}
            lab.add(pod, conf, **path)
            lab.delete(pod, conf, **path)
            equal(lab.host_links(), marked(lab), "marked links")
            equal(lab.pod_routes(), {}, "routes")
            lab.add(pod, conf, **path)
            lab.delete(pod, conf, **path)
        agent.tell("reap yes")
        wait_for(lambda: not marked(lab), "the agent to delete the links")


def test_an_ADD_right_after_DEL_into_the_same_namespace_works(lab):
    conf, pod = cluster_conf(lab), lab.pod()
    with agent_of(lab, POOL4, POOL6, "put", "add 10.66.0.8/29", "add fd66::8/125") as agent:
        for _ in range(3): # nobody deletes what is marked but the next ADD
            lab.add(pod, conf)
            lab.delete(pod, conf)
        lab.add(pod, conf)
        equal(marked(lab), [], "marked links")
        true(pod.ns.pings("fd99::1") and pod.ns.pings("10.99.0.1"), "the pod to reach the router")
        agent.tell("reap yes")
        other = pod._replace(container="another") # and so for another container
        lab.call("ADD", conf, other).refused(999, "eth0 already exists")


def test_an_address_that_is_used_again_at_once_gets_its_host_interface(lab):
    conf, pods = cluster_conf(lab), [lab.pod() for _ in range(4)]
    with agent_of(lab, "pool 10.66.0.0/16 32 0 yes", "put", "add 10.66.0.9/32"):
        for pod in pods:
            equal(addresses(lab.add(pod, conf)), ["10.66.0.9"], "address")
            equal(lab.host_links(), ["roost0a420009"], "host links")
            true(lab.host.pings("10.66.0.9"), "the pod to answer")
            lab.delete(pod, conf)


def test_another_interface_right_after_DEL_is_the_pod_s_first(lab):
    conf, pod = cluster_conf(lab), lab.pod()
    with agent_of(lab, POOL4, POOL6, "put", "add 10.66.0.8/29", "add fd66::8/125"):
        lab.add(pod, conf)
        lab.delete(pod, conf)
        lab.add(pod._replace(ifname="net1"), conf)
        true("default via 169.254.1.1 dev net1 proto boot" in " ".join(pod.ns.routes()),
             "its default route in the main table", pod.ns.routes())
        equal(pod.ns.ask("rule show")[-1]["table"], "default", "the last rule")


def test_a_second_interface_s_rules_go_with_DEL_beside_an_agent(lab):
    conf, pod = cluster_conf(lab), lab.pod()
    with agent_of(lab, *USUAL):
        second = pod._replace(ifname="net1")
        lab.add(pod, conf)
        rules = pod.ns.ask("rule show")
        lab.add(second, conf)
        true(pod.ns.ask("rule show") != rules, "a rule of the second interface")
        lab.delete(second, conf)
        equal(pod.ns.ask("rule show"), rules, "rules")
        true(pod.ns.pings("10.99.0.1"), "the first interface to work on")


def test_what_an_agent_left_marked_is_deleted_without_it(lab):
    conf, pods = cluster_conf(lab), [lab.pod() for _ in range(4)]
    for how in ("DEL", "ADD", "DEL of nothing", "GC"):
        with agent_of(lab, *USUAL) as agent:
            for pod in pods[:3]:
                lab.add(pod, conf)
            for pod in pods[:2]:
                lab.delete(pod, conf)
            equal(len(marked(lab)), 2, "marked links")
            agent.end(kill=True)
        if how == "DEL":
            lab.delete(pods[2], conf)
        elif how == "ADD":
            lab.add(pods[3], conf)
        elif how == "GC":
            lab.gc(pods, conf)
        else:
            lab.delete(pods[0], conf)
        equal(marked(lab), [], f"marked links after {how}")
        for pod in pods:
            lab.delete(pod, conf)
        lab.nothing_left(*pods)


def test_a_marked_link_is_gone_for_GC_and_for_people(lab):
    conf, pods = cluster_conf(lab), [lab.pod() for _ in range(2)]
    with agent_of(lab, *USUAL):
        for pod in pods:
            lab.add(pod, conf)
        lab.delete(pods[0], conf)
        equal(lab.ctl("ipam", "check").get("problems"), [], "problems")
        lab.gc([pods[1]], conf)
        equal(len(lab.host_links()), 1, "host links")
        true(pods[1].ns.pings("10.99.0.1"), "the other pod to live on")


def test_pods_come_and_go_at_once_beside_an_agent_that_deletes(lab):
    conf, pods = cluster_conf(lab), [lab.pod() for _ in range(12)]
    with agent_of(lab, "pool 10.66.0.0/16 28 0 yes", "put", "add 10.66.0.0/28",
                  "reap yes") as agent:
        def live(pod):
            for _ in range(6):
                lab.add(pod, conf)
                lab.delete(pod, conf)
        at_once([lambda p=p: live(p) for p in pods])
        wait_for(lambda: not marked(lab), "the agent to delete the links")
        lab.nothing_left(*pods)
        equal(agent.tell("free ipv4"), "16 0", "free addresses")
