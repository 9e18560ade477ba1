# SPDX-License-Identifier: Apache-2.0
"""Kubernetes' own tests of network policies where IPv6 is the first family of the cluster: they ask by that one."""
import pytest

import kubelab
import upstream

pytestmark = [pytest.mark.needs(*kubelab.PROGRAMS), pytest.mark.built(*kubelab.BUILT)]


def test_network_policies():
    with kubelab.Cluster(families=(6, 4)) as cluster:
        upstream.policies_must_pass(cluster, upstream.POLICIES)
