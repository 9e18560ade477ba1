# SPDX-License-Identifier: Apache-2.0
"""A pool with blocks is not deleted, by whom and by what tool ever (deploy/policy.yaml): nothing of it changes,
and whoever asked is told which block it is. It can be deleted as soon as the last one has come back."""
import json

import pytest

import controlplane
import documents
from lab import equal, true, until
from store_test import define
from strange_test import ROOST, make, roostctl

pytestmark = [pytest.mark.needs(*controlplane.PROGRAMS), pytest.mark.built(*controlplane.BUILT)]
POOLS = {"four": "10.65.0.0/16", "six": "fd65::/48", "other": "10.66.0.0/16"}
BLOCKS = {"four": ("10-65-3-64-26", "10.65.3.64/26"), "six": ("fd65--40-122", "fd65::40/122")}


@pytest.fixture
def k(plane):
    """Pools, and a block of two of them."""
    define(plane)
    plane.kubectl("apply", "-f", f"{documents.ROOT}/deploy/policy.yaml")
    for name, cidr in POOLS.items():
        make(plane, "ippools", "IPPool", name, {"cidr": cidr, "natOutgoing": True})
    for name, cidr in BLOCKS.values():
        make(plane, "ipblocks", "IPBlock", name, {"node": "worker-1", "cidr": cidr, "state": "owned"})
    # The policy is in force, and knows the blocks, a moment later.
    for name in BLOCKS:
        until(lambda name=name: refusal(plane, name, "--dry-run=server"), f"the deletion of {name} to be refused")
    yield plane
    plane.kubectl("delete", "crd", "-l", "app.kubernetes.io/part-of=roost", "--ignore-not-found", "--wait")
    plane.kubectl("delete", "-f", f"{documents.ROOT}/deploy/policy.yaml")


def refusal(k, *words):
    """What kubectl says when it may not delete a pool, or ''."""
    done = k.kubectl("delete", "--wait=false", "ippools.roost.io", *words, ok=False)
    return done.stderr if done.returncode else ""


def pools(k):
    return {p["metadata"]["name"]: p["spec"] for p in k.list(f"{ROOST}/ippools")}


def test_a_pool_with_blocks_stays_as_it_is_and_the_block_is_named(k):
    before = pools(k)
    for name, (_, cidr) in BLOCKS.items():
        said = refusal(k, name)
        for word in (f"block {cidr} of node worker-1", f"kubectl patch ippool {name} "):
            true(word in said, f"{word!r} in what is said of {name}", said)
    true(refusal(k, "--all"), "deleting all of them to be refused")
    equal(pools(k), {name: spec for name, spec in before.items() if name != "other"}, "the pools that have blocks")


def test_what_is_told_mends_it(k):
    said = refusal(k, "four")
    command = said[said.index("kubectl patch"):].split(",")[0].split(" ", 1)[1]
    words = [w.strip("'") for w in command.split(" ")]
    k.kubectl(*words)
    equal(pools(k)["four"]["disabled"], True, "the pool afterwards: disabled")
    k.must("DELETE", f"{ROOST}/ipblocks/{BLOCKS['four'][0]}")
    until(lambda: not refusal(k, "four"), "the pool to be deleted when its block is gone")
    true("four" not in pools(k) and "six" in pools(k), "that pool alone to be gone", pools(k))


def test_a_pool_without_blocks_goes_by_either_tool(k):
    equal(refusal(k, "other"), "", "what is said of a pool without blocks")
    done = roostctl(k, "delete", "ippool", "six")
    true(done.returncode == 1 and "has 1 block in use (worker-1: 1)" in done.stderr, "roostctl to count them itself", done.stderr)
    equal(pools(k)["six"], {"cidr": POOLS["six"], "natOutgoing": True}, "the pool that roostctl put back")
    k.must("DELETE", f"{ROOST}/ipblocks/{BLOCKS['six'][0]}")
    until(lambda: roostctl(k, "delete", "ippool", "six").returncode == 0, "roostctl to delete it when its block is gone")


def test_the_kinds_go_with_all_that_is_there(k):
    """As an uninstallation deletes them: nothing has to be asked for first."""
    k.kubectl("delete", "crd", "-l", "app.kubernetes.io/part-of=roost", "--wait", "--timeout=100s")
    equal(json.loads(k.kubectl("get", "crd", "-o", "json"))["items"], [], "kinds afterwards")
