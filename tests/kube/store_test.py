# SPDX-License-Identifier: Apache-2.0
"""The driver kube: of the cluster store against a real API server: the suite of all stores, and what is
this one's own: names, schemas, rights, a server that is away while something is written."""
import json
import os
import subprocess
import sys

import pytest
import yaml

import controlplane
from lab import equal, true, until
from namespaces import inside

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "../store"))
import storelab

ROOT = os.path.join(os.path.dirname(__file__), "../..")
pytestmark = [pytest.mark.needs(*controlplane.PROGRAMS), pytest.mark.built(*controlplane.BUILT)]


def definitions(lenient=False):
    """roost's; lenient: they take any spec."""
    folder = f"{ROOT}/deploy/crds"
    found = []
    for name in sorted(os.listdir(folder)):
        with open(f"{folder}/{name}", encoding="utf8") as f:
            found += [d for d in yaml.safe_load_all(f) if d]
    for crd in found if lenient else []:
        crd["spec"]["versions"][0]["schema"] = {"openAPIV3Schema": {
            "type": "object", "x-kubernetes-preserve-unknown-fields": True}}
        crd["spec"]["versions"][0].pop("selectableFields", None)
    return found


def define(plane, lenient=False):
    plane.apply(*definitions(lenient))
    for crd in definitions():
        until(lambda name=crd["spec"]["names"]["plural"]:
              plane.ask("GET", f"/apis/roost.io/v1/{name}")[0] == 200, f"{crd['metadata']['name']} to be served")


@pytest.fixture
def tool(plane):
    with inside(plane.path):
        t = storelab.Tool(f"kube:{plane.admin}", timeout=1000)
    yield t
    t.close()


def test_the_suite_of_all_stores_passes(plane):
    define(plane, lenient=True)
    with inside(plane.path):
        done = subprocess.run([storelab.SUITE, f"kube:{plane.admin}"], capture_output=True, text=True,
                              timeout=240, check=False)
    equal(done.returncode, 0, "the status of the suite: " + done.stdout[-3000:] + done.stderr[-6000:])


# ---- with roost's own definitions ----

POOL = """apiVersion: projectcalico.org/v3
kind: IPPool
metadata: {name: default}
spec: {cidr: 100.66.0.0/16, natOutgoing: true}
"""
POOLS = "/apis/roost.io/v1/ippools"


@pytest.fixture
def ctl(plane, tmp_path):
    """A function: roostctl over the API server; gives its CompletedProcess."""
    for crd in definitions():
        plane.ask("DELETE", f"/apis/apiextensions.k8s.io/v1/customresourcedefinitions/{crd['metadata']['name']}")
    until(lambda: plane.ask("GET", POOLS)[0] == 404, "the definitions to be gone")
    define(plane)

    def run(*words, config=None, stdin=None):
        with inside(plane.path):
            return subprocess.run([f"{storelab.BIN}/roostctl", "--store", f"kube:{config or plane.admin}",
                                   "--config", conf, *words], input=stdin, capture_output=True, text=True,
                                  timeout=60, check=False)

    conf = str(tmp_path / "roostd.json")
    (tmp_path / "roostd.json").write_text("{}")
    return run


def fine(done):
    equal(done.returncode, 0, f"the status: {done.stderr}")
    return done.stdout


def test_roostctl_and_kubectl_see_the_same_pools(plane, ctl):
    true("created" in fine(ctl("apply", "-f", "-", stdin=POOL)), "the pool to be created")
    equal(plane.must("GET", f"{POOLS}/default")["spec"]["cidr"], "100.66.0.0/16", "the object's prefix")
    true("unchanged" in fine(ctl("apply", "-f", "-", stdin=POOL)), "the same to change nothing")
    plane.kubectl("patch", "ippools.roost.io", "default", "--type=merge", "-p", '{"spec":{"disabled":true}}')
    true("disabled: true" in fine(ctl("get", "ippool", "default", "-o", "yaml")), "roostctl to see kubectl's change")
    true("configured" in fine(ctl("apply", "-f", "-", stdin=POOL)), "the pool to be put back")
    equal(plane.must("GET", f"{POOLS}/default")["spec"].get("disabled"), None, "what kubectl had set")
    printed = plane.kubectl("get", "ippools.roost.io", "-o", "yaml")
    true("roost.io/v1" in printed and "resourceVersion" in printed, "kubectl's words", printed)
    true("unchanged" in fine(ctl("apply", "-f", "-", stdin=printed)), "what kubectl prints to change nothing")
    fine(ctl("delete", "ippool", "default"))
    equal(plane.ask("GET", f"{POOLS}/default")[0], 404, "the answer afterwards")


def test_a_pool_that_has_blocks_is_put_back_as_it_was(plane, ctl):
    fine(ctl("apply", "-f", "-", stdin=POOL))
    before = plane.must("GET", f"{POOLS}/default")["spec"]
    plane.must("POST", "/apis/roost.io/v1/ipblocks", {
        "apiVersion": "roost.io/v1", "kind": "IPBlock", "metadata": {"name": "100-66-0-0-26"},
        "spec": {"node": "n1", "cidr": "100.66.0.0/26", "state": "owned"}})
    for words, text in ((("delete", "ippool", "default"), None), (("apply", "-f", "-"), POOL.replace("100.66", "100.67"))):
        done = ctl(*words, stdin=text)
        true(done.returncode == 1 and "has 1 block in use (n1: 1)" in done.stderr, f"{words[0]} to be refused", done.stderr)
        equal(plane.must("GET", f"{POOLS}/default")["spec"], before, f"the pool after {words[0]}")


def test_what_the_server_refuses_is_told_with_its_words(plane, ctl):
    fine(ctl("apply", "-f", "-", stdin=POOL))
    policy = {"apiVersion": "admissionregistration.k8s.io/v1", "metadata": {"name": "no"}}
    plane.apply({**policy, "kind": "ValidatingAdmissionPolicy", "spec": {
        "failurePolicy": "Fail",
        "matchConstraints": {"resourceRules": [{"apiGroups": ["roost.io"], "apiVersions": ["*"],
                                                "operations": ["UPDATE"], "resources": ["ippools"]}]},
        "validations": [{"expression": "false", "message": "pools are left alone on Fridays"}]}},
        {**policy, "kind": "ValidatingAdmissionPolicyBinding",
         "spec": {"policyName": "no", "validationActions": ["Deny"]}})

    def refused():  # another change each time, as the policy is in force only after a while
        nat = plane.must("GET", f"{POOLS}/default")["spec"]["natOutgoing"]
        done = ctl("apply", "-f", "-", stdin=POOL.replace("true}", "false}" if nat else "true}"))
        return done.returncode == 1 and "pools are left alone on Fridays" in done.stderr

    until(refused, "the policy's words")
    plane.kubectl("delete", "validatingadmissionpolicy,validatingadmissionpolicybinding", "no")


def test_a_missing_right_and_a_missing_definition_are_named(plane, ctl):
    said = ctl("get", "ippools", config=plane.config("nobody"))
    equal(said.returncode, 1, "the status without rights")
    for word in ('User "nobody"', "cannot get", "ippools"):
        true(word in said.stderr, f"{word} in {said.stderr}")
    plane.must("DELETE", "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/ippools.roost.io")
    until(lambda: plane.ask("GET", POOLS)[0] == 404, "the definition to be gone")
    said = ctl("get", "ippools")
    equal(said.returncode, 1, "the status without the definition")
    true("knows no IPPool" in said.stderr and "deploy/crds" in said.stderr, said.stderr)


def test_a_write_whose_answer_is_lost_is_found_out(plane, tool, ctl):
    fine(ctl("apply", "-f", "-", stdin=POOL))
    plane.apiserver.freeze()
    write = tool.write("status/n1", json.dumps({"heartbeat": "2026-01-01T00:00:00Z"}), timeout=30000)
    until(lambda: tool.trouble()["what"], "the trouble to be told")
    plane.apiserver.thaw()
    done = tool.outcome(write, timeout=40)
    equal(done["kind"], "DONE", f"the outcome: {done}")
    equal(tool.get("status/n1")["revision"], done["revision"], "the revision that it says")


def test_an_agents_watch_is_of_its_own_status_alone(plane, tool, ctl):
    fine(ctl("apply", "-f", "-", stdin=POOL))
    watch = tool.watch("status/n1")
    equal([tool.event(watch)[0] for _ in range(2)], ["RESTART", "CURRENT"], "the list")
    for name in ("n10", "n1.newcomer", "n2", "n1"):
        plane.must("POST", "/apis/roost.io/v1/nodestatuses", {
            "apiVersion": "roost.io/v1", "kind": "NodeStatus", "metadata": {"name": name},
            "spec": {"heartbeat": "2026-01-01T00:00:00Z"}})
    keys = sorted(tool.event(watch)[1] for _ in range(2))
    equal(keys, ["status/n1", "status/n1/newcomer"], "what is told")
