# SPDX-License-Identifier: Apache-2.0
"""The fixture of bird_test.py: c, two networks for nodes with a BIRD each."""
import contextlib

import pytest

from birdlab import Cluster


@pytest.fixture
def c():
    with contextlib.closing(Cluster()) as c:
        yield c
