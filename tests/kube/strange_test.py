# SPDX-License-Identifier: Apache-2.0
"""Objects that nobody of ours made, in an API whose definitions let everything pass (of an earlier version, or
somebody's own): wrong types, sizes, names, texts. Everything that is good goes on, and what is bad is named."""
import json
import os
import subprocess

import pytest

import controlplane
import documents
from lab import equal, true, until
from namespaces import inside
from roostlab import BIN
from store_test import define, definitions

pytestmark = [pytest.mark.needs(*controlplane.PROGRAMS), pytest.mark.built(*controlplane.BUILT)]
ROOST = "/apis/roost.io/v1"


def roostctl(k, *words, stdin=None, config=None):
    env = {"PATH": os.environ["PATH"], "ROOST_STORE": f"kube:{config or k.admin}"}
    with inside(k.path):
        return subprocess.run([f"{BIN}/roostctl", *words], input=stdin, env=env, text=True, capture_output=True, timeout=60)


def make(k, plural, kind, name, spec, **metadata):
    doc = {"apiVersion": "roost.io/v1", "kind": kind, "metadata": {"name": name, **metadata}}
    if spec is not None:
        doc["spec"] = spec
    k.must("POST", f"{ROOST}/{plural}", doc)


@pytest.fixture
def k(plane):
    yield plane
    plane.kubectl("delete", "crd", "-l", "app.kubernetes.io/part-of=roost", "--ignore-not-found", "--wait")


def fill(k, node="n1"):
    """One good object of each kind, and bad ones. Returns the names of the bad ones that people apply."""
    make(k, "ippools", "IPPool", "good", {"cidr": "10.65.0.0/16", "disabled": True})
    make(k, "roostnodes", "RoostNode", node, {"bgp": {"ipv4Address": "192.0.2.1/24"}})
    make(k, "ipblocks", "IPBlock", "10-65-0-0-26", {"node": "n1", "state": "owned"})
    bad = {
        "number": {"cidr": 5}, "missing": {}, "none": None, "text": "x", "list": [1], "unknown": {"cidr": "10.66.0.0/16", "ipip": 1},
        "escape": {"cidr": "10.0.0.0/8\x1b[2J"}, "unicode": {"cidr": "10.66.0.0/16", "nodeSelector": "\u202e\U0001f600 == 'x'"},
        "long": {"cidr": "1" * 100000}, "deep": {"cidr": eval("[" * 100 + "]" * 100)}, "a." + "b" * 251: {"cidr": "::/0"},
        "float": {"cidr": "10.66.0.0/16", "blockSize": 1e300}, "hidden": {"cidr": "10.66.0.0/16", "natOutgoing": "true"},
        "large": {"cidr": "10.66.0.0/16", "blockSize": 10 ** 20}, "nul": {"cidr": "10.66.0.0/16\x00"},
    }
    for name, spec in bad.items():
        make(k, "ippools", "IPPool", name, spec)
    make(k, "ippools", "IPPool", "labels", {"cidr": "10.66.0.0/16"}, labels={f"x{i}": "" for i in range(20000)})
    make(k, "ippools", "IPPool", "annotations", {"cidr": "10.66.0.0/16"}, annotations={"x/y": "\x01\u2028" * 20000})
    for name, spec in {"foo": {"node": "n1", "state": "owned"}, "10-65-0-1-26": {"node": "n1", "state": "owned"},
                       "10-65-0-64-26": {"node": 5}, "10-65-0-128-26": {"node": "n1\n", "state": "owned"},
                       "10-65-0-192-26": {"node": "n1", "state": "mine"}, "10-65-1-0-26": None, "10-65-1-64-26": "x",
                       "10-65-1-128-26": {"node": "n" * 300000}, "fd00---0": {"node": "n1"}, "10-65-001-192-26": {"node": "n1"}}.items():
        make(k, "ipblocks", "IPBlock", name, spec)
    for name, spec in {node: {"problems": "x"}, "z2": [], "z3": {"installation": "x" * 300000}, "a.newcomer": {}, "newcomer": {},
                       "z4": None, "z5": {"blocks": [{"cidr": "0.0.0.0/0"}] * 1000}}.items():
        make(k, "nodestatuses", "NodeStatus", name, spec)
    return {*bad, "labels", "annotations"}


def test_roostctl_shows_what_is_good_and_names_what_is_bad(k):
    define(k, lenient=True)
    bad = fill(k)
    done = roostctl(k, "get", "all", "-o", "json")
    equal(done.returncode, 1, "the status")
    true(done.stdout, f"what is good to be shown, saw only {done.stderr[:2000]}")
    names = {item["metadata"]["name"] for item in json.loads(done.stdout)["items"]}
    equal(names, {"good", "n1", *bad}, "what is shown")
    missing = [name for name in bad if name[:40] not in done.stderr]
    equal(missing, [], f"bad ones that are not named in\n{done.stderr[:3000]}")
    true("\x1b" not in done.stderr and len(done.stderr) < 20000, f"the words to be clean and short, saw {len(done.stderr)} bytes")
    for words in (("node", "list"), ("ipam", "show"), ("get", "nodes"), ("node", "show", "n1")):
        done = roostctl(k, *words)
        true(done.returncode in (0, 1) and "\x1b" not in done.stdout + done.stderr,
             f"{' '.join(words)} to survive, saw {done.returncode}\n{done.stdout}{done.stderr}"[:2000])
    equal(roostctl(k, "delete", "ippool", "number", "text", "deep").returncode, 0, "the status of deleting bad ones")


def test_definitions_that_are_missing_are_named(k):
    done = roostctl(k, "get", "ippools")
    true(done.returncode == 1 and "kubectl apply -f deploy/crds" in done.stderr, f"the missing definitions to be named, saw {done.stderr}")
    define(k)
    equal(roostctl(k, "get", "ippools").returncode, 0, "the status with them")


def test_definitions_of_another_version_are_named(k):
    for crd in definitions():
        if crd["spec"]["names"]["plural"] == "ippools":
            crd["spec"]["versions"][0]["name"] = "v2"
            k.apply(crd)
    until(lambda: k.ask("GET", "/apis/roost.io/v2/ippools")[0] == 200, "v2 to be served")
    done = roostctl(k, "get", "ippools")
    true(done.returncode == 1 and "version v1" in done.stderr, f"the version to be named, saw {done.stderr}")


def test_a_right_that_is_missing_is_named(k):
    define(k)
    anna = k.config("anna")
    done = roostctl(k, "get", "ippools", config=anna)
    true(done.returncode == 1 and 'cannot get resource "ippools"' in done.stderr, f"verb and resource, saw {done.stderr}")
    k.kubectl("create", "clusterrole", "looks", "--verb=get,list,watch", "--resource=*.roost.io")
    k.kubectl("create", "clusterrolebinding", "looks", "--clusterrole=looks", "--user=anna")
    pool = json.dumps({"apiVersion": "projectcalico.org/v3", "kind": "IPPool", "metadata": {"name": "x"}, "spec": {"cidr": "10.65.0.0/16"}})
    done = roostctl(k, "apply", "-f", "-", stdin=pool, config=anna)
    true(done.returncode == 1 and 'cannot create resource "ippools"' in done.stderr, f"what is missing, saw {done.stderr}")


def moved(pool):
    return json.dumps({**pool, "metadata": {"name": "x"}, "spec": {"cidr": "10.66.0.0/16"}})


def test_what_the_api_server_refuses_is_told_in_its_words(k):
    define(k)
    pool = {"apiVersion": "projectcalico.org/v3", "kind": "IPPool", "metadata": {"name": "x"}, "spec": {"cidr": "10.65.0.0/16"}}
    equal(roostctl(k, "apply", "-f", "-", stdin=json.dumps(pool)).returncode, 0, "the status of the first apply")
    pool["metadata"]["labels"] = {"x": "a-"}
    done = roostctl(k, "apply", "-f", "-", stdin=json.dumps(pool))
    true(done.returncode == 1 and "metadata.labels" in done.stderr, f"the reason, saw {done.returncode} {done.stdout}{done.stderr}")
    equal(roostctl(k, "apply", "-f", "-", stdin=moved(pool)).returncode, 0, "the status of moving a pool without blocks")
    equal(k.must("GET", f"{ROOST}/ippools/x")["spec"]["cidr"], "10.66.0.0/16", "the pool's prefix")
