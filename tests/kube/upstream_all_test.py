# SPDX-License-Identifier: Apache-2.0
"""What Kubernetes has of tests of a network beyond Conformance: Services with their policies, affinity and
terminating endpoints, zones, conntrack, names, the second family of a dual-stack cluster, and network policies; and
the conformance tests of ClusterNetworkPolicy."""
import pytest

import kubelab
import suites
import upstream

pytestmark = [pytest.mark.needs(*kubelab.PROGRAMS), pytest.mark.built(*kubelab.BUILT, *suites.BUILT)]
DUAL = r"\[Feature:IPv6DualStack\]"


@pytest.fixture(scope="module")
def zones(cluster):
    """Each node is a zone."""
    for node in cluster.nodes:
        cluster.kube.kubectl("label", "node", node.name, f"topology.kubernetes.io/zone={node.name}")
    yield
    cluster.kube.kubectl("label", "nodes", "--all", "topology.kubernetes.io/zone-")


def must_pass(cluster, focus, skip=None):
    upstream.must_pass(cluster, upstream.choose(focus, skip, upstream.NOT_IN_ALL))


def test_services(cluster, zones):
    must_pass(cluster, r"\[sig-network\] (Services|Traffic Distribution|Topology Hints|Service CIDRs)")


def test_names_connections_and_paths(cluster):
    must_pass(cluster, r"\[sig-network\]", rf"\[sig-network\] (Services|Traffic Distribution|Topology Hints|Service CIDRs)|{DUAL}")


def test_dual_stack(cluster):
    must_pass(cluster, rf"\[sig-network\] {DUAL}")


def test_network_policies(cluster):
    upstream.policies_must_pass(cluster, upstream.POLICIES)


def test_cluster_network_policies(cluster):
    suites.conformance(cluster)
