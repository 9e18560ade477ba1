# SPDX-License-Identifier: Apache-2.0
"""What a test of stores started and made goes with it."""
import pytest

import storelab


@pytest.fixture(autouse=True)
def cleanup():
    with storelab.cleanup:
        yield
