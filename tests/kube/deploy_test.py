# SPDX-License-Identifier: Apache-2.0
"""deploy/roost.yaml against an API server: one command installs it, the same command again changes nothing, and
one takes it away."""
import json

import pytest

import controlplane
import documents
from lab import equal, true, until
from store_test import definitions

pytestmark = [pytest.mark.needs(*controlplane.PROGRAMS), pytest.mark.built(*controlplane.BUILT)]
DEPLOY = f"{documents.ROOT}/deploy"
FILE = f"{DEPLOY}/roost.yaml"
STRICT = ("--validate=strict",)  # a field that the API server does not know is a mistake


def objects(text):
    """Kind and name of objects, as kubectl prints them with -o json."""
    doc = json.loads(text)
    return sorted((o["kind"], o["metadata"]["name"]) for o in doc.get("items", [doc]))


def test_one_command_installs_it_and_one_takes_it_away():
    with controlplane.ControlPlane(controllers=True) as k:
        said = k.kubectl("apply", *STRICT, "-f", FILE)
        true("daemonset.apps/roostd created" in said and "error" not in said, "all of it to be made", said)
        again = k.kubectl("apply", *STRICT, "-f", FILE).splitlines()
        equal([line for line in again if not line.endswith(" unchanged")], [], "what another apply changes:")
        k.kubectl("wait", "--for=condition=Established", "--timeout=60s", "crd", "-l", "app.kubernetes.io/part-of=roost")
        true("created" in k.kubectl("apply", *STRICT, "-f", f"{DEPLOY}/uninstall.yaml"), "the DaemonSet that purges to be made")
        equal(k.kubectl("get", "ippools", "-o", "name"), "", "pools, which agents make:")
        # The API server begins to serve a kind some time after it is established. Until then it cannot delete the kind
        # either, and each try makes it wait twice as long.
        for crd in definitions():
            path = f"/apis/roost.io/v1/{crd['spec']['names']['plural']}"
            until(lambda path=path: k.ask("GET", path)[0] == 200, f"{path} to be served")
        k.kubectl("delete", "--timeout=120s", "-f", FILE)
        for kind in ("namespace", "crd", "clusterrole", "clusterrolebinding", "validatingadmissionpolicy",
                     "validatingadmissionpolicybinding"):
            until(lambda kind=kind: k.kubectl("get", kind, "-l", "app.kubernetes.io/part-of=roost", "-o", "name") == "",
                  f"no {kind} to be left")


def test_the_kustomize_base_is_the_same(plane):
    base = plane.kubectl("kustomize", DEPLOY)
    of_base = plane.kubectl("create", "--dry-run=client", "--validate=false", "-o", "json", "-f", "-", stdin=base)
    of_file = plane.kubectl("create", "--dry-run=client", "--validate=false", "-o", "json", "-f", FILE)
    equal(objects_of(of_base), objects_of(of_file), "the objects of the base:")


def objects_of(text):
    """All objects of a stream of JSON documents."""
    found, rest, decoder = [], text.strip(), json.JSONDecoder()
    while rest:
        doc, end = decoder.raw_decode(rest)
        found += objects(json.dumps(doc))
        rest = rest[end:].strip()
    return sorted(found)
