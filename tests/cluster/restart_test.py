# SPDX-License-Identifier: Apache-2.0
"""A rolling restart of everything under traffic, with zero loss: what an upgrade of BIRD or of
roost does to a node, one node after the other."""
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
