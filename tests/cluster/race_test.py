# SPDX-License-Identifier: Apache-2.0
"""The race for the last addresses (race.py) over the stores that need nothing but their own program;
tests/kube has it over the API of Kubernetes.

One minute for each store; --minutes N for longer, --seed N for a schedule that was seen to fail."""
import contextlib
import json

import pytest

import race
from lab import Cluster, Failed, PROGRAMS, step, until

pytestmark = pytest.mark.needs(*PROGRAMS)


@contextlib.contextmanager
def cluster(store):
    with Cluster(store=store, **race.CLUSTER) as c:
        c.apply(*race.resources())
        yield c


@pytest.mark.parametrize("store", ["file", "etcd"])
def test_no_address_has_two_pods_whatever_fails(store, request):
    with cluster(store) as c:
        race.run(c, request.config.getoption("seed"), request.config.getoption("minutes"))


@pytest.mark.parametrize("store", ["file", "etcd"])
def test_the_history_finds_a_block_that_is_taken_from_its_node(store):
    """The checker itself: somebody breaks the protocol from outside, so that two nodes use a block."""
    history = race.History()
    with cluster(store) as c:
        c.wait_ready()
        runtimes = [race.Runtime(n, history, n.name) for n in c.nodes[:2]]
        for r in runtimes:
            r.start()
        thief = c.nodes[1]

        def found():
            for key, text in race.blocks(c).items():
                document = json.loads(text)
                if document["node"] != thief.name and document["state"] == "owned":
                    c.store.put(key.encode() if store == "etcd" else key,
                                json.dumps({**document, "node": thief.name, "nonce": "stolen"}).encode())
            return history.faults

        try:
            until(found, "an address with two pods")
        finally:
            for r in runtimes:
                r.halt.set()
        for r in runtimes:
            r.join()
        step(history.faults[0])
        with pytest.raises(Failed, match="was given to"):
            history.whole()
