# SPDX-License-Identifier: Apache-2.0
"""Strangers who write to the store, to the agent's socket, and into BGP: nothing of it disturbs a
pod, reaches BIRD's or nft's grammar, or ends an agent."""
import contextlib
import json
import os
import shutil
import socket

import pytest

import lab
import traffic
from lab import Cluster, PROGRAMS, equal, step, true, until

pytestmark = pytest.mark.needs(*PROGRAMS)


MARK = "zqhostile"  # in every document; must never be seen in a configuration
SYNTAX = f'x"; }} protocol static {MARK} {{ ipv4; route 0.0.0.0/0 via "eth0"; }} #'
LINES = f"node9\n}}\nprotocol static {MARK} {{ ipv4; }}\n"
NFT = f"10.0.0.0/8 }} ; add table ip {MARK} ; #"


def spec(kind, name, **fields):
    return json.dumps({"apiVersion": "projectcalico.org/v3", "kind": kind,
                       "metadata": {"name": name}, "spec": fields}).encode()


def node_document(name, **bgp):
    return spec("Node", name, bgp=bgp)


def documents():
    """[(key, value)] that no roostctl would have written."""
    r = b"resources/"
    found = [
        # No JSON, other JSON, JSON of wrong types.
        (r + b"ippools/zq-garbage", b"\xff\xfe\x00garbage"),
        (r + b"ippools/zq-empty", b""),
        (r + b"ippools/zq-null", b"null"),
        (r + b"ippools/zq-list", b"[]"),
        (r + b"ippools/zq-deep", b"[" * 100000),
        (r + b"ippools/zq-number", b'{"kind":"IPPool","metadata":{"name":"zq-number"},"spec":7}'),
        (r + b"ippools/zq-types", spec("IPPool", "zq-types", cidr=7, blockSize="x", natOutgoing=[])),
        (r + b"ippools/zq-nul", b'{"kind":"IPPool","metadata":{"name":"a\\u0000b"},"spec":{}}'),
        (r + b"nodes/zq-types", node_document("zq-types", ipv4Address={}, asNumber=[])),
        (r + b"nodes/zq-missing", b'{"kind":"Node"}'),
        # Values that would be the end of a cluster.
        (r + b"ippools/zq-everything", spec("IPPool", "zq-everything", cidr="0.0.0.0/0",
                                            natOutgoing=True)),
        (r + b"ippools/zq-overlap", spec("IPPool", "zq-overlap", cidr="100.66.0.0/15")),
        (r + b"ippools/zq-size", spec("IPPool", "zq-size", cidr="100.99.0.0/16", blockSize=99)),
        (r + b"ippools/zq-loop", spec("IPPool", "zq-loop", cidr="127.0.0.0/8")),
        (r + b"nodes/zq-thief", node_document("zq-thief", ipv4Address="10.1.1.11/24")),
        (r + b"nodes/zq-wide", node_document("zq-wide", ipv4Address="10.1.1.99/0")),
        (r + b"nodes/zq-vtep", spec("Node", "zq-vtep", bgp={"ipv4Address": "10.1.1.98/24"},
                                    ipv4VXLANTunnelAddr="10.1.1.12",
                                    vxlanTunnelMACAddr="ff:ff:ff:ff:ff:ff")),
        (r + b"bgpconfigurations/zq", spec("BGPConfiguration", "zq", asNumber=1)),
        # BIRD's and nft's grammar in every text field.
        (r + b"nodes/zq-syntax", node_document("zq-syntax", ipv4Address=SYNTAX)),
        (r + b"nodes/" + json.dumps(SYNTAX).encode().replace(b" ", b"_"),
         node_document(SYNTAX, ipv4Address="10.1.1.97/24")),
        (r + b"nodes/zq\nline", node_document(LINES, ipv4Address="10.1.1.96/24")),
        (r + b"ippools/zq-nft", spec("IPPool", "zq-nft", cidr=NFT, natOutgoing=True)),
        (r + b"bgppeers/zq-peer", spec("BGPPeer", "zq-peer", peerIP=SYNTAX, asNumber=1)),
        (r + b"bgppeers/zq-name", spec("BGPPeer", LINES, peerIP="10.1.1.1", asNumber=1)),
        (r + b"bgppeers/zq-password", spec("BGPPeer", "zq-password", peerIP="10.1.1.95", asNumber=1,
                                           password={"literal": SYNTAX})),
        (r + b"bgppeers/zq-filter", spec("BGPPeer", "zq-filter", peerIP="10.1.1.94", asNumber=1,
                                         filters=[SYNTAX, LINES])),
        (r + b"bgpfilters/zq-filter", spec("BGPFilter", "zq-filter", exportV4=[
            {"cidr": SYNTAX, "matchOperator": LINES, "action": MARK}])),
        (r + b"bgppeers/zq-selector", spec("BGPPeer", "zq-selector", peerIP="10.1.1.93",
                                           asNumber=1, nodeSelector="(" * 900)),
        (r + b"nonsense/zq", b"{}"),
        (r + b"", b"{}"),
        # Blocks of nobody, of somebody twice, in no pool, under keys that only look right.
        (b"blocks/100.66.200.0-26", b"{}"),
        (b"blocks/100.66.201.0-26", b"garbage"),
        (b"blocks/100.66.202.0-26", json.dumps({"node": SYNTAX, "state": "owned"}).encode()),
        (b"blocks/100.66.203.1-26", b'{"node":"node1","state":"owned","nonce":"x"}'),
        (b"blocks/100.66.204.0-26\n", b'{"node":"node1","state":"owned","nonce":"x"}'),
        (b"blocks/0.0.0.0-0", b'{"node":"node2","state":"owned","nonce":"x"}'),
        (b"blocks/10.1.1.0-24", b'{"node":"node1","state":"owned","nonce":"x"}'),
        (b"blocks/zq", b"{}"),
        (b"nodeblocks/node1/100.66.205.0-26", b"{}"),
        (b"nodeblocks/" + SYNTAX.encode(), b"{}"),
        (b"status/node9", b"garbage"),
        (b"status/" + LINES.encode(), b'{"instance":7}'),
        (b"guard/pools", b"garbage"),
        (b"", b"{}"),
        # Sizes.
        (r + b"ippools/zq-huge", b'{"x":"' + b"a" * (2 << 20) + b'"}'),
        (b"blocks/100.66.206.0-26", b" " * (2 << 20)),
        (b"status/zq-huge", b'{"x":"' + b"b" * (2 << 20) + b'"}'),
    ]
    return found


def configuration_is_clean(cluster):
    for node in cluster.nodes:
        with open(node.bird_file) as f:
            text = f.read()
        true(MARK not in text, f"nothing of strangers in BIRD's file of {node}", text[-2000:])
        ruleset = node.run("nft", "list", "ruleset")
        true(MARK not in ruleset, f"nothing of strangers in nftables of {node}", ruleset[-2000:])
        node.agent.must_run()
        node.bird.must_run()


def test_hostile_documents_in_etcd_disturb_nobody():
    hostile_documents("etcd", documents())


def test_hostile_documents_in_the_embedded_store_disturb_nobody():
    """It cannot hold all of them: keys are plain text there, documents have a limit."""
    hostile_documents("file", [(k, v) for k, v in documents()
                               if len(v) < 1 << 20 and b"\0" not in v and
                               k and all(33 <= c < 127 for c in k)])


def hostile_documents(store, strange):
    with Cluster(store=store, encap="vxlan", nat=True) as c:
        c.started()
        before = {n.name: (n.bird_routes(4), n.bird_routes(6)) for n in c.nodes}
        with c.pinger() as pinger:
            pinger.goes_on()
            for key, value in strange:
                c.store.put(key, value)
            # Seen by everybody: a good change behind the bad ones has its effect.
            c.apply(c.pool("after", "100.77.0.0/24", 26))
            until(lambda: all("zq-" in n.status_text() for n in c.nodes),
                  "every agent to name a document that it cannot read")
            step("status names them: " + next(
                l.strip() for l in c.nodes[0].status_text().splitlines() if "zq-" in l)[:160])
            for node in c.nodes:
                equal((node.bird_routes(4), node.bird_routes(6)), before[node.name],
                      f"the routes of {node}")
            configuration_is_clean(c)
            for node in c.nodes:
                pod = node.add_pod()
                node.del_pod(pod)
            for words in (("node", "list"), ("ipam", "show", "--cluster"), ("get", "ippool"),
                          ("get", "node"), ("get", "bgppeer"), ("node", "show", "node1")):
                done = c.nodes[0].ctl(*words, ok=False)
                true(done.returncode in (0, 1), f"roostctl {' '.join(words)} to end by itself",
                     (done.returncode, done.stderr[-300:]))
                true("\x1b" not in done.stdout and SYNTAX not in done.stdout.replace("\\", ""),
                     f"clean text from roostctl {' '.join(words)}", done.stdout[:600])
            # They survive a restart of the agents, too.
            for node in c.nodes:
                node.agent.kill()
                node.agent.start()
            for node in c.nodes:
                until(node.status, f"the agent of {node} to answer")
            pinger.goes_on()
            for key, _ in strange:
                if key:
                    c.store.delete(key)
            until(lambda: all("zq-" not in n.status_text() for n in c.nodes),
                  "every agent to be content again")
        pinger.lost_nothing()
        c.wait_converged()
        c.matrix()
        configuration_is_clean(c)


def test_two_agents_with_one_name_are_refused():
    with Cluster(nodes=3, store="etcd", encap="vxlan", families=(4,)) as c:
        true_node, impostor, third = c.nodes
        c.started()
        with c.pinger([next(iter(n.pods.values())) for n in (true_node, third)]) as pinger:
            impostor.agent.stop()
            # Somebody new: a node with pods would go on under the name that it had.
            os.rename(impostor.data, f"{impostor.data}.aside")
            impostor.configure(node=true_node.name)
            impostor.agent.start()
            impostor.agent.wait("to refuse a name that is in use")
            words = impostor.agent.said()
            true("node1" in words, "the refusal to name the node", words[-600:])
            step("refused: " + words.strip().splitlines()[-1][:200])
            # The same state folder twice, on the node itself.
            twin = lab.Process("a second roostd of node1", true_node.ns, f"{true_node.dir}/twin.log",
                               [f"{lab.BIN}/roostd", "--config", true_node.conf_file])
            twin.start()
            true(twin.wait("to refuse a state folder in use") != 0, "a status that tells of failure")
            step("refused: " + twin.said().strip().splitlines()[-1][:200])
            true_node.agent.must_run()
            pinger.goes_on()
        pinger.lost_nothing()
        shutil.rmtree(impostor.data)
        os.rename(f"{impostor.data}.aside", impostor.data)
        impostor.configure(node=impostor.name)
        impostor.agent.start()
        c.wait_converged()
        c.matrix()


def test_garbage_on_the_agents_socket_is_answered_or_dropped():
    with Cluster(nodes=2, encap="none", subnets=1, families=(4,)) as c:
        c.started()
        node = c.nodes[0]
        mode = os.stat(node.socket).st_mode & 0o777
        equal(oct(mode), oct(0o660), "the mode of the socket")

        def send(data, read=True):
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as s:
                s.settimeout(30)
                s.connect(node.socket)
                with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                    s.sendall(data)
                    if read:
                        return s.recv(65536)
            return b""

        with c.pinger() as pinger:
            for line in (b"\n", b"{}\n", b"[]\n", b"null\n", b'{"op":7}\n', b'{"op":"nonsense"}\n',
                         b'{"op":"block"}\n', b'{"op":"block","pool":[]}\n', b"\xff\xfe\n",
                         b'{"op":"' + b"a" * 1000 + b'"}\n', b"[" * 5000 + b"\n"):
                answer = send(line)
                true(not answer or isinstance(json.loads(answer), dict), "a document or silence",
                     answer[:200])
            for pools in (b'"10.0.0.0/8"', b"[]", b"[7]", b'["no network"]', b"[[]]",
                          b"[" + b",".join([b'"10.0.0.0/8"'] * 65) + b"]"):
                answer = json.loads(send(b'{"op":"block","family":"ipv4","stateDir":"%s",'
                                         b'"pools":%s}\n' % (node.state.encode(), pools)))
                true(answer.get("errno") in ("EINVAL", "EPROTO"), "an error", answer)
            send(b"x" * (2 << 20), read=False)
            send(b"\0" * 70000 + b"\n", read=False)
            send(b'{"op":"sta', read=False)
            # More askers than it serves, who say nothing.
            idle = []
            with contextlib.suppress(OSError):
                for _ in range(200):
                    s = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
                    idle.append(s)
                    s.settimeout(5)
                    s.connect(node.socket)
            pod = node.add_pod()
            node.del_pod(pod)
            for s in idle:
                s.close()
            until(node.status, "the agent to answer again")
            node.agent.must_run()
            pinger.goes_on()
        pinger.lost_nothing()
        c.matrix()


def test_a_confused_neighbour_hijacks_nothing():
    """The router, a BGP peer of every node, announces a default route, a pod's own address, another
    node's block, the nodes' networks and what is in no pool. Pods talk through VXLAN, as the router
    itself believes what it says and drops packets to what it claims."""
    with Cluster(encap="vxlan", tor=True) as c:
        c.started()
        victim = next(iter(c.nodes[1].pods.values()))
        block = c.nodes[1].blackholes(4)[0]
        defaults = [n.run("ip", "route", "show", "default") for n in c.nodes]
        before = [n.bird_routes(4) for n in c.nodes]
        hostile = ["0.0.0.0/0", f"{victim.ip4}/32", block, "100.66.0.0/16", "10.1.1.0/24",
                   "10.1.2.12/32", "203.0.113.0/24", "169.254.1.1/32"]
        with c.pinger() as pinger:
            pinger.goes_on()
            c.router_says(hostile)
            until(lambda: all(c.heard(n, "203.0.113.0/24") for n in c.nodes),
                  "every node to have been told")
            pinger.goes_on()
            for node, default, routes in zip(c.nodes, defaults, before):
                equal(node.run("ip", "route", "show", "default"), default,
                      f"the default route of {node}")
                seen = set(node.bird_routes(4)) - set(routes)
                true(not seen & {"default", f"{victim.ip4}", f"{victim.ip4}/32", "100.66.0.0/16",
                                 "10.1.1.0/24", "10.1.2.12"}, "no hijack in the kernel", seen)
                equal(node.bird_routes(4)[block] if block in routes else None, routes.get(block),
                      f"the route of {node} to {block}")
        pinger.lost_nothing()
        c.router_says([])
        until(lambda: not any(c.heard(n, "203.0.113.0/24") for n in c.nodes),
              "the router to be sane again")
        c.matrix()
