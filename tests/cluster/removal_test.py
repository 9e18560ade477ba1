# SPDX-License-Identifier: Apache-2.0
"""How a node leaves: drained in good order, removed by force with its blocks in quarantine until it
comes back and confirms, or removed for good because its operator says that it is powered off."""
import ipaddress

import pytest

import lab
import traffic
from lab import Cluster, PROGRAMS, equal, resource, step, true, until

pytestmark = pytest.mark.needs(*PROGRAMS)


def started(cluster, pods=1):
    """Cooling down is not what these stories are about."""
    cluster.apply(resource("IPAMConfiguration", "default", ipCooldownSeconds=0))
    cluster.started(pods)


def names(cluster, node=0):
    """The nodes that the cluster knows."""
    return sorted(line.split()[0]
                  for line in cluster.nodes[node].ctl("get", "nodes").splitlines()[1:]
                  if line.startswith("node"))


def gone(node, other):
    """Whether the cluster takes the other one's agent for dead: some heartbeats are missing."""
    return any(line.split()[0] == other.name and "live" not in line.split()
               for line in node.ctl("node", "list").splitlines()[1:] if line.strip())


def refused(node, *words, says=()):
    """A roostctl command that must say no, and why."""
    done = node.ctl(*words, ok=False)
    equal(done.returncode, 1, f"the exit status of {' '.join(words)}")
    for word in says:
        true(word in done.stderr.lower(), f"{word!r} in what roostctl says", done.stderr)
    return done.stderr.strip()


def forgotten(cluster, gone):
    """No node that stays has a route or a session to the one that is gone."""
    for node in cluster.nodes:
        if node is gone:
            continue
        for family in cluster.families:
            for route in node.bird_routes(family).values():
                true(route.get("gateway") not in (gone.ip(family), gone.vtep(family)),
                     f"no route of {node} to {gone}", route)
        equal(len(node.sessions()), len(cluster.nodes) - 2,
              f"the number of BGP sessions of {node}")
    return True


def test_a_drained_node_gives_its_blocks_back_and_leaves():
    with Cluster(encap="vxlan-cross-subnet", store="etcd") as c:
        started(c)
        first, leaver = c.nodes[0], c.nodes[2]
        stayers = [n for n in c.nodes if n is not leaver]
        step(refused(first, "node", "remove", leaver.name, says=("node3",)))
        with c.pinger([p for n in stayers for p in n.pods.values()]) as pinger:
            first.ctl("node", "drain", leaver.name)
            late = leaver.new_pod()
            until(lambda: refused_add(leaver, late), "ADD on a drained node to be refused")
            c.matrix()
            step("drained: no new pods, those that run are reached")

            first.ctl("node", "undrain", leaver.name)
            until(lambda: leaver.call("ADD", late).status == 0, "ADD to work again")
            leaver.call("DEL", late).ok("DEL")
            first.ctl("node", "drain", leaver.name)
            for pod in list(leaver.pods.values()):
                leaver.del_pod(pod)
            until(lambda: not leaver.blackholes(4) and not leaver.blackholes(6),
                  f"{leaver} to give back all blocks")
            step("its blocks are back")
            step(refused(first, "node", "remove", leaver.name, says=("node3",)))
            leaver.agent.stop()
            leaver.bird.kill()
            first.ctl("node", "remove", leaver.name)
            equal(names(c), ["node1", "node2"], "nodes of the cluster")
            until(lambda: forgotten(c, leaver), "node3 to be forgotten")
        pinger.lost_nothing()
        c.converged(stayers)
        c.matrix(stayers)


def refused_add(node, pod):
    answer = node.call("ADD", pod)
    if answer.status == 0:
        node.call("DEL", pod).ok("DEL")
        return False
    answer.refused(11)
    return True


def test_a_node_removed_by_force_confirms_its_blocks_when_it_comes_back():
    """A pool of four blocks: what the missing node had must go to nobody else meanwhile."""
    with Cluster(encap="none", subnets=1, families=(4,), pools=False, start=False,
                 settings={"headroom": 1}) as c:
        c.apply(c.pool("small", "100.66.0.0/26", 28))
        for node in c.nodes:
            node.start()
        started(c)
        first, lost = c.nodes[0], c.nodes[2]
        stayers = [n for n in c.nodes if n is not lost]
        blocks = lost.blackholes()
        pod = next(iter(lost.pods.values()))
        lost.agent.kill()
        lost.bird.kill()
        step(refused(first, "node", "remove", lost.name, says=("node3", "live")))
        until(lambda: gone(first, lost), "node3 not to be live any more")
        step(refused(first, "node", "remove", lost.name, says=("node3", "--force")))
        first.ctl("node", "remove", lost.name, "--force")
        equal(names(c), ["node1", "node2"], "nodes of the cluster")
        shown = first.ctl("ipam", "show", "--cluster")
        true("quarantined" in shown.lower(), "quarantined blocks in ipam show --cluster", shown)
        until(lambda: forgotten(c, lost), "node3 to be forgotten")
        step("removed by force, its blocks are quarantined")

        # The others want more than there is; what is quarantined is not theirs to have.
        given = exhaust(stayers)
        for address in given:
            true(not any(ipaddress.ip_address(address) in ipaddress.ip_network(b)
                         for b in blocks), "no address of a quarantined block", address)
        step(f"{len(given)} more addresses given, none of the quarantined blocks")

        lost.start()
        until(lambda: lost.blackholes() == blocks and ready_or_full(lost),
              "node3 to have its blocks again")
        c.wait_converged()
        c.matrix()
        equal(next(iter(lost.pods.values())), pod, "the pod of the lost node")
        equal(names(c), ["node1", "node2", "node3"], "nodes of the cluster")
        lost.consistent()


def ready_or_full(node):
    return bool(node.status())


def exhaust(nodes):
    """Pods on these nodes until there is no address left; those addresses."""
    given = []
    for node in nodes:
        while True:
            pod = node.new_pod()
            answer = node.try_add(pod)
            if answer.status:
                answer.refused(11)
                break
            node.cluster.echo.serve(pod.path)
            given.append(pod.ip4)
    equal(len(set(given)), len(given), "each address once in what was given:")
    return given


def test_the_blocks_of_a_node_that_is_off_for_good_go_to_others():
    """And when it comes back in spite of what its operator said, it keeps off what is not its own."""
    with Cluster(encap="none", subnets=1, families=(4,), pools=False, start=False,
                 settings={"headroom": 1}) as c:
        c.apply(c.pool("small", "100.66.0.0/28", 30))
        for node in c.nodes:
            node.start()
        started(c)
        first, lost = c.nodes[0], c.nodes[2]
        blocks = lost.blackholes()
        lost.agent.kill()
        lost.bird.kill()
        until(lambda: gone(first, lost), "node3 not to be live any more")
        first.ctl("node", "remove", lost.name, "--force", "--powered-off")
        until(lambda: forgotten(c, lost), "node3 to be forgotten")
        def taken():
            exhaust(c.nodes[:2])
            return set(blocks) <= {b for n in c.nodes[:2] for b in n.blackholes()}
        until(taken, "the others to take its blocks")
        step("others have its blocks")

        old = next(iter(lost.pods.values()))
        lost.start()
        until(lost.status, "the agent to answer")
        def keeps_off():
            for node in c.nodes[:2]:
                for block in blocks:
                    via = node.bird_routes().get(block, {}).get("gateway")
                    true(via != lost.ip(4), f"no route of {node} for {block} to {lost}", via)
            return True
        until(lambda: set(names(c)) == {"node1", "node2", "node3"}, "node3 to be known again")
        keeps_off()
        late = lost.new_pod()
        answer = lost.call("ADD", late)
        if answer.status == 0:
            address = answer.json()["ips"][0]["address"].split("/")[0]
            true(not any(ipaddress.ip_address(address) in ipaddress.ip_network(b)
                         for b in blocks), "no address of a lost block", address)
        else:
            answer.refused(11)
        until(lambda: blocks[0].split("/")[0] in lost.status_text(),
              "status to name the block that went to somebody else")
        # Its BIRD started with the text of before, until its agent knew better.
        until(lambda: not lost.announced() & set(blocks), f"no lost block announced by {lost}")
        lost.del_pod(old)
        keeps_off()
        c.matrix(c.nodes[:2])
