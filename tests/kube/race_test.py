# SPDX-License-Identifier: Apache-2.0
"""The race for the last addresses (tests/cluster/race.py) over the API of Kubernetes: the API server is killed,
stopped and cut off, and each agent has no further right than deploy/ gives.

One minute; --minutes N for longer, --seed N for a schedule that was seen to fail."""
import pytest

import controlplane
import lab
import race
from agents import Api, plane, use
from lab import Cluster

pytestmark = [pytest.mark.needs(*lab.PROGRAMS, *controlplane.PROGRAMS), pytest.mark.built(*controlplane.BUILT)]


def test_no_address_has_two_pods_whatever_fails(request):
    with Cluster(store="file", start=False, **race.CLUSTER) as c, plane(c) as k:
        c.store = Api(c, k)
        for node in c.nodes:
            k.must("POST", "/api/v1/nodes", {"apiVersion": "v1", "kind": "Node", "metadata": {"name": node.name}})
            use(k, node)
        c.apply(*race.resources())
        for node in c.nodes:
            node.start()
        race.run(c, request.config.getoption("seed"), request.config.getoption("minutes"))
