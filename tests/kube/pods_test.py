# SPDX-License-Identifier: Apache-2.0
"""Pods of a Kubernetes with roost as its network."""
import pytest

import kubelab
from lab import equal, true, until

pytestmark = [pytest.mark.needs(*kubelab.PROGRAMS), pytest.mark.built(*kubelab.BUILT)]


def test_pods_of_all_nodes_serve_a_service(cluster):
    web = cluster.deploy("web", replicas=3)
    names = {p["metadata"]["name"] for p in web.pods()}
    for node in cluster.nodes:
        for family in cluster.families:
            seen = set()
            until(lambda: seen.add(node.get(web.url(family=family))) or seen == names,
                  f"each pod to answer {web.url(family=family)} on {node}")
