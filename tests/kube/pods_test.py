# SPDX-License-Identifier: Apache-2.0
"""Pods of a Kubernetes with roost as its network."""
import pytest

import kubelab

pytestmark = [pytest.mark.needs(*kubelab.PROGRAMS), pytest.mark.built(*kubelab.BUILT)]


def test_pods_of_all_nodes_serve_a_service(cluster):
    cluster.deploy("web", replicas=3).must_be_served()
