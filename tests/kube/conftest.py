# SPDX-License-Identifier: Apache-2.0
"""Stories against a real Kubernetes: README.md says how to run them."""
import pytest

import binaries
from controlplane import ControlPlane
from kubelab import Cluster


@pytest.fixture(scope="module")
def plane():
    """A control plane without nodes and controllers, one for all stories of a file."""
    with ControlPlane() as k:
        yield k


@pytest.fixture(scope="session")
def cluster():
    """A cluster of three nodes with roost, one for all stories of a run."""
    with Cluster() as c:
        yield c


def pytest_runtest_setup(item):
    for mark in item.iter_markers("built"):
        missing = binaries.missing(*mark.args)
        if missing:
            pytest.skip(f"{', '.join(missing)} is not built: run tests/kube/binaries.py")


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item):
    """A failure shows what the processes of Kubernetes said."""
    report = (yield).get_result()
    if report.failed:
        for name, thing in getattr(item, "funcargs", {}).items():
            if hasattr(thing, "logs"):
                report.sections.append((f"what the processes of {name} said", thing.logs()))
