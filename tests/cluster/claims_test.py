# SPDX-License-Identifier: Apache-2.0
"""Who gets which block: races for the last one, pools that are switched off, addresses that nobody
may have. Most of it needs no packets, so BIRD has little to do here. Nobody lends single addresses: that is
loans_test.py."""
import ipaddress
import json

import pytest

import lab
from lab import Cluster, PROGRAMS, equal, resource, step, true, until
from roostlab import at_once

pytestmark = pytest.mark.needs(*PROGRAMS)


def add_with_patience(node, pod):
    """ADD as a runtime calls it: code 11 means try again later. Gives the last answer."""
    return until(lambda: _added(node, pod), f"ADD of {pod} to succeed")


def _added(node, pod):
    answer = node.try_add(pod)
    if answer.status:
        answer.refused(11)
        return False
    return pod


def owners(cluster):
    """{block: node}, as the nodes themselves have it; no block may have two."""
    found = {}
    for node in cluster.nodes:
        for family in cluster.families:
            for block in node.blackholes(family):
                true(block not in found, f"one owner of {block}", (found.get(block), node.name))
                found[block] = node.name
    return found


def one_free_block(store):
    """Two nodes, one block: one gets it, the other says so; when it is given back, the other has
    it."""
    with Cluster(nodes=2, store=store, encap="none", subnets=1, families=(4,), pools=False,
                 start=False, settings={"idleBlockSeconds": 1}) as c:
        c.store.start()
        c.apply(c.pool("small", "100.66.0.0/28", 28),
                resource("IPAMConfiguration", "default", ipCooldownSeconds=0, strictAffinity=True))
        for node in c.nodes:
            node.start()
        pods = [n.new_pod() for n in c.nodes]
        until(lambda: all(n.ready() for n in c.nodes) and
              sum(len(n.blackholes()) for n in c.nodes) == 1, "one node to own the block")
        answers = at_once([lambda n=n, p=p: n.call("ADD", p) for n, p in zip(c.nodes, pods)])
        equal(sorted(a.status for a in answers), [0, 1], "statuses of the two ADDs")
        winner = 0 if answers[0].status == 0 else 1
        loser = 1 - winner
        refusal = answers[loser].refused(11)
        step(f"{c.nodes[loser]}: {refusal['msg']}; {refusal.get('details', '')}")
        equal(owners(c), {"100.66.0.0/28": c.nodes[winner].name}, "the owner of the block")

        pods[winner].result = answers[winner].json()
        c.nodes[winner].del_pod(pods[winner])
        c.nodes[0].ctl("node", "drain", c.nodes[winner].name)
        until(lambda: not c.nodes[winner].blackholes(), "the block to be given back")
        step("the block is free")
        add_with_patience(c.nodes[loser], pods[loser])
        step("the block changed hands")
        until(lambda: owners(c) == {"100.66.0.0/28": c.nodes[loser].name}, "its new owner")


def test_one_free_block_goes_to_one_node_of_two_over_the_embedded_store():
    one_free_block("file")


def test_one_free_block_goes_to_one_node_of_two_over_etcd():
    one_free_block("etcd")


def test_many_pods_at_once_share_a_small_pool_without_a_double():
    """Eight blocks of four addresses, three nodes that all want everything at once: each address
    is given once, and nobody gets more than there is."""
    with Cluster(store="etcd", encap="none", subnets=1, families=(4,), pools=False, start=False,
                 settings={"headroom": 1}) as c:
        c.store.start()
        c.apply(resource("IPPool", "tiny", cidr="100.66.0.0/27", blockSize=30, ipipMode="Never",
                         vxlanMode="Never"), resource("IPAMConfiguration", "default", strictAffinity=True))
        for node in c.nodes:
            node.start()
        c.wait_ready()
        pods = [(n, n.new_pod()) for _ in range(13) for n in c.nodes]
        answers = []
        for group in range(0, len(pods), 13):
            answers += at_once([lambda n=n, p=p: (n, p, n.try_add(p))
                                for n, p in pods[group:group + 13]])
        given = {}
        refused = []
        for node, pod, answer in answers:
            if answer.status:
                answer.refused(11)
                refused.append((node, pod))
                continue
            true(pod.ip4 not in given, f"{pod.ip4} to be given once", (given.get(pod.ip4), pod))
            given[pod.ip4] = pod
        step(f"{len(given)} addresses given, {len(refused)} pods refused")
        true(len(given) <= 32 and len(refused) >= 7, "at most 32 addresses", len(given))
        for node, pod in refused:  # what is left in the end belongs to somebody
            answer = node.try_add(pod)
            if not answer.status:
                true(pod.ip4 not in given, f"{pod.ip4} to be given once", pod)
                given[pod.ip4] = pod
        blocks = owners(c)
        for address, pod in given.items():
            block = next(b for b in blocks if ipaddress.ip_address(address)
                         in ipaddress.ip_network(b))
            equal(blocks[block], pod.node.name, f"the owner of {address}'s block")
        for node in c.nodes:
            node.consistent()


def test_a_pool_that_is_switched_off_gives_nothing_new_and_keeps_what_it_has():
    with Cluster(nodes=2, encap="vxlan", families=(4,)) as c:
        pods = [add_with_patience(n, n.new_pod()) for n in c.nodes]
        for pod in pods:
            c.echo.serve(pod.path)
        c.wait_converged()
        with c.pinger() as pinger:
            pinger.goes_on()
            c.apply(resource("IPPool", "pool4", cidr=lab.POOL4, blockSize=26, ipipMode="Never",
                             vxlanMode="Always", disabled=True))
            late = c.nodes[0].new_pod()
            def nothing_new():
                answer = c.nodes[0].call("ADD", late)
                if answer.status == 0:
                    c.nodes[0].call("DEL", late).ok()
                    return False
                answer.refused(11)
                return True
            until(nothing_new, "ADD to be refused")
            step("no new address")
            c.matrix()
            c.apply(resource("IPPool", "second", cidr="100.77.0.0/24", blockSize=28,
                             ipipMode="Never", vxlanMode="Always"))
            add_with_patience(c.nodes[0], late)
            true(late.ip4.startswith("100.77.0."), "an address of the second pool", late.ip4)
            c.nodes[0].del_pod(late)
            step("the second pool serves")
            c.apply(c.pool("pool4", lab.POOL4, 26))
            c.apply(resource("IPPool", "second", cidr="100.77.0.0/24", blockSize=28,
                             ipipMode="Never", vxlanMode="Always", disabled=True))
            late = c.nodes[0].new_pod()
            def from_the_first():
                add_with_patience(c.nodes[0], late)
                if not late.ip4.startswith("100.66."):
                    c.nodes[0].del_pod(late, keep_namespace=True)
                    return False
                return True
            until(from_the_first, "an address of the first pool again")
            pinger.goes_on()
        pinger.lost_nothing()
        c.wait_converged()


def test_a_pod_that_chooses_its_pool_gets_a_block_of_that_pool():
    """The node has addresses enough, but none of the pool that the pod's annotation names."""
    with Cluster(nodes=1, encap="none", subnets=1, families=(4,), pools=False, start=False,
                 settings={"headroom": 4}) as c:
        node = c.nodes[0]
        c.apply(c.pool("a-first", "100.66.0.0/24", 28), c.pool("b-second", "100.77.0.0/28", 30))
        node.start()
        until(node.ready, "the node to be ready")
        def add(pool):
            pod = node.new_pod()
            return node.try_add(pod, runtimeConfig={"io.kubernetes.cri.pod-annotations": {
                "cni.projectcalico.org/ipv4pools": json.dumps([pool])}}), pod
        pools = ["100.77.0.0/28", "100.66.0.0/24"] * 4
        answers = at_once([lambda p=p: add(p) for p in pools])
        for pool, (answer, pod) in zip(pools, answers):
            equal(answer.status, 0, f"the status of ADD with a pool, {answer}:")
            true(ipaddress.ip_address(pod.ip4) in ipaddress.ip_network(pool),
                 f"an address of {pool}", pod.ip4)
        step("eight pods, half of them in the second pool")
        for _ in range(12):
            equal(add("100.77.0.0/28")[0].status, 0, "the status of ADD in the second pool")
        answer, _ = add("100.77.0.0/28")
        refusal = answer.refused(11)
        true("every block of the 1 IPv4 pool for this pod is taken" in refusal["details"],
             "the reason in the details", refusal)
        step(refusal["msg"])
        equal(add("100.66.0.0/24")[0].status, 0, "the status of ADD in the first pool")
        node.consistent()


def test_reserved_addresses_and_the_limit_of_blocks_are_kept():
    with Cluster(nodes=1, encap="none", subnets=1, families=(4,), pools=False, start=False) as c:
        node = c.nodes[0]
        c.apply(resource("IPPool", "small", cidr="100.66.0.0/28", blockSize=30, ipipMode="Never",
                         vxlanMode="Never"),
                resource("IPReservation", "gateways", reservedCIDRs=["100.66.0.0/30",
                                                                     "100.66.0.8/32"]),
                resource("IPAMConfiguration", "default", maxBlocksPerHost=3, strictAffinity=True))
        node.start()
        until(node.ready, "the node to be ready")
        given = []
        while True:
            pod = node.new_pod()
            answer = node.try_add(pod)
            if answer.status:
                answer.refused(11)
                if until(lambda: settled(node), "the agent to know its blocks"):
                    answer = node.try_add(pod)
                if answer.status:
                    step(answer.refused(11)["msg"])
                    break
            given.append(pod.ip4)
            true(len(given) <= 12, "at most three blocks' addresses", given)
        reserved = {f"100.66.0.{n}" for n in (0, 1, 2, 3, 8)}
        equal(reserved & set(given), set(), "reserved addresses that were given:")
        equal(len(set(given)), len(given), "each address once in")
        true(len(node.blackholes()) <= 3, "three blocks at most", node.blackholes())


def settled(node):
    """The agent has answered a request since; what it will claim it has claimed."""
    return bool(node.status())


def block_document(cluster, block):
    text = lab.documents(cluster, "blocks/").get(f"blocks/{block.replace('/', '-')}")
    return text and json.loads(text)


def claimed(cluster, block):
    """(node, state) of a block, None when it is free."""
    document = block_document(cluster, block)
    return document and (document["node"], document["state"])


def test_a_pending_block_is_finished_by_its_agent_or_goes_again():
    """What an agent leaves that was killed between the steps of a claim: nobody else takes it, and the next
    one looks at the pool before it does. An index key of an earlier version goes with the confirmation."""
    with Cluster(nodes=2, store="file", encap="none", subnets=1, families=(4,), pools=False, start=False,
                 settings={"idleBlockSeconds": 3600}) as c:
        name = c.nodes[0].name
        c.store.start()
        c.apply(c.pool("good", "100.66.0.0/28", 28),
                {**c.pool("off", "100.66.1.0/28", 28), "spec": {"cidr": "100.66.1.0/28", "blockSize": 28,
                                                                 "disabled": True}})
        pending = {"node": name, "state": "pending", "since": "2026-01-01T00:00:00Z", "nonce": "1"}
        c.store.put("blocks/100.66.0.0-28", json.dumps(pending).encode())
        c.store.put("blocks/100.66.1.0-28", json.dumps(pending).encode())
        c.store.put(f"nodeblocks/{name}/100.66.0.0-28", b"{}")
        c.nodes[1].start()
        pod = c.nodes[1].new_pod()
        until(lambda: c.nodes[1].status().get("problems"), "the other node to find no block")
        true(c.nodes[1].call("ADD", pod).status, "no address for the other node", pod)
        equal(claimed(c, "100.66.0.0/28"), (name, "pending"), "the block that is waited for")
        c.nodes[0].start()
        until(lambda: claimed(c, "100.66.0.0/28") == (name, "owned"), "the claim to be finished")
        until(lambda: claimed(c, "100.66.1.0/28") is None, "the block of the disabled pool to go")
        until(lambda: c.nodes[0].blackholes() == ["100.66.0.0/28"], "the block to be used")
        confirmed = block_document(c, "100.66.0.0/28")["nonce"]
        c.nodes[0].agent.kill()
        c.nodes[0].agent.start()
        until(lambda: block_document(c, "100.66.0.0/28")["nonce"] != confirmed, "the next agent to confirm it")
        until(lambda: not lab.documents(c, "nodeblocks/"), "the index key of an earlier version to go")
