# SPDX-License-Identifier: Apache-2.0
"""Kubernetes' own tests of a network pass with roost."""
import pytest

import kubelab
import upstream

pytestmark = [pytest.mark.needs(*kubelab.PROGRAMS), pytest.mark.built(*kubelab.BUILT)]


def test_granular_checks(cluster):
    upstream.must_pass(cluster, upstream.choose(r"Granular Checks: Pods .*\[Conformance\]"))


def test_conformance(cluster):
    upstream.must_pass(cluster, upstream.choose(r"\[sig-network\].*\[Conformance\]", "Granular Checks: Pods"))


def test_network_policies(cluster):
    upstream.policies_must_pass(cluster, upstream.FEW_POLICIES)
