# SPDX-License-Identifier: Apache-2.0
"""Restarts under traffic, with zero loss: of everything, one node after the other, as an upgrade of BIRD
or of roost does it; and of all BIRDs together, as whoever has many machines does it once."""
import signal

import pytest

import traffic
from lab import Cluster, PROGRAMS, equal, step, true, until

pytestmark = pytest.mark.needs(*PROGRAMS)


def whole_again(cluster, node):
    until(node.status, f"the agent of {node} to answer")
    if not cluster.static:
        for other in cluster.nodes:
            until(lambda o=other: cluster.sessions_up(o), f"the sessions of {other} to be up")
    cluster.wait_converged()


def bird_crashes(node):
    node.bird.kill()
    node.start_bird()


def bird_is_restarted_as_a_service(node):
    """What ExecStop does, then a start: the sessions go without a farewell."""
    true(node.birdc("graceful restart"), "BIRD to take the command")
    node.bird.wait("to end for a graceful restart")
    node.start_bird()


def agent_stops_and_starts(node):
    node.agent.stop()
    node.agent.start()


def agent_crashes(node):
    node.agent.kill()
    node.agent.start()


def agent_reloads(node):
    node.configure(headroom=17)
    node.agent.signal(signal.SIGHUP)


def both_crash(node):
    node.bird.kill()
    node.agent.kill()
    node.start_bird()
    node.agent.start()


BLOWS = (agent_stops_and_starts, agent_crashes, agent_reloads, bird_crashes,
         bird_is_restarted_as_a_service, both_crash)


def rolling(cluster, blows):
    cluster.started()
    for node in cluster.nodes:
        whole_again(cluster, node)
    before = [{f: n.bird_routes(f) for f in cluster.families} for n in cluster.nodes]
    pods = [next(iter(n.pods.values())) for n in cluster.nodes]
    stream = traffic.Stream(pods[0].path, pods[1].ip4)
    with cluster.pinger() as pinger:
        for blow in blows:
            for node in cluster.nodes:
                blow(node)
                node.agent.must_run()
                whole_again(cluster, node)
                stream.still_works()
            step(f"{blow.__name__.replace('_', ' ')}: "
                 f"{'; '.join(pinger.losses()) or 'nothing lost so far'}")
        pinger.goes_on()
    stream.close()
    pinger.lost_nothing()
    step(f"{pinger.sent()} pings, none lost")
    equal([{f: n.bird_routes(f) for f in cluster.families} for n in cluster.nodes], before,
          "the routes after it all")
    cluster.matrix()


def test_a_rolling_restart_of_agents_loses_nothing():
    with Cluster(encap="vxlan-cross-subnet", store="etcd") as c:
        rolling(c, BLOWS[:3])


def test_a_rolling_restart_of_birds_loses_nothing():
    with Cluster(encap="vxlan-cross-subnet") as c:
        rolling(c, BLOWS[3:])


def test_a_rolling_restart_without_bgp_loses_nothing():
    with Cluster(encap="vxlan", static=True, nodes=2) as c:
        rolling(c, BLOWS)


# ---- all BIRDs together ----

# Two restarting BGP speakers do not wait for each other's routes (RFC 4724), and each takes those of the
# other one out of its kernel. The copies in BIRD's text are what is left then.

def copies(node, family):
    """The blocks of others that the node's BIRD would go on with without BGP."""
    lines = node.birdc(f"show route protocol roost_kept{family}") or []
    return {line.split()[0] for line in lines if "/" in line.split(" ")[0]}


def wait_for_copies(cluster):
    for node in cluster.nodes:
        for f in cluster.families:
            blocks = {b for other in cluster.nodes if other is not node for b in other.blackholes(f)}
            until(lambda n=node, f=f, b=blocks: copies(n, f) == b, f"copies of {blocks} on {node}")


def all_end(cluster, end):
    for node in cluster.nodes:
        end(node)
    for node in cluster.nodes:
        node.bird.wait()


def crash_at_once(cluster):
    all_end(cluster, lambda n: n.bird.signal(signal.SIGKILL))
    for node in cluster.nodes:
        node.bird.start()


def restart_at_once_as_a_service(cluster):
    all_end(cluster, lambda n: n.birdc("graceful restart"))
    for node in cluster.nodes:
        node.bird.start()


def stop_and_start_at_once(cluster):
    """A plain SIGTERM: each tells its neighbours to forget it."""
    all_end(cluster, lambda n: n.bird.signal(signal.SIGTERM))
    for node in cluster.nodes:
        node.bird.start()


def crash_at_once_with_the_agents(cluster):
    all_end(cluster, lambda n: (n.bird.signal(signal.SIGKILL), n.agent.signal(signal.SIGKILL)))
    for node in cluster.nodes:
        node.agent.wait()
        node.start()


def restart_in_turn_without_waiting(cluster):
    """Twice: while a neighbour still recovers, and its neighbours with it."""
    for end in (signal.SIGKILL, signal.SIGTERM) * 2:
        for node in cluster.nodes:
            node.bird.signal(end)
            node.bird.wait()
            node.start_bird()


TOGETHER = (crash_at_once, restart_at_once_as_a_service, stop_and_start_at_once,
            crash_at_once_with_the_agents, restart_in_turn_without_waiting)


def sessions_up(cluster):
    for node in cluster.nodes:
        until(lambda n=node: cluster.sessions_up(n), f"the sessions of {node} to be up")


def restarted_together(cluster, blows=TOGETHER):
    """The story of all below."""
    sessions_up(cluster)
    wait_for_copies(cluster)
    with cluster.pinger() as pinger:
        for blow in blows:
            blow(cluster)
            sessions_up(cluster)
            cluster.wait_converged()
            pinger.goes_on()
            step(f"{blow.__name__.replace('_', ' ')}: "
                 f"{'; '.join(pinger.losses()) or 'nothing lost so far'}")
    pinger.lost_nothing()
    step(f"{pinger.sent()} pings, none lost")
    cluster.matrix()


@pytest.mark.parametrize("encap", ["none", "vxlan"])
def test_birds_that_restart_together_lose_nothing(encap):
    with Cluster(encap=encap, subnets=1) as c:
        c.started()
        restarted_together(c)


def test_birds_around_a_reflector_that_restart_together_lose_nothing():
    with Cluster(encap="vxlan-cross-subnet") as c:
        c.started()
        c.reflect()
        restarted_together(c)


@pytest.mark.slow
def test_routes_to_a_bird_that_is_gone_go_after_a_while():
    """The copies have their bound (docs/ROUTING.md), and a node that is removed does not wait for it."""
    with Cluster(subnets=1) as c:
        c.started()
        wait_for_copies(c)
        first, gone, removed = c.nodes
        others = {f: set(gone.blackholes(f)) for f in c.families}
        gone.bird.stop()
        until(lambda: not first.sessions()[f"roost_{gone.ip(4).replace('.', '_')}"],
              "BGP to have lost its routes")
        for f in c.families:
            true(others[f] <= set(first.bird_routes(f)), f"the IPv{f} routes to stay at first")
        for f in c.families:
            until(lambda f=f: not others[f] & (set(first.bird_routes(f)) | copies(first, f)),
                  f"the IPv{f} routes to {gone} to go", 120)
        removed.bird.kill()
        removed.agent.kill()
        first.ctl("node", "remove", removed.name, "--force", "--powered-off", ok=False)

        def remove():
            return first.ctl("node", "remove", removed.name, "--force", "--powered-off",
                             ok=False).returncode == 0
        until(remove, f"{removed} to be removed")
        for f in c.families:
            until(lambda f=f: not first.bird_routes(f), f"the IPv{f} routes to {removed} to go")
