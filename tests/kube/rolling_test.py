# SPDX-License-Identifier: Apache-2.0
"""A Deployment is rolled while clients ask its Service 50 times a second each, and not one of them is let down:
neither by the roll, nor by roost's own deaths during it, nor while Kubernetes' API server is away."""
import pytest

import kubelab
from clients import Requests
from lab import step, until

pytestmark = [pytest.mark.needs(*kubelab.PROGRAMS), pytest.mark.built(*kubelab.BUILT)]


@pytest.fixture(scope="module")
def web(cluster):
    found = cluster.deploy("rolled", replicas=3)
    found.must_be_served()
    return found


def clients(cluster, web):
    """A node, a pod and the host outside; in each family that the Service has."""
    pod = web.pods()[0]
    flows = {}
    for family in cluster.families:
        flows[f"node2 IPv{family}"] = (cluster.nodes[1].path, web.address(family), 80)
        flows[f"outside IPv{family}"] = (cluster.outside.path, cluster.nodes[0].ip(family), web.node_port())
    flows["a pod"] = (cluster.client().path, web.address(4), 80)
    return Requests(flows)


def test_no_request_is_lost_in_a_roll(cluster, web):
    with clients(cluster, web) as stream:
        stream.goes_on(50)
        web.roll()
        stream.goes_on(50)
    stream.lost_nothing()


def test_no_request_is_lost_when_roostd_and_bird_are_killed_during_a_roll(cluster, web):
    with clients(cluster, web) as stream:
        stream.goes_on(50)
        with web.rolling():
            for node in cluster.nodes:
                for what in ("bird", "roostd"):
                    step(f"SIGKILL of {what} on {node}")
                    cluster.network.kill(node, what)
            stream.goes_on(50)
        cluster.network.until_back(cluster)
        stream.goes_on(50)
    stream.lost_nothing()


def test_no_request_is_lost_when_a_node_is_drained(cluster, web):
    leaver = cluster.nodes[2]
    with clients(cluster, web) as stream:
        stream.goes_on(50)
        try:
            cluster.kube.kubectl("drain", leaver.name, "--ignore-daemonsets", "--timeout=120s")
            cluster.until_rolled(f"deployment/{web.name}")
            until(lambda: not [p for p in web.pods() if p["spec"]["nodeName"] == leaver.name],
                  f"no pod to be left on {leaver}")
            assert not cluster.unready_nodes(), "a drained node stays Ready"
        finally:
            cluster.kube.kubectl("uncordon", leaver.name)
        stream.goes_on(50)
    stream.lost_nothing()
