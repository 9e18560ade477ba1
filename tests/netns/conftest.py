# SPDX-License-Identifier: Apache-2.0
"""The fixture of these tests: lab, a host with a router beside it."""
import contextlib

import pytest

from roostlab import Lab


@pytest.fixture
def lab(request):
    with contextlib.closing(Lab(uplink="no_uplink" not in request.keywords)) as lab:
        yield lab
