# SPDX-License-Identifier: Apache-2.0
"""roostctl conformance where things are broken: it says what, and names the cause; and whatever
happens to it or to its probes, nothing of it is left. That it passes in every mode is in
modes_test.py."""
import json
import os
import signal
import subprocess
import xml.etree.ElementTree as xml

import pytest

from lab import (BIN, Cluster, HANG_S, PROGRAMS, conformance_line, equal, inside, step, true, until,
                 until_it_passes)

pytestmark = pytest.mark.needs(*PROGRAMS)

# A CNI plugin that passes on what the ones before it made, and does something to the node besides.
BREAKER = """\
#!/bin/sh
if [ "$CNI_COMMAND" = ADD ]; then
    { %s; } >&2
    /usr/bin/python3 -c 'import json, sys; print(json.dumps(json.load(sys.stdin)["prevResult"]))'
fi
"""


def ready(cluster):
    cluster.wait_ready()
    cluster.conformance()  # works, and claims the blocks
    return cluster


def quickly(file):
    """What is wrong stays wrong."""
    file["settleSeconds"] = 1
    file["pods"] = 1


def failures(cluster, edit=quickly, right=None):
    """The failed checks of a run, which must have failed. right: the nodes whose own state and kernel
    must be right all the same (all)."""
    done = cluster.conformance("-o", "json", ok=False, edit=edit)
    equal(done.returncode, 1, f"the status of roostctl conformance ({done.stderr[-300:]})")
    answer = json.loads(done.stdout)
    bad = [k for k in answer["checks"] if k["verdict"] == "failed"]
    true(bad, "failed checks")
    equal(len(bad), answer["summary"]["failed"], "the number of failed checks")
    for node in cluster.nodes if right is None else right:
        node.consistent()
    return bad


def blames(bad, cause, only=None):
    """Some failure has that cause; each one with a cause has one that begins so, and each has the
    words of only in it."""
    causes = {k.get("cause", "") for k in bad} - {""}
    true(any(cause in c for c in causes), f"the cause {cause!r}",
         causes or [conformance_line(k) for k in bad[:5]])
    for k in bad:
        true(only is None or only(k), "this check not to fail", conformance_line(k))
    step(f"{len(bad)} failed: {cause}")


def breaks(node, command):
    """From now on the runtime's chain does something to the node after roost."""
    def edit(file):
        quickly(file)
        host = next(h for h in file["nodes"] if h["name"] == node.name)
        path = f"{node.dir}/breaking"
        os.makedirs(path, exist_ok=True)
        with open(f"{path}/breaker", "w") as f:
            f.write(BREAKER % command)
        os.chmod(f"{path}/breaker", 0o755)
        with open(f"{host['confDir']}/10-roost.conflist") as f:
            conf = json.load(f)
        conf["plugins"].append({"type": "breaker"})
        with open(f"{host['confDir']}/10-roost.conflist", "w") as f:
            json.dump(conf, f)
        host["cniPath"].insert(0, path)
    return edit


def between(*names):
    """Whether a failed check is one between these nodes (or of one of them alone)."""
    return lambda k: all(any(n in word for n in names)
                         for word in k["check"].split() if "node" in word)


def firewall(ns, hook, rule):
    ns.run("nft", f"add table inet broken; add chain inet broken x {{ type filter hook {hook} "
           f"priority 0; }}; add rule inet broken x {rule}")


def test_a_firewall_in_the_way_is_named_with_the_place_where_it_is():
    with Cluster(encap="vxlan", nat=True, families=(4,)) as c:
        ready(c)
        one, two, three = c.nodes
        firewall(c.router, "forward", 'iifname "lan1" oifname "lan2" udp dport 4789 drop')
        bad = failures(c)
        blames(bad, "UDP 4789 (VXLAN) leaves node1 and does not arrive at node2: something between "
               "them drops it", lambda k: "node2" in k["check"])
        equal({k["cause"] for k in bad if "node2/a -> node3/a" in k["check"]},
              {"UDP 4789 (VXLAN) leaves node3 and does not arrive at node2: something between them "
               "drops it"}, "why answers of node3 do not arrive")
        c.router.run("nft", "delete table inet broken")
        firewall(three.ns, "input", "udp dport 4789 drop")
        blames(failures(c), "UDP 4789 (VXLAN) arrives at node3 and is not taken: a firewall there "
               "drops it (chain input)", lambda k: "node3" in k["check"])
        three.run("nft", "delete table inet broken")
        firewall(two.ns, "forward", "ip protocol udp drop")
        blames(failures(c), "node2 gets the packets and does not pass them on: a firewall there "
               "drops them (chain forward)",
               lambda k: "node2" in k["check"] and not k["check"].startswith(("tcp", "icmp")))
        two.run("nft", "delete table inet broken")


def test_what_is_missing_on_a_node_is_named():
    with Cluster(encap="none", tor=True, families=(4,)) as c:
        ready(c)
        one, two, three = c.nodes
        for node in c.nodes:
            node.agent.kill()
        bad = failures(c, breaks(two, "echo 0 > /proc/sys/net/ipv4/ip_forward"))
        blames(bad, "node2 gets the packets and does not pass them on: forwarding is off there "
               "(net.ipv4.ip_forward)", lambda k: "node2" in k["check"])
        two.ns.set_sysctl("ipv4/ip_forward", 1)
        one.bird.kill()
        block = three.blackholes()[0]
        one.ns.ip(f"route del {block}")
        bad = failures(c)
        lacking = [k for k in bad if k["group"] == "route"]
        equal([k["check"] for k in lacking], ["route IPv4 other nodes  node1"], "checks of routes")
        equal(lacking[0]["saw"], f"{block}: no route, not via 10.1.1.13 without a tunnel, protocol 12",
              "what was seen")
        one.ns.ip(f"route add {block} via 10.1.1.13 proto static")
        bad = failures(c, right=(two, three))
        equal({k["check"] for k in bad},
              {"route IPv4 other nodes  node1", "route IPv4 no others  node1"}, "failed checks")
        true("ip route del" in one.ctl("ipam", "check", ok=False).stdout, "ipam check to name it")
        step("a route of somebody else's is seen")


def test_a_path_that_takes_less_than_the_pods_think():
    with Cluster(encap="none", tor=True, families=(4,), nodes=2) as c:
        ready(c)
        c.router.ip("link set to-node2 mtu 1400", "link set lan2 mtu 1400")
        bad = failures(c)
        true(all("full size" in k["check"] for k in bad), "full size alone to fail",
             [conformance_line(k) for k in bad])
        blames(bad, "small packets pass, those of full size do not")
        true(any("EMSGSIZE, at most 1400 bytes, says 10.1.1.1" in k["saw"] for k in bad),
             "who said it", [k["saw"] for k in bad])


def spoil(router, source):
    """A network card that gets wrong what is inside VXLAN, in the router's hands: it breaks the checksums
    of TCP and UDP there, and no outer one gives that away. The nodes' links make checksums themselves, so
    that ends look at them."""
    inside = 8 + 8 + 14  # behind the outer UDP header: VXLAN's and the inner Ethernet header
    rules = [f"udp dport 4789 ip saddr {source} @th,{(inside + 9) * 8},8 {protocol} "
             f"@th,{(inside + 20 + at) * 8},16 set 0x0bad udp checksum set 0" for protocol, at in ((6, 16), (17, 6))]
    router.run("nft", "add table inet broken; add chain inet broken x { type filter hook forward priority 0; }; "
               + "; ".join(f"add rule inet broken x {r}" for r in rules))


def test_a_network_card_that_makes_wrong_checksums_in_tunnels():
    with Cluster(encap="vxlan", families=(4,), nodes=2) as c:
        ready(c)
        one, two = c.nodes
        true("tx-checksumming: on" in one.ns.run("ethtool", "-k", "vxlan.roost"), "offload to be on")
        for node in c.nodes:
            node.ns.run("ethtool", "-K", "eth0", "tx", "off")
        c.conformance()
        step("links without offload do no harm")
        spoil(c.router, one.ip(4))
        bad = failures(c)
        true(not any(k["group"] == "icmp" for k in bad), "ICMP not to fail",
             [conformance_line(k) for k in bad])
        blames(bad, "which takes ICMP alone: the network card of node1, or its driver, makes wrong "
               "checksums in tunnelled packets")
        equal([k["cause"] for k in bad if "network card of node2" in k.get("cause", "")], [],
              "what node2 is blamed for")


def test_a_node_that_cannot_be_reached_does_not_keep_the_others_from_being_tested():
    with Cluster(encap="none", tor=True, families=(4,), nodes=3) as c:
        ready(c)
        def edit(file):
            quickly(file)
            file["nodes"][2]["command"] = ["sh", "-c", "echo 'connect to host: No route' >&2; exit 255"]
        bad = failures(c, edit)
        equal([(k["check"], k["saw"]) for k in bad], [
            ("probe  node3", "the probe of node3 ended with status 255; it said: connect to host: No route")],
            "failed checks")
        def garbage(file):
            quickly(file)
            file["nodes"][1]["command"] = ["sh", "-c", "echo login: ; exec cat >/dev/null"]
            file["nodes"][2]["command"] = ["/nonexistent/ssh"]
        bad = failures(c, garbage)
        equal([k["saw"] for k in bad], [
            "the probe of node2 said what is no answer: login:",
            "the probe of node3 cannot be started: cannot run /nonexistent/ssh: No such file or "
            "directory"], "what was seen")


def test_the_three_forms_of_the_report_tell_the_same():
    with Cluster(encap="none", tor=True, families=(4,), nodes=2) as c:
        ready(c)
        answer = c.conformance()
        text = c.conformance("-o", "text", ok=False)
        tree = xml.fromstring(c.conformance("-o", "junit", ok=False).stdout)
        s = answer["summary"]
        equal((text.returncode, text.stderr), (0, ""), "status and stderr")
        lines = text.stdout.splitlines()
        true(lines[-1].startswith(f"{s['checks']} checks: {s['ok']} ok, 0 failed, "
                                  f"{s['skipped']} skipped (2 nodes, 4 pods, "), "the sum", lines[-1])
        equal(len(lines), s["checks"] + 2, "lines")
        equal([k["group"] for k in answer["checks"]], [t.get("classname") for t in tree], "the checks")
        equal((tree.get("tests"), tree.get("failures")), (str(s["checks"]), "0"), "JUnit's sums")
        with inside(c.nodes[0].path):
            for words in (["conformance", "file"], ["conformance", "--cluster", "/nonexistent"],
                          ["ipam", "list", "-o", "junit"]):
                done = subprocess.run([f"{BIN}/roostctl", *words], capture_output=True, timeout=HANG_S)
                equal(done.returncode, 2, f"the status of roostctl {' '.join(words)}")


def started(cluster):
    """roostctl conformance, with pods of its own on every node."""
    edit = lambda file: file.update(settleSeconds=600)
    cluster.conformance("--help", ok=False, edit=edit)
    path = max((f"{cluster.dir}/{f}" for f in os.listdir(cluster.dir) if f.startswith("conformance-")),
               key=os.path.getmtime)
    with inside(cluster.nodes[0].path):
        process = subprocess.Popen(
            [f"{BIN}/roostctl", "conformance", "--cluster", path, "--store", cluster.store.url],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    until(lambda: all(len(n.used()) == 2 for n in cluster.nodes), "pods on each node")
    return process


def probes():
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/cmdline", "rb") as f:
                if b"\0probe\0" in f.read():
                    found.append(pid)
        except OSError:
            pass
    return found


def test_nothing_is_left_of_a_run_that_is_interrupted_or_killed():
    with Cluster(encap="none", tor=True, families=(4,), nodes=2) as c:
        ready(c)
        c.nodes[0].bird.kill()
        c.nodes[0].ns.ip(f"route del {c.nodes[1].blackholes()[0]}")  # so that it waits
        for number in (signal.SIGINT, signal.SIGKILL):
            process = started(c)
            process.send_signal(number)
            out, err = process.communicate(timeout=HANG_S)
            equal(process.returncode, 1 if number == signal.SIGINT else -number,
                  f"the status ({err})")
            if number == signal.SIGINT:
                true("The run was interrupted." in out, "the report to say so", out[-300:])
            until(lambda: all(not n.used() for n in c.nodes), "the pods to be deleted")
            for node in c.nodes:
                until_it_passes(node.consistent, f"nothing to be left on {node}")
            step(f"signal {number}")
