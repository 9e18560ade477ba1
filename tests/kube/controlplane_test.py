# SPDX-License-Identifier: Apache-2.0
"""The laboratory's control plane is a Kubernetes: it stores, refuses, knows who asks, and lives through
what stories do to it."""
import pytest

import controlplane
from lab import equal, true, until

pytestmark = [pytest.mark.needs(*controlplane.PROGRAMS), pytest.mark.built(*controlplane.BUILT)]


def node(name):
    return {"apiVersion": "v1", "kind": "Node", "metadata": {"name": name}}


def test_an_object_is_stored_and_listed(plane):
    plane.apply(node("stored"))
    true("stored" in plane.kubectl("get", "nodes", "-o", "name"), "kubectl to list the node")
    equal([n["metadata"]["name"] for n in plane.list("/api/v1/nodes")], ["stored"], "the nodes")


def test_it_knows_who_asks(plane):
    who = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}
    for config, name in ((plane.config("anna", ["staff"]), "anna"),
                         (plane.account("rooms", "cleaner"), "system:serviceaccount:rooms:cleaner")):
        answer = plane.must("POST", "/apis/authentication.k8s.io/v1/selfsubjectreviews", who, config=config)
        equal(answer["status"]["userInfo"]["username"], name, "who asks")
        equal(plane.ask("GET", "/api/v1/nodes", config=config)[0], 403, "the answer to one without rights")


def test_it_keeps_its_objects_over_a_kill_of_all(plane):
    plane.apply(node("kept"))
    for process in plane.processes():
        process.kill()
    plane.start()
    equal(plane.ask("GET", "/api/v1/nodes/kept")[0], 200, "the node afterwards")


def test_a_frozen_server_answers_when_it_goes_on(plane):
    plane.apiserver.freeze()
    with pytest.raises(OSError):
        plane.ask("GET", "/readyz", timeout_s=1)
    plane.apiserver.thaw()
    until(plane.ready, "the API server to answer again")
