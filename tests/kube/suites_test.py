# SPDX-License-Identifier: Apache-2.0
"""A part of the conformance tests of ClusterNetworkPolicy: all of them are upstream_all_test.py's."""
import pytest

import kubelab
import suites

pytestmark = [pytest.mark.needs(*kubelab.PROGRAMS), pytest.mark.built(*kubelab.BUILT, *suites.BUILT)]


def test_cluster_network_policies(cluster):
    suites.conformance(cluster, suites.FEW_CONFORMANCE)
