# SPDX-License-Identifier: Apache-2.0
"""The client of the API (store/kube) against a real server: lists and watches of either kind, requests,
credentials that are renewed, rights that are missing. What no server does on demand is in
tests/store/kube_test.py."""
import os
import sys

import pytest

import controlplane
from controlplane import ControlPlane
from lab import equal, true, until

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "../store"))
from kubetool import KubeTool

pytestmark = [pytest.mark.needs(*controlplane.PROGRAMS), pytest.mark.built(*controlplane.BUILT)]
MAPS = "/api/v1/namespaces/default/configmaps"


def config_map(name, **data):
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data}


@pytest.fixture
def tool(plane):
    with KubeTool(plane.admin, ns=plane.path) as t:
        yield t


@pytest.fixture
def maps(plane):
    """A function that makes config maps; they are deleted afterwards."""
    made = []

    def make(name, **data):
        made.append(name)
        return plane.must("POST", MAPS, config_map(name, **data))

    yield make
    for name in made:
        plane.ask("DELETE", f"{MAPS}/{name}")


def names(told):
    return sorted(e["name"] for e in told if e["kind"] == "EXISTS")


@pytest.mark.parametrize("op", ["watch", "list"])
def test_what_exists_is_told_once_and_then_that_this_was_all(tool, maps, op):
    for i in range(3):
        maps(f"told-{i}")
    told = tool.told(tool.begin(op, path=MAPS))
    equal([told[0]["kind"], told[-1]["kind"]], ["RESTART", "CURRENT"], "the ends")
    equal([n for n in names(told) if n.startswith("told")], ["told-0", "told-1", "told-2"], "the maps")
    true(told[-1]["version"] > 0, "the list to have a version")


def test_changes_follow_in_their_order(tool, plane, maps):
    watch = tool.begin("watch", path=MAPS, fields="metadata.name=changed")
    tool.told(watch)
    made = maps("changed", a="1")
    seen = tool.event(watch)
    equal((seen["kind"], seen["version"]), ("EXISTS", int(made["metadata"]["resourceVersion"])), "its birth")
    plane.must("PATCH", f"{MAPS}/changed", {"data": {"a": "2"}}, kind="application/merge-patch+json")
    equal(tool.event(watch)["object"]["data"], {"a": "2"}, "its change")
    plane.must("DELETE", f"{MAPS}/changed")
    gone = tool.event(watch)
    equal((gone["kind"], gone["name"], gone["namespace"]), ("GONE", "changed", "default"), "its end")


def test_a_watch_of_metadata_brings_no_more(tool, maps):
    maps("large", a="x" * 100000)
    told = tool.told(tool.begin("watch", path=MAPS, fields="metadata.name=large", metadata=True))
    equal(names(told), ["large"], "the objects")
    true("data" not in told[1]["object"], "the data to be left out")


def test_pages_are_one_list(tool, plane):
    for i in range(450):
        plane.must("POST", MAPS, config_map(f"page-{i:03}"))
    told = tool.told(tool.begin("list", path=MAPS))
    equal(len([n for n in names(told) if n.startswith("page")]), 450, "the maps of three pages")
    plane.must("DELETE", MAPS)


def test_a_request_is_answered_whatever_the_answer(tool):
    made = tool.request("POST", MAPS, config_map("asked"))
    equal(made["status"], 201, "the answer")
    equal(tool.request("POST", MAPS, config_map("asked"))["status"], 409, "the answer to a second one")
    version = made["object"]["metadata"]["resourceVersion"]
    old = {"preconditions": {"resourceVersion": "1"}}
    equal(tool.request("DELETE", f"{MAPS}/asked", old)["status"], 409, "the answer to an old version")
    new = {"preconditions": {"resourceVersion": version, "uid": made["object"]["metadata"]["uid"]}}
    equal(tool.request("DELETE", f"{MAPS}/asked", new)["status"], 200, "the answer to the right one")
    equal(tool.request("GET", f"{MAPS}/asked")["status"], 404, "the answer afterwards")
    tool.send("wait", method="GET", path="/version")
    equal(tool.read()["object"]["major"], "1", "the version of the server")


def test_a_watch_goes_on_behind_a_server_that_was_killed(plane, tool, maps):
    watch = tool.begin("watch", path=MAPS, fields="metadata.name=late")
    tool.told(watch)
    plane.apiserver.kill()
    until(lambda: tool.trouble(), "the trouble to be told")
    true("cannot be used" in tool.trouble(), "the trouble to say that the server is away")
    plane.start()
    maps("late")
    equal(tool.event(watch)["kind"], "EXISTS", "the change afterwards")
    equal(tool.trouble(), None, "the trouble afterwards")


def test_a_right_that_is_missing_is_named(plane):
    with KubeTool(plane.config("nobody"), ns=plane.path) as t:
        t.begin("watch", path=MAPS)
        until(lambda: t.trouble(), "the trouble to be told")
        for word in ('User "nobody"', "cannot list", "configmaps"):
            true(word in t.trouble() or word.replace("list", "watch") in t.trouble(), f"{word} in {t.trouble()}")
        failed = t.event(t.begin("list", path=MAPS))
        equal((failed["kind"], failed["error"]), ("FAILED", -13), "the end of a list")
    with KubeTool(plane.config("nobody"), ns=plane.path) as t:
        equal(t.request("DELETE", f"{MAPS}/x")["status"], 403, "the answer")
        true("cannot delete" in t.trouble(), "the verb in " + str(t.trouble()))


def test_a_collection_that_is_missing_is_named(tool):
    failed = tool.event(tool.begin("list", path="/apis/roost.io/v1/nothings"))
    equal((failed["kind"], failed["error"]), ("FAILED", -2), "the end of a list")
    true("/apis/roost.io/v1/nothings" in failed["what"], "the collection to be named")


def test_a_pods_account_is_read_again_when_its_token_is_renewed(plane, tmp_path):
    folder = plane.account_folder(str(tmp_path / "account"), "rooms", "cleaner", seconds=600)
    with KubeTool("", ns=plane.path, folder=folder, server=plane.server) as t:
        equal(t.request("GET", "/version")["status"], 200, "the first answer")
        (tmp_path / "account/token").write_text("nonsense")
        failed = t.request("GET", "/version")
        equal((failed["kind"], failed["error"]), ("FAILED", -13), "the answer to a bad token")
        true(f"{folder}/token" in failed["what"], "the file to be named")
        plane.account_folder(folder, "rooms", "cleaner")
        equal(t.request("GET", "/version")["status"], 200, "the answer to a new one")


def test_a_servers_certificate_is_checked(plane, tmp_path):
    folder = plane.account_folder(str(tmp_path / "account"), "rooms", "cleaner")
    own = plane.pki.ca
    (tmp_path / "account/ca.crt").write_text("")
    with KubeTool("", ns=plane.path, folder=folder, server=plane.server) as t:
        t.send("wait", method="GET", path="/version")
        said = t.read()
        equal((said["kind"], said["error"]), ("ERROR", -111), "the end without an authority")
        with open(own, encoding="utf8") as f:
            (tmp_path / "account/ca.crt").write_text(f.read())
        t.send("wait", method="GET", path="/version")
        equal(t.read()["kind"], "ANSWERED", "the answer with the right one")


def test_a_server_without_lists_in_streams_is_asked_for_pages():
    with ControlPlane(apiserver_options=["--feature-gates=WatchList=false"]) as k:
        k.must("POST", MAPS, config_map("there"))
        with KubeTool(k.admin, ns=k.path) as t:
            watch = t.begin("watch", path=MAPS)
            true("there" in names(t.told(watch)), "the map to be told")
            k.must("POST", MAPS, config_map("later"))
            equal(t.event(watch)["name"], "later", "the change")
