# SPDX-License-Identifier: Apache-2.0
"""Single addresses of another node's block: who starts a pod while every block is taken borrows one, the pod is
reached from everywhere, and the address has one owner whatever is killed, rebooted or removed meanwhile."""
import json
import threading

import pytest

import lab
from lab import Cluster, PROGRAMS, equal, resource, step, true, until, until_it_passes

pytestmark = pytest.mark.needs(*PROGRAMS)

POOLS = {4: ("100.66.0.0/27", 28), 6: ("fd00:66::/123", 124)}  # two blocks of sixteen addresses each


def full(encap="none", store="file", families=(4,), cooldown=0, **more):
    """Three nodes and two blocks: the third one has none."""
    more.setdefault("subnets", 1 if encap == "none" else 2)
    c = Cluster(nodes=3, store=store, encap=encap, families=families, pools=False, start=False,
                settings={"headroom": 0, "idleBlockSeconds": 3600}, **more)
    c.store.start()
    c.apply(*(c.pool(f"pool{f}", *POOLS[f]) for f in families),
            resource("IPAMConfiguration", "default", ipCooldownSeconds=cooldown))
    return c


def begin(c):
    """The first two nodes have the blocks, and pods; the third one has none."""
    for node in c.nodes[:2]:
        node.start()
    for node in c.nodes[:2]:
        add(node)
    c.nodes[2].start()
    until(lambda: c.nodes[2].status(), f"the agent of {c.nodes[2]} to answer")
    return c.nodes


def add(node):
    pod = node.new_pod()
    until(lambda: node.try_add(pod).status == 0, f"ADD of {pod} to succeed")
    node.cluster.echo.serve(pod.path)
    return pod


def loans(c):
    """{address: (lender, borrower, state)}"""
    docs = [json.loads(text) for text in lab.documents(c, "loans/").values()]
    return {d["address"]: (d["lender"], d["borrower"], d["state"]) for d in docs}


def single_owner(c):
    """No address is used on two nodes, tunnels' among them."""
    seen = {}
    for node in c.nodes:
        for address in node.used():
            true(address not in seen, f"one user of {address}", (str(seen.get(address)), str(node)))
            seen[address] = node


def all_end(c):
    """Every pod goes, and with them the loans; what was lent can be had by its lender's pods again."""
    for node in c.nodes:
        for pod in list(node.pods.values()):
            node.del_pod(pod)
    until(lambda: not [s for s in loans(c).values() if s[2] != "used"], "no loan to be under way")


@pytest.mark.parametrize("encap,store,families,static", [
    ("none", "file", (4, 6), False), ("vxlan", "etcd", (4, 6), False),
    ("vxlan-cross-subnet", "file", (4,), True)])
def test_pods_on_borrowed_addresses_are_reached_from_everywhere(encap, store, families, static):
    with full(encap, store, families, static=static) as c:
        first, second, third = begin(c)
        for _ in range(3):
            add(third)
        found = loans(c)
        true(len([s for s in found.values() if s[1] == third.name and s[2] == "used"]) >= 3 * len(families),
             "three pods' addresses on loan", found)
        true(not [b for b in third.blackholes(4) if "/" in b], "no block of its own", third.blackholes(4))
        until_it_passes(c.matrix, "every pod to reach every other one")
        single_owner(c)
        for node in c.nodes:
            until_it_passes(node.consistent, f"{node} to be consistent")
        said = first.ctl("node", "show", third.name)
        true("used" in said and third.name in said, "node show to list the loans", said)
        step("three pods on loan are reached, and reach all others")

        first.del_pod(next(iter(first.pods.values())))
        for pod in list(third.pods.values())[1:]:
            third.del_pod(pod)
        kept = len(third.used()) + len(families)  # and one in each family to start the next pod with
        until(lambda: len(loans(c)) <= kept, "what no pod uses to go back")
        until_it_passes(c.matrix, "the rest to reach each other")
        step("what no pod uses went back")


def test_lending_is_off_by_a_setting():
    with full() as c:
        c.apply(resource("IPAMConfiguration", "default", strictAffinity=True))
        first, _, third = begin(c)
        refusal = third.call("ADD", third.new_pod()).refused(11)
        true("is taken" in str(refusal), "the reason", refusal)
        equal(loans(c), {}, "loans")
        c.apply(resource("IPAMConfiguration", "default", strictAffinity=False))
        add(third)
        c.apply(resource("IPAMConfiguration", "default", strictAffinity=True))
        until_it_passes(c.matrix, "a pod on loan to be reached still")
        until(lambda: third.try_add(third.new_pod()).status, "no further address to be had")
        step(f"{first} lends nothing any more")


def test_both_nodes_have_all_addresses_and_no_address_has_two_pods():
    """32 addresses for three nodes: a lender keeps its last one, which its own pods can have."""
    with full() as c:
        first, second, third = begin(c)
        for _ in range(28):
            add(third)
        refusal = third.call("ADD", third.new_pod()).refused(11)
        step(f"all of it is in use: {refusal['msg']}; {refusal.get('details', '')}")
        add(first)
        add(second)
        single_owner(c)
        equal(len({p.ip4 for n in c.nodes for p in n.pods.values()}), 32, "addresses with a pod")
        third.del_pod(next(iter(third.pods.values())))
        third.del_pod(next(iter(third.pods.values())))
        add(next(n for n in (first, second) if n.name in {s[0] for s in loans(c).values()}))
        single_owner(c)


@pytest.mark.parametrize("store", ["file", "etcd"])
@pytest.mark.parametrize("victim", ["lender", "borrower", "both"])
def test_a_kill_at_each_step_costs_no_address(victim, store):
    with full(store=store) as c:
        first, second, third = begin(c)
        agents = {"lender": [first.agent, second.agent], "borrower": [third.agent],
                  "both": [n.agent for n in c.nodes]}[victim]
        for state in ("asked", "lent", "used", "gone"):
            pod = third.new_pod()
            done = threading.Event()

            def call():
                while not done.is_set() and third.try_add(pod).status:
                    done.wait(0.1)

            if state == "asked":  # nobody answers
                for node in (first, second):
                    node.agent.freeze()
            caller = threading.Thread(target=call, daemon=True)
            before = set(loans(c))
            caller.start()
            try:
                if state in ("asked", "used"):
                    until(lambda: set(loans(c)) - before or (state == "used" and not caller.is_alive()),
                          f"a loan to be {state}")
                if state == "lent":
                    until(lambda: set(loans(c)) - before, "a loan to begin")
                if state == "gone":
                    until(lambda: not caller.is_alive(), "ADD to succeed")
                    third.del_pod(pod)
                for agent in agents:
                    agent.kill()
                if state == "asked":
                    for node in (first, second):
                        if node.agent not in agents:
                            node.agent.thaw()
                for agent in agents:
                    agent.start()
                if state != "gone":
                    until(lambda: not caller.is_alive(), f"ADD to succeed after a kill at {state}")
            finally:
                done.set()
            caller.join()
            single_owner(c)
            step(f"killed at {state}")
        for node in (first, second):
            for _ in range(14):
                answer = node.try_add(node.new_pod())
                if answer.status:
                    break
        single_owner(c)
        all_end(c)
        third.agent.must_run()
        for _ in range(29):
            add(third)
        single_owner(c)
        step("no address was lost")


def test_a_lender_that_reboots_keeps_what_it_lends_from_its_pods():
    with full() as c:
        first, second, third = begin(c)
        lent = {add(third).ip4 for _ in range(6)}
        lender = {owner for owner, _, state in loans(c).values() if state == "used"}
        for node in (n for n in (first, second) if n.name in lender):
            node.reboot()
            node.start()
        c.wait_ready()
        given = set()
        for node in (first, second):
            for _ in range(12):
                pod = node.new_pod()
                if node.try_add(pod).status == 0:
                    given.add(pod.ip4)
        equal(given & lent, set(), "addresses that got a second pod")
        single_owner(c)
        step(f"{len(given)} addresses were given after the reboot, none of those on loan")


def test_a_lender_that_reboots_without_its_disk_reads_the_loans_first():
    import shutil
    with full() as c:
        first, second, third = begin(c)
        lent = {add(third).ip4 for _ in range(6)}
        for node in (first, second):
            node.reboot()
            shutil.rmtree(node.data)
            until(lambda n=node: third.ctl("node", "remove", n.name, "--force", ok=False).returncode == 0,
                  f"{node} to be removed")
            node.start()
        c.wait_ready()
        given = set()
        for node in (first, second):
            for _ in range(16):
                pod = node.new_pod()
                if node.try_add(pod).status == 0:
                    given.add(pod.ip4)
        equal(given & lent, set(), "addresses that got a second pod")
        single_owner(c)


def test_a_removed_borrowers_addresses_are_quarantined_until_it_comes_back_or_never_does():
    with full() as c:
        first, second, third = begin(c)
        pods = [add(third) for _ in range(3)]
        lent = {p.ip4 for p in pods}
        third.agent.kill()
        until(lambda: first.ctl("node", "remove", third.name, "--force", ok=False).returncode == 0,
              f"{third} to be removed")
        equal({a: s[2] for a, s in loans(c).items() if a in lent}, dict.fromkeys(lent, "quarantined"), "its loans")
        for node in (first, second):
            more = []
            while (pod := node.new_pod()) and node.try_add(pod).status == 0:
                true(pod.ip4 not in lent, "no second pod", pod.ip4)
                more.append(pod)
            for pod in more:
                node.del_pod(pod)
        step("quarantined: given to nobody")
        third.agent.start()
        until(lambda: {s[2] for a, s in loans(c).items() if a in lent} == {"used"}, "it to confirm what it uses")
        until_it_passes(c.matrix, "its pods to be reached again")
        step("it came back")
        third.agent.kill()
        third.bird.kill()
        until(lambda: first.ctl("node", "remove", third.name, "--force", "--powered-off", ok=False).returncode == 0,
              f"{third} to be removed for good")
        equal({a: s for a, s in loans(c).items() if s[1] == third.name}, {}, "loans of a node that is gone")
        for pod in pods:
            c.drop(pod.ns)
        third.pods = {}
        for _ in range(3):
            add(first if len(first.pods) <= len(second.pods) else second)
        step("its addresses can be had again")


def test_a_removed_lenders_block_is_not_free_while_addresses_of_it_are_lent():
    with full() as c:
        first, second, third = begin(c)
        pod = add(third)
        lender = next(n for n in c.nodes if n.name == loans(c)[pod.ip4][0])
        other = next(n for n in (first, second) if n is not lender)
        for process in (lender.agent, lender.bird):
            process.kill()
        said = until(lambda: _removed(other, lender), f"{lender} to be removed")
        true("as other nodes use single addresses" in said, "the reason", said)
        for p in list(lender.pods.values()):
            c.echo.leave(p.path)
            c.drop(p.ns)
        lender.pods = {}
        until_it_passes(lambda: c.matrix([other, third]), "the pod on loan to be reached still")
        single_owner(c)
        step(said.replace("\n", "; "))
        third.del_pod(pod)
        until(lambda: not [a for a, s in loans(c).items() if s[0] == lender.name and s[2] == "used"] or
              third.ctl("node", "drain", third.name, ok=False).returncode == 0 and False, "the loan to end")
        until(lambda: "is free" in _removed(other, lender), "the block to be free")
        step("the loan has ended, and the block is free")


def _removed(by, node):
    done = by.ctl("node", "remove", node.name, "--force", "--powered-off", ok=False)
    return done.stdout if done.returncode == 0 else ""


def test_cooling_down_holds_no_block_that_another_node_waits_for():
    """The first node has two blocks, of which one only cools down; the third node gets it."""
    with full(cooldown=3600) as c:
        first, _, third = c.nodes
        first.start()
        pods = [add(first) for _ in range(17)]
        equal(len(first.blackholes()), 2, "its blocks")
        for pod in pods[1:]:
            first.del_pod(pod)
        third.start()
        add(third)
        until(lambda: [b for b in third.blackholes() if "/" in b], "the third node to have a block")
        single_owner(c)
        step(f"{third} has {third.blackholes()}, {first} keeps {first.blackholes()}")
