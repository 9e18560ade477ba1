# SPDX-License-Identifier: Apache-2.0
"""Annotations of namespaces: what an agent writes into its node state for the pods that start there."""
import ipaddress

import pytest

import controlplane
import lab
from lab import equal, resource, true, until
from nodes_test import MERGE, Kubernetes

pytestmark = [pytest.mark.needs(*lab.PROGRAMS, *controlplane.PROGRAMS), pytest.mark.built(*controlplane.BUILT)]
SPECIAL = "10.77.0.0/24"


def test_a_namespace_names_the_pools_of_its_pods_while_the_API_is_away_too():
    with Kubernetes(nodes=1) as kube:
        kube.c.apply(resource("IPPool", "special", cidr=SPECIAL, blockSize=28, ipipMode="Never", vxlanMode="Always"))
        [node] = kube.started()

        def annotate(value):
            before = node.agent.said().count("annotations of namespaces are in the node state")
            kube.k.must("PATCH", "/api/v1/namespaces/lab",
                        {"metadata": {"annotations": {"roost.io/ipv4pools": value}}}, kind=MERGE)
            until(lambda: node.agent.said().count("annotations of namespaces are in the node state") > before,
                  "the annotation to be in the node state")

        def is_special(pod):
            return ipaddress.ip_address(pod.ip4) in ipaddress.ip_network(SPECIAL)
        annotate('["special"]')
        true(is_special(node.add_pod("web")), "a pod of the namespace to have an address of the pool")
        kube.k.apiserver.kill()
        true(is_special(node.add_pod("api-is-away")), "the same while the API server is away")
        kube.k.start()
        annotate("special")
        refused = node.try_add(node.new_pod("wrong"))
        equal(refused.status, 1, "the status of ADD")
        true("namespace lab" in refused.out and "roost.io/ipv4pools" in refused.out, "annotation and namespace", refused)
        annotate(None)
        true(not is_special(node.add_pod("silent")), "a pod to have an address of the first pool")
