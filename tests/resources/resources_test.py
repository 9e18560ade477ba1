# SPDX-License-Identifier: Apache-2.0
"""roostctl apply, diff, get and delete against real stores: the embedded one, and an etcd. Blocks and
hostile documents are written through tests/store/store_tool.c."""

import concurrent.futures
import glob
import json
import os
import re
import shutil
import socket
import subprocess

import pytest

import storelab
from roostlab import BIN, ROOT, Failed
from storelab import TOOL


def equal(seen, expected, what="the answer"):
    __tracebackhide__ = True
    if seen != expected:
        raise Failed(f"expected {what} to be\n{expected}\nsaw\n{seen}")


def holds(text, part):
    __tracebackhide__ = True
    if part not in text:
        raise Failed(f"expected {part!r} in\n{text}")


class Store:
    """An empty store, the command line over it, and a way round the command line."""

    def __init__(self, url, folder):
        self.url, self.folder, self.files = url, folder, 0
        self.env = {"PATH": os.environ["PATH"], "ROOST_STORE": url,
                    "ROOST_CONFIG": f"{folder}/roostd.json"}
        with open(self.env["ROOST_CONFIG"], "w") as f:
            json.dump({"etcd": {"prefix": f"/{os.path.basename(folder)}/"}}, f)
        self.tool_words = [TOOL, url] + ([f"prefix=/{os.path.basename(folder)}/"]
                                         if url.startswith("etcd:") else [])

    def ctl(self, *words, stdin=None, status=0):
        p = subprocess.run([f"{BIN}/roostctl", *words], env=self.env, input=stdin, text=True,
                           capture_output=True, timeout=60)
        if p.returncode != status:
            raise Failed(f"expected exit status {status} of {' '.join(words)}, saw "
                         f"{p.returncode}\n{p.stdout}{p.stderr}")
        if status != 0 and status != 1 and p.stdout:
            raise Failed(f"{' '.join(words)} prints on stdout:\n{p.stdout}")
        return p

    def file(self, text):
        self.files += 1
        path = f"{self.folder}/m{self.files}.yaml"
        with open(path, "w") as f:
            f.write(text)
        return path

    def apply(self, text, status=0):
        return self.ctl("apply", "-f", "-", stdin=text, status=status)

    def tool(self, request):
        p = subprocess.run(self.tool_words, input=json.dumps(request) + "\n", text=True,
                           capture_output=True, timeout=30)
        return [json.loads(line) for line in p.stdout.splitlines()]

    def put(self, key, value):
        text = value if isinstance(value, str) or value is None else json.dumps(value)
        self.tool({"op": "put", "key": key, "value": text})
        self.seen(key, text)

    def seen(self, key, text):
        docs = [e.get("value") for e in self.tool({"op": "get", "key": key}) if e.get("value")]
        equal(docs, [text] if text is not None else [], f"the document {key}")

    def block(self, cidr, node, state="owned"):
        name = cidr.replace("/", "-")
        text = {"node": node, "state": state, "since": "2026-01-01T00:00:00Z", "nonce": "1"}
        self.put(f"blocks/{name}", text)

    def unblock(self, cidr, node):
        name = cidr.replace("/", "-")
        self.put(f"blocks/{name}", None)

    def get(self, *words):
        return json.loads(self.ctl("get", *words, "-o", "json").stdout)


@pytest.fixture(scope="module")
def etcd():
    if not shutil.which("etcd"):
        pytest.skip("etcd is not installed")
    with storelab.cleanup:
        etcd = storelab.Etcd()
        etcd.start()
        yield f"etcd:{etcd.wait().url}"


@pytest.fixture(params=["file", "etcd"])
def s(request, tmp_path):
    """An empty store of each kind."""
    url = request.getfixturevalue("etcd") if request.param == "etcd" else f"file:{tmp_path}/store"
    store = Store(url, str(tmp_path))
    store.tool({"op": "get", "key": "x"})  # makes the file: store, which readers do not
    return store


def pool(name, cidr, **spec):
    return json.dumps({"apiVersion": "projectcalico.org/v3", "kind": "IPPool",
                       "metadata": {"name": name}, "spec": {"cidr": cidr, **spec}}) + "\n---\n"


def node(name, address=None, metadata=None, **spec):
    if address:
        spec = {"bgp": {"ipv4Address": address}, **spec}
    return json.dumps({"apiVersion": "projectcalico.org/v3", "kind": "Node",
                       "metadata": {"name": name, **(metadata or {})}, "spec": spec}) + "\n---\n"


def test_apply_creates_configures_and_leaves_unchanged(s):
    files = []
    for case in ("calicoctl_export_ippool", "calicoctl_export_node", "bgpconfiguration_default",
                 "bgppeer_of_everything", "bgpfilter_all_operators", "ipreservation"):
        files += ["-f", f"{ROOT}/tests/data/resource/{case}/input"]
    expected = ["ippool/default-ipv4-ippool", "node/worker-1", "bgpconfiguration/default",
                "bgppeer/tor-1", "bgpfilter/f", "ipreservation/gateways"]
    # The exported node has its tunnel's address in the pool, not its own: that is fine.
    equal(s.ctl("apply", *files).stdout.splitlines(), [f"{e} created" for e in expected])
    equal(s.ctl("apply", *files).stdout.splitlines(), [f"{e} unchanged" for e in expected])
    text = pool("default-ipv4-ippool", "10.65.0.0/16", natOutgoing=False)
    equal(s.apply(text).stdout, "ippool/default-ipv4-ippool configured\n")
    equal(json.loads(s.ctl("apply", "-f", "-", "-o", "json", stdin=text).stdout),
          [{"kind": "IPPool", "name": "default-ipv4-ippool", "result": "unchanged"}])


def test_what_get_prints_can_be_applied_again(s):
    s.ctl("apply", *sum((["-f", f"{ROOT}/tests/data/resource/{c}/input"] for c in
                         ("kubectl_export_ippool", "calicoctl_export_node",
                          "bgppeer_of_everything", "bgpfilter_all_operators")), []))
    for form in ("yaml", "json"):
        whole = s.ctl("get", "all", "-o", form).stdout
        lines = s.apply(whole).stdout.splitlines()
        equal(len(lines), 4)
        equal([x for x in lines if not x.endswith(" unchanged")], [])
        one = s.ctl("get", "ippool", "six", "-o", form).stdout
        equal(s.apply(one).stdout, "ippool/six unchanged\n")
    equal(s.get("ippools")["kind"], "List")
    equal(s.get("IPPool", "six")["spec"]["blockSize"], 122)
    if s.get("ippool", "six")["metadata"]["uid"] == "0b3a5a5e":
        raise Failed("the pool has the uid that another cluster gave it")


def test_one_bad_document_of_many_refuses_everything_with_file_and_line(s):
    good = s.file(pool("a", "10.1.0.0/16"))
    bad = s.file("apiVersion: projectcalico.org/v3\nkind: IPPool\nmetadata:\n  name: b\nspec:\n"
                 "  cidr: 10.2.0.0/16\n  ipipMode: Sometimes\n---\napiVersion: "
                 "projectcalico.org/v3\nkind: Felix\nmetadata: {name: c}\n")
    broken = s.file("kind: IPPool\n  spec: x\n")
    p = s.ctl("apply", "-f", good, "-f", bad, "-f", broken, status=1)
    equal(p.stdout, "")
    equal(p.stderr.splitlines(), [
        f"roostctl: {bad}:7: IPPool b: spec.ipipMode is \"Sometimes\", must be Never, Always or "
        "CrossSubnet",
        f"roostctl: {bad}:10: kind Felix is not supported by roost",
        f"roostctl: {broken}: line 2, column 7: mapping values are not allowed in this context",
        "roostctl: nothing was changed"])
    equal(s.get("all")["items"], [])
    p = s.ctl("apply", "-f", good, "-f", good, status=1)
    holds(p.stderr, f"{good}:1: IPPool a: is there already, in {good}:1")
    p = s.apply("kind: List\napiVersion: v1\nitems:\n- kind: IPPool\n  apiVersion: "
                "projectcalico.org/v3\n  metadata: {name: x}\n  spec:\n    cidr: 1\n", status=1)
    holds(p.stderr, "stdin:8: IPPool x: spec.cidr must be a string, not a number")


def test_usage_errors_are_exit_2(s):
    for words in (["apply"], ["diff"], ["delete"], ["delete", "ippool"], ["delete", "x", "y"],
                  ["get"], ["get", "pods"], ["get", "all", "x"], ["apply", "x", "-f", "y"],
                  ["apply", "-f", "a", "--wide"], ["get", "ippool", "-o", "table"]):
        holds(s.ctl(*words, status=2).stderr, "roostctl: ")
    holds(s.ctl("apply", "-f", f"{s.folder}/none", status=1).stderr, "No such file")
    holds(s.ctl("apply", "-f", s.folder, status=1).stderr, "roostctl: ")
    holds(s.apply("# nothing\n", status=1).stderr, "no resource is in the files")


def test_diff_shows_what_apply_would_change_and_changes_nothing(s):
    before = pool("a", "10.1.0.0/16") + node("n", "192.168.0.1/24")
    after = pool("a", "10.1.0.0/16", disabled=True) + pool("b", "10.2.0.0/16")
    s.apply(before)
    equal(s.ctl("diff", "-f", "-", stdin=before).stdout, "")
    p = s.ctl("diff", "-f", "-", stdin=after, status=1)
    equal(p.stdout, """--- store/ippool/a
+++ stdin
@@ -4,3 +4,4 @@
   name: a
 spec:
   cidr: 10.1.0.0/16
+  disabled: true
--- /dev/null
+++ stdin
@@ -0,0 +1,6 @@
+apiVersion: projectcalico.org/v3
+kind: IPPool
+metadata:
+  name: b
+spec:
+  cidr: 10.2.0.0/16
""")
    p = s.ctl("diff", "-f", "-", "-o", "json", stdin=after, status=1)
    equal([c["change"] for c in json.loads(p.stdout)], ["configure", "create"])
    equal(len(s.get("ippool")["items"]), 1)
    holds(s.ctl("diff", "-f", "-", stdin=pool("c", "10.1.2.0/24"), status=2).stderr,
          "overlaps 10.1.0.0/16 of IPPool a")
    s.ctl("diff", "-f", "-", stdin="kind: [", status=2)
    s.ctl("diff", "-f", f"{s.folder}/none.yaml", status=2)


def test_what_kubectl_prints_is_applied(s):
    text = """apiVersion: v1
items:
- apiVersion: roost.io/v1
  kind: IPPool
  metadata:
    creationTimestamp: "2020-08-22T13:02:11Z"
    generation: 2
    managedFields:
    - {manager: kubectl, operation: Update, fieldsV1: {"f:spec": {}}}
    name: a
    resourceVersion: "412"
    uid: 1d0f7e3a-90c5-4a53-8f0e-7be2f4a5c611
  spec: {cidr: 10.1.0.0/16}
- apiVersion: roost.io/v1
  kind: RoostNode
  metadata: {name: n, generation: 3, labels: {rack: r1}}
  spec: {bgp: {ipv4Address: 192.168.0.1/24}}
kind: List
metadata: {resourceVersion: ""}
"""
    equal(s.apply(text).stdout, "ippool/a created\nnode/n created\n")
    for kind, name in (("IPPool", "a"), ("Node", "n")):
        shown = s.get(kind.lower(), name)
        equal((shown["apiVersion"], shown["kind"]), ("projectcalico.org/v3", kind), "what is shown")
    equal("2020" in s.get("ippool", "a")["metadata"]["creationTimestamp"], False, "the time of another object")
    equal(s.ctl("diff", "-f", "-", stdin=text).stdout, "")


def test_pools_and_nodes_must_not_meet(s):
    s.apply(pool("a", "10.1.0.0/16") + node("n", "192.168.0.1/24"))
    for text, sentence in [
            (pool("b", "10.0.0.0/8"), "10.0.0.0/8 overlaps 10.1.0.0/16 of IPPool a"),
            (pool("b", "10.2.0.0/16") + pool("c", "10.2.3.0/24"), "overlaps"),
            (pool("b", "192.168.0.0/16"),
             "the address 192.168.0.1 of Node n is inside 192.168.0.0/16 of IPPool b"),
            (node("m", "10.1.2.3/24"),
             "the address 10.1.2.3 of Node m is inside 10.1.0.0/16 of IPPool a"),
            (node("m", "192.168.0.1/16"), "192.168.0.1 is the address of Node n"),
            (node("m", "192.168.0.2/24") + node("o", "192.168.0.2/24"),
             "192.168.0.2 is the address of Node ")]:
        p = s.apply(text, status=1)
        holds(p.stderr, sentence)
        holds(p.stderr, "nothing was changed")
        equal(len(s.get("all")["items"]), 2)
    # Judged together: the pool may go where the node was when both change at once.
    s.apply(pool("b", "192.168.0.0/24") + node("n", "172.16.0.1/24"))


def test_a_pool_with_blocks_keeps_its_shape_and_cannot_go(s):
    s.apply(pool("a", "10.1.0.0/16"))
    s.block("10.1.2.0/26", "n1")
    s.block("10.1.3.0/26", "n1")
    s.block("10.1.4.0/26", "n2", "quarantined")
    for text in (pool("a", "10.1.0.0/16", blockSize=27), pool("a", "10.1.0.0/17"),
                 pool("a", "10.2.0.0/16")):
        p = s.apply(text, status=1)
        holds(p.stderr, "cidr and blockSize cannot change while the pool has 3 blocks in use "
              "(n1: 2, n2: 1)")
        equal(s.get("ippool", "a")["spec"], {"cidr": "10.1.0.0/16"})
    s.apply(pool("a", "10.1.0.0/16", disabled=True))
    s.apply(pool("a", "10.1.0.0/16", natOutgoing=True))
    p = s.ctl("delete", "ippool", "a", status=1)
    holds(p.stderr, "ippool/a has 3 blocks in use (n1: 2, n2: 1)")
    holds(p.stderr, "disabled: true")
    equal(s.get("ippool", "a")["spec"], {"cidr": "10.1.0.0/16", "natOutgoing": True})
    for cidr, who in (("10.1.2.0/26", "n1"), ("10.1.3.0/26", "n1"), ("10.1.4.0/26", "n2")):
        s.unblock(cidr, who)
    equal(s.apply(pool("a", "10.1.0.0/17", blockSize=27)).stdout, "ippool/a configured\n")
    equal(s.get("ippool", "a")["spec"], {"cidr": "10.1.0.0/17", "blockSize": 27})
    equal(s.ctl("delete", "ippool", "a").stdout, "ippool/a deleted\n")
    equal(s.get("all")["items"], [])


def ipam(**spec):
    return json.dumps({"apiVersion": "projectcalico.org/v3", "kind": "IPAMConfiguration",
                       "metadata": {"name": "default"}, "spec": spec}) + "\n---\n"


def test_a_limit_below_what_nodes_have_is_taken_with_a_warning(s):
    s.apply(pool("a", "10.1.0.0/16"))
    for i, who in enumerate(["n1", "n1", "n1", "n2", "n2", "n3"]):
        s.block(f"10.1.{i}.0/26", who)
    for word, status in (("diff", 1), ("apply", 0), ("apply", 0), ("diff", 0)):
        p = s.ctl(word, "-f", "-", stdin=ipam(maxBlocksPerHost=1), status=status)
        equal(p.stderr, "roostctl: warning: ipamconfiguration/default: maxBlocksPerHost is 1, and nodes have more "
              "blocks (n1: 3, n2: 2): kept, but no further ones\n")
    holds(s.apply(ipam(maxBlocksPerHost=2)).stderr, "and a node has more blocks (n1: 3): kept")
    for limit in (3, 0):
        equal(s.apply(ipam(maxBlocksPerHost=limit)).stderr, "")


def test_blocks_of_an_earlier_pool_are_taken_over_when_they_fit(s):
    s.block("10.1.2.0/26", "n1")
    holds(s.apply(pool("a", "10.1.0.0/16", blockSize=27), status=1).stderr,
          "the block 10.1.2.0/26 of node n1 is in use, and is no /27 of this pool")
    s.apply(pool("a", "10.1.0.0/16"))


def test_of_two_overlapping_pools_applied_at_once_one_wins(s):
    for i in range(6):
        cidrs = {f"p{i}-0": f"10.{i}.0.0/16", f"p{i}-1": f"10.{i}.0.0/16",
                 f"p{i}-2": f"10.{i}.2.0/24", f"p{i}-3": f"10.{i}.3.0/24"}
        texts = [pool(name, cidr) for name, cidr in cidrs.items()]
        running = [subprocess.Popen([f"{BIN}/roostctl", "apply", "-f", s.file(t)], env=s.env,
                                    stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
                   for t in texts]
        errors = "".join(p.communicate()[1] for p in running)
        names = [p["metadata"]["name"] for p in s.get("ippool")["items"]
                 if p["metadata"]["name"] in cidrs]
        equal(names, [name for name, p in zip(cidrs, running) if p.returncode == 0],
              f"who was told that the pool is there\n{errors}")
        wide = [n for n in names if cidrs[n].endswith("/16")]
        if not (len(names) == 1 or len(names) == 2 and not wide):
            raise Failed(f"expected one pool, or two narrow ones, saw {names}\n{errors}")


def test_of_overlapping_pools_that_stand_in_the_store_the_oldest_counts(s):
    def put(name, cidr, **metadata):
        doc = json.loads(pool(name, cidr).split("\n")[0])
        doc["metadata"].update(metadata)
        s.put(f"resources/ippools/{name}", doc)

    put("a", "10.1.0.0/17", creationTimestamp="2026-11-30T14:00:01Z", uid="1")
    put("b", "10.1.0.0/16", creationTimestamp="2026-11-30T14:00:00Z", uid="2")
    put("c", "10.2.0.0/16", creationTimestamp="2026-11-30T14:00:00Z", uid="2")
    put("d", "10.2.0.0/16", creationTimestamp="2026-11-30T14:00:00Z", uid="1")
    put("e", "10.3.0.0/16", creationTimestamp="2026-11-30T14:00:00Z", uid="1")
    put("f", "10.3.1.0/24")
    s.block("10.1.1.0/26", "n")
    p = s.ctl("get", "ippool", status=1)
    equal(p.stderr, "roostctl: ippool/a is left out: it overlaps 10.1.0.0/16 of ippool/b, which is older\n"
                    "roostctl: ippool/c is left out: it overlaps 10.2.0.0/16 of ippool/d, which is older\n"
                    "roostctl: ippool/f is left out: it overlaps 10.3.0.0/16 of ippool/e, which is older\n")
    counted = json.loads(s.ctl("ipam", "show", "--cluster", "-o", "json").stdout)["pools"]
    equal([(p["name"], p["blocks"]) for p in counted], [("b", 1), ("d", 0), ("e", 0)])


def test_a_pool_keeps_its_age_until_it_moves(s):
    def stamp():
        metadata = s.get("ippool", "a")["metadata"]
        return metadata["creationTimestamp"], metadata["uid"]

    s.apply(pool("a", "10.1.0.0/16"))
    first = stamp()
    s.apply(pool("a", "10.1.0.0/16", disabled=True))
    equal(s.apply(pool("a", "10.1.0.0/16", disabled=True)).stdout, "ippool/a unchanged\n")
    equal(stamp(), first)
    s.apply(pool("a", "10.2.0.0/16"))
    if stamp()[1] == first[1]:
        raise Failed("a pool that covers something else now is as old as before")


def test_what_an_earlier_version_kept_beside_the_pools_goes(s):
    s.put("guard/pools", {"nonce": "1"})
    s.put("resources/ippools/old", pool("old", "10.9.0.0/16").split("\n")[0])
    equal(s.apply(pool("old", "10.9.0.0/16") + pool("a", "10.1.0.0/16")).stdout,
          "ippool/old unchanged\nippool/a created\n")
    s.seen("guard/pools", None)
    s.put("guard/pools", {"nonce": "1"})
    s.ctl("delete", "ippool", "a")
    s.seen("guard/pools", None)


def test_what_restricts_is_written_before_what_gives(s):
    """The documents of one file, in the order of their revisions."""
    s.apply(pool("a", "10.1.0.0/16"))
    s.apply(pool("b", "10.1.0.0/17") + pool("a", "10.2.0.0/16") + node("n", "192.168.0.1/24") +
            json.dumps({"apiVersion": "projectcalico.org/v3", "kind": "IPReservation",
                        "metadata": {"name": "r"}, "spec": {"reservedCIDRs": ["10.1.0.1/32"]}}))
    docs = next(e["docs"] for e in s.tool({"op": "list", "prefix": "resources/"}) if e["kind"] == "LIST")
    equal([key.split("/")[-1] for key, _, _ in sorted(docs, key=lambda d: d[2])], ["r", "n", "b", "a"])


def test_a_node_s_people_and_its_agent_do_not_undo_each_other(s):
    s.put("resources/nodes/n", {
        "apiVersion": "projectcalico.org/v3", "kind": "Node", "metadata": {"name": "n"},
        "spec": {"bgp": {"ipv4Address": "192.168.0.1/24", "ipv4IPIPTunnelAddr": "10.1.0.0"},
                 "ipv4VXLANTunnelAddr": "10.1.0.1", "vxlanTunnelMACAddr": "66:00:00:00:00:01"}})
    s.apply(node("n", metadata={"labels": {"rack": "r1"}}, bgp={"asNumber": 5}, drain=True))
    document = s.get("node", "n")
    equal(document["metadata"]["labels"], {"rack": "r1"})
    equal(document["spec"], {
        "bgp": {"asNumber": 5, "ipv4Address": "192.168.0.1/24", "ipv4IPIPTunnelAddr": "10.1.0.0"},
        "drain": True, "ipv4VXLANTunnelAddr": "10.1.0.1",
        "vxlanTunnelMACAddr": "66:00:00:00:00:01"})
    s.apply(node("n"))
    equal(s.get("node", "n")["spec"]["drain"], True)
    equal(s.get("node", "n")["spec"]["bgp"]["ipv4Address"], "192.168.0.1/24")


def test_a_file_about_labels_does_not_undrain(s):
    labels = node("n", metadata={"labels": {"rack": "r1"}})
    s.apply(labels)
    s.ctl("node", "drain", "n")
    equal(s.apply(labels).stdout, "node/n unchanged\n")
    equal(s.get("node", "n")["spec"]["drain"], True)
    p = s.apply(node("n", drain=False))
    holds(p.stderr, "warning: node/n was drained and takes new pods again, as the file says drain: false")
    s.ctl("node", "drain", "n")
    s.ctl("node", "undrain", "n")
    equal(s.apply(node("n", drain=False)).stdout, "node/n unchanged\n")


def test_an_export_of_a_node_leaves_its_living_agent_alone(s):
    address = {"ipv4Address": "192.168.0.1/24"}
    s.put("resources/nodes/n", {
        "apiVersion": "projectcalico.org/v3", "kind": "Node",
        "metadata": {"name": "n", "labels": {"kubernetes.io/hostname": "n"}}, "spec": {"bgp": address}})
    s.put("status/n", {"version": "1", "heartbeat": "2026-03-02T09:14:53Z"})
    for text in (node("n"), node("n", address["ipv4Address"])):
        equal(s.apply(text).stdout, "node/n unchanged\n")
    p = s.apply(node("n", "192.168.0.7/24", metadata={"labels": {"a": "b"}}))
    equal(p.stderr, "roostctl: warning: node/n: spec.bgp.ipv4Address stays as the node's agent says\n")
    equal(s.get("node", "n")["spec"]["bgp"], address)
    equal(s.get("node", "n")["metadata"]["labels"], {"kubernetes.io/hostname": "n", "a": "b"})


def examples():
    """Every manifest for roostctl that the documentation shows, by page; kubectl's and kind's are others."""
    for page in [f"{ROOT}/README.md", *sorted(glob.glob(f"{ROOT}/docs/**/*.md", recursive=True))]:
        with open(page) as f:
            fences = re.findall(r"^```(?:ya?ml|json)\n(.*?)^```", f.read(), flags=re.M | re.S)
        found = [text for text in fences if re.search(r"^apiVersion: .*projectcalico", text, flags=re.M)]
        for i, text in enumerate(found):
            yield pytest.param(text, id=f"{os.path.basename(page)}-{i}")


@pytest.mark.parametrize("text", list(examples()))
def test_an_example_of_the_documentation_that_was_applied_is_unchanged(s, text):
    first = s.apply(text).stdout.splitlines()
    equal([line.split()[-1] for line in first], ["created"] * len(first))
    again = [line.replace("created", "unchanged") for line in first]
    p = s.apply(text)
    equal((p.stdout.splitlines(), p.stderr), (again, ""))
    p = s.ctl("diff", "-f", "-", stdin=text)
    equal((p.stdout, p.stderr), ("", ""))
    for form in ("yaml", "json"):
        stored = s.ctl("get", "all", "-o", form).stdout
        equal(sorted(s.apply(stored).stdout.splitlines()), sorted(again), "a second apply of what get prints")
        equal(s.ctl("diff", "-f", "-", stdin=stored).stdout, "")


def test_there_are_examples_of_every_kind():
    kinds = {kind for p in examples() for kind in re.findall(r"^kind: (\w+)", p.values[0], flags=re.M)}
    equal(kinds, {"IPPool", "Node", "BGPConfiguration", "BGPPeer", "BGPFilter", "IPReservation",
                  "IPAMConfiguration", "Tier", "NetworkPolicy", "GlobalNetworkSet"})


def test_a_node_with_blocks_or_an_agent_is_not_deleted_as_a_document(s):
    s.apply(node("n", "192.168.0.1/24") + node("m", "192.168.0.2/24"))
    s.block("10.1.2.0/26", "n")
    p = s.ctl("delete", "node", "n", status=1)
    holds(p.stderr, "roostctl node remove n")
    equal(s.ctl("delete", "nodes", "m").stdout, "node/m deleted\n")
    equal([n["metadata"]["name"] for n in s.get("node")["items"]], ["n"])


def test_delete_by_files_and_of_what_is_not_there(s):
    text = pool("a", "10.1.0.0/16") + pool("b", "10.2.0.0/16")
    s.apply(text)
    p = s.ctl("delete", "ippool", "a", "c", status=1)
    equal(p.stderr, "roostctl: ippool/c does not exist\nroostctl: nothing was deleted\n")
    holds(s.ctl("get", "ippool", "a", "c", status=1).stdout, "10.1.0.0/16")
    equal(s.ctl("delete", "-f", s.file(text)).stdout, "ippool/a deleted\nippool/b deleted\n")
    s.ctl("delete", "ippool", "../a", status=1)


def test_many_documents_are_applied_in_order(s):
    text = "".join(pool(f"p{i:03}", f"10.{i}.0.0/16") for i in range(150))
    lines = s.apply(text).stdout.splitlines()
    equal(lines, [f"ippool/p{i:03} created" for i in range(150)])
    equal(len(s.get("ippool")["items"]), 150)
    equal(len(s.apply(text).stdout.splitlines()), 150)


def test_hostile_documents_of_the_store_are_named_and_can_be_mended(s):
    evil = {"apiVersion": "projectcalico.org/v3", "kind": "IPPool", "metadata": {"name": "evil"},
            "spec": {"cidr": "10.1.0.0/16\"; }\x1b[2J\u202e"}}
    s.put("resources/ippools/evil", evil)
    s.put("resources/ippools/nojson", "{")
    s.put("resources/ippools/other", evil)
    s.put("resources/nodes/wrong", {"kind": "Node", "spec": 5})
    s.put("resources/nonsense/a", {"x": 1})
    s.put("guard/pools", "nonsense")
    s.apply(pool("fine", "10.3.0.0/16"))
    for form in ("text", "json", "yaml"):
        p = s.ctl("get", "all", "-o", form, status=1)
        if "\x1b" in p.stdout + p.stderr or "\u202e" in p.stdout + p.stderr:
            raise Failed(f"a control character is printed:\n{p.stdout!r}\n{p.stderr!r}")
        for name in ("ippool/evil", "ippool/nojson", "ippool/other", "node/wrong"):
            holds(p.stderr, f"{name} cannot be read: ")
        holds(p.stdout, "fine")
    equal(s.apply(pool("evil", "10.1.0.0/16")).stdout, "ippool/evil configured\n")
    s.ctl("delete", "ippool", "nojson", "other")
    s.ctl("delete", "node", "wrong")
    equal([i["metadata"]["name"] for i in s.get("all")["items"]], ["evil", "fine"])


def test_a_byte_order_mark_is_passed_over(s):
    equal(s.apply("\ufeff" + pool("a", "10.7.0.0/16") + "\ufeff" + pool("b", "10.8.0.0/16")).stdout,
          "ippool/a created\nippool/b created\n")
    equal(s.apply("\ufeff# a comment\n---\n" + pool("a", "10.7.0.0/16")).stdout, "ippool/a unchanged\n")
    s.put("resources/ippools/c", "\ufeff" + pool("c", "10.9.0.0/16").split("\n")[0])
    holds(s.ctl("get", "ippool", "c").stdout, "10.9.0.0/16")


def test_a_name_that_is_not_there_is_answered_with_the_one_that_is(s):
    s.apply(pool("default", "10.9.0.0/16") + node("worker-1"))
    for words in (["get", "ippool", "defualt"], ["delete", "ippool", "defualt"]):
        holds(s.ctl(*words, status=1).stderr, "ippool/defualt does not exist: did you mean default?")
    for verb in ("show", "drain", "undrain", "remove"):
        equal(s.ctl("node", verb, "worker1", status=1).stderr,
              "roostctl: there is no node worker1: did you mean worker-1?\n")


def test_who_reaches_no_store_hears_which_one_it_was(tmp_path):
    s = Store("etcd:http://127.0.0.1:9", str(tmp_path))
    for words in (["get", "all"], ["node", "list"], ["node", "drain", "n"], ["delete", "ippool", "p"],
                  ["ipam", "show", "--cluster"], ["apply", "-f", "-"], ["diff", "-f", "-"]):
        status = 2 if words[0] == "diff" else 1  # as of diff(1), where 1 says that something differs
        said = s.ctl(*words, stdin=pool("p", "10.9.0.0/16"), status=status).stderr.splitlines()
        equal(said[:2], ["roostctl: etcd at http://127.0.0.1:9 cannot be used: Connection refused",
                         "roostctl: the store is etcd:http://127.0.0.1:9 (--store, ROOST_STORE, or \"store\" in "
                         f"{tmp_path}/roostd.json)"], words)


@pytest.fixture
def silent(tmp_path):
    """Takes connections and says nothing: the URL of an etcd, and the path of an agent's socket."""
    tcp, unix = socket.socket(), socket.socket(socket.AF_UNIX)
    tcp.bind(("127.0.0.1", 0))
    unix.bind(f"{tmp_path}/socket")
    for s in (tcp, unix):
        s.listen(64)
    yield f"etcd:http://127.0.0.1:{tcp.getsockname()[1]}", f"{tmp_path}/socket"
    tcp.close()
    unix.close()


def test_who_waits_is_told_for_what_and_for_how_long(tmp_path, silent):
    s = Store(silent[0], str(tmp_path))

    def ask(words):
        text = pool("p", "10.9.0.0/16")
        status = 2 if words[0] == "diff" else 1
        return [s.ctl(*words, "--timeout", time, stdin=text, status=status).stderr for time in ("3s", "200ms")]
    commands = [["get", "all"], ["diff", "-f", "-"], ["apply", "-f", "-"], ["delete", "ippool", "p"],
                ["ipam", "show", "--cluster"], ["conformance"], ["node", "list"],
                *(["node", verb, "n"] for verb in ("show", "drain", "undrain", "remove"))]
    with concurrent.futures.ThreadPoolExecutor(len(commands)) as threads:
        for words, (long, short) in zip(commands, threads.map(ask, commands)):
            said = long.splitlines()
            equal(said[0], f"roostctl: waiting for the store at {silent[0]}, 3 s at most (--timeout)", words)
            holds(said[1], "cannot be used: no answer within")
            equal("unknown" in long, False, f"{words}: a doubt that nothing was changed, in {long}")
            equal("waiting" in short, False, f"{words}: a word about a short wait, in {short}")


def test_so_is_who_waits_for_the_agent(tmp_path, silent):
    s = Store(silent[0], str(tmp_path))
    p = s.ctl("status", "--socket", silent[1], "--timeout", "3s", status=1)
    equal(p.stderr.splitlines(), [
        f"roostctl: waiting for the agent at {silent[1]}, 3 s at most (--timeout)",
        f"roostctl: the agent at {silent[1]} did not answer within 3000 ms"])


def test_the_agent_is_asked_at_a_given_socket_whatever_its_settings_are(tmp_path):
    s = Store(f"file:{tmp_path}/store", str(tmp_path))
    typo = tmp_path / "typo.json"
    typo.write_text('{"stroe": "file:/x"}')
    refused = s.ctl("status", "--config", str(typo), status=1).stderr
    holds(refused, "did you mean store?")
    holds(refused, "--socket PATH does without it")
    holds(s.ctl("status", "--config", str(typo), "--socket", f"{tmp_path}/none", status=1).stderr, "is roostd running?")


SECRETS = ("mesh-Secret", "peer-Secret", "other-Secret")


def bgp(password):
    return json.dumps({"apiVersion": "projectcalico.org/v3", "kind": "BGPConfiguration",
                       "metadata": {"name": "default"}, "spec": {"nodeMeshPassword": password}}) + "\n---\n"


def peer(password):
    return json.dumps({"apiVersion": "projectcalico.org/v3", "kind": "BGPPeer", "metadata": {
        "name": "p", "annotations": {"kubectl.kubernetes.io/last-applied-configuration": json.dumps(password)}},
        "spec": {"peerIP": "192.168.9.1", "asNumber": 65000, "password": password}}) + "\n---\n"


def test_passwords_are_printed_only_when_asked_for(s):
    said = []

    def ctl(*words, **more):
        p = s.ctl(*words, **more)
        said.append(f"{words}\n{p.stdout}{p.stderr}")
        return p
    ctl("apply", "-f", "-", stdin=bgp({"text": "mesh-Secret"}) + peer({"text": "peer-Secret"}))
    # What somebody wrote past roostctl: with kubectl's copy, of no form, no JSON.
    s.put("resources/bgppeers/p", {**json.loads(peer({"text": "peer-Secret"}).split("\n")[0])})
    s.put("resources/bgppeers/q", '{"kind":"BGPPeer","spec":{"password":"other-Secret"}}')
    s.put("resources/bgppeers/r", '{"spec":{"password":{"text":other-Secret}}}')
    changed = s.file(bgp({"text": "other-Secret"}) + peer({"text": "other-Secret"}))
    wrong = [s.file(peer(p)) for p in ("other-Secret", {"text": "other-Secret", "x": 1}, ["other-Secret"],
                                       {"text": "other-Secret\t"}, {"text": {"other-Secret": "x"}})]
    for form in (), ("-o", "json"), ("-o", "yaml"):
        ctl("get", "all", *form, status=1)
        ctl("get", "bgpconfiguration", "default", *form)
        ctl("get", "bgppeer", "p", *form)
    for form in (), ("-o", "json"):
        holds(ctl("diff", "-f", changed, *form, status=1).stdout, "another one")
    for file in wrong:
        ctl("apply", "-f", file, status=1)
    for text in said:
        for secret in SECRETS:
            if secret in text:
                raise Failed(f"expected no {secret} in\n{text}")
    holds(s.ctl("get", "bgppeer", "p", "-o", "yaml", "--show-secrets").stdout, "peer-Secret")
    holds(s.ctl("get", "all", "-o", "json", "--show-secrets", status=1).stdout, "mesh-Secret")
    holds(s.ctl("diff", "-f", changed, "--show-secrets", status=1).stdout, "+    text: other-Secret")


def test_a_password_that_was_not_shown_stays_as_it_is(s):
    s.apply(bgp({"text": "mesh-Secret"}) + peer({"text": "peer-Secret"}))
    text = s.ctl("get", "all", "-o", "yaml").stdout
    holds(text, "hidden: true")
    equal(s.ctl("diff", "-f", "-", stdin=text).stdout, "")
    equal({r.split()[-1] for r in s.apply(text).stdout.splitlines()}, {"unchanged"})
    s.apply(text.replace("asNumber: 65000", "asNumber: 65001"))
    doc = s.get("bgppeer", "p", "--show-secrets")
    equal((doc["spec"]["asNumber"], doc["spec"]["password"]), (65001, {"text": "peer-Secret"}))
    s.ctl("delete", "bgppeer", "p")
    p = s.ctl("apply", "-f", s.file(text), status=1)
    holds(p.stderr, "spec.password.hidden stands for the password that the store has, and it has none here")
    holds(p.stderr, "nothing was changed")


@pytest.mark.parametrize("words", [["get", "all"], ["apply", "-f", "-"]])
def test_a_password_in_the_store_s_url_is_refused_and_not_repeated(s, words):
    for url in ("etcd:http://root:hunter2@127.0.0.1:2379", "etcd://root:hunter2@127.0.0.1",
                "https://root:hunter2@127.0.0.1", "etcd:http://127.0.0.1:1,http://root:hunter2@127.0.0.1:2"):
        p = s.ctl("--store", url, *words, stdin=pool("p", "10.9.0.0/16"), status=1)
        holds(p.stderr, "127.0.0.1")
        equal("hunter2" in p.stderr, False, f"the password in {p.stderr}")


@pytest.mark.parametrize("words", [
    "get all", "get ippools -o json", "diff -f -", "delete ippool a", "delete -f -", "node list",
    "node show n", "ipam show --cluster", "node drain n", "node remove n --force"])
def test_a_mistyped_store_is_named_and_not_made(s, words):
    where = f"{s.folder}/typo/store"
    p = s.ctl("--store", f"file:{where}", *words.split(), stdin=pool("a", "10.1.0.0/16"),
              status=2 if words.startswith("diff") else 1)
    holds(p.stderr, f"there is no store in {where}: ")
    if os.path.exists(f"{s.folder}/typo"):
        raise Failed(f"{words} makes the folder")


def test_apply_says_that_it_makes_a_store(s):
    url = f"file:{s.folder}/first/store"
    words = ("--store", url, "apply", "-f", "-")
    p = s.ctl(*words, stdin=pool("a", "10.1.0.0/16"))
    equal(p.stdout, "ippool/a created\n")
    equal(p.stderr, f"roostctl: there was no store at {url}: it was made\n")
    equal(s.ctl(*words, stdin=pool("a", "10.1.0.0/16")).stderr, "")


@pytest.mark.parametrize("size", [0, 1, 4096, 8192, 12288])
def test_a_store_that_was_cut_is_named_and_kept(s, size):
    where = f"{s.folder}/cut"
    words = ("--store", f"file:{where}")
    s.ctl(*words, "apply", "-f", "-", stdin=pool("a", "10.1.0.0/16"))
    os.truncate(f"{where}/store.mdb", size)
    for command in (("get", "all"), ("apply", "-f", "-")):
        p = s.ctl(*words, *command, stdin=pool("b", "10.2.0.0/16"), status=1)
        holds(p.stderr, f"the store in {where} is damaged: ")
        equal(os.stat(f"{where}/store.mdb").st_size, size)


def test_a_store_that_cannot_be_used_is_named(s):
    for url in ("nothing:", "etcd:", "file:", "etcd:ftp://x"):
        p = s.ctl("--store", url, "get", "all", status=1)
        holds(p.stderr, "roostctl: ")
    if s.url.startswith("etcd:"):
        with socket.socket() as gone:
            gone.bind(("127.0.0.1", 0))
            url = f"etcd:http://127.0.0.1:{gone.getsockname()[1]}"
            holds(s.ctl("--store", url, "get", "all", status=1).stderr, "roostctl: ")


POLICIES = """apiVersion: projectcalico.org/v3
kind: NetworkPolicy
metadata: {name: web, namespace: shop}
spec:
  selector: app == 'web'
  ingress: [{action: Allow, protocol: TCP, destination: {ports: [80]}}]
---
apiVersion: projectcalico.org/v3
kind: GlobalNetworkSet
metadata: {name: offices, labels: {who: us}}
spec: {nets: [192.0.2.0/24]}
---
apiVersion: projectcalico.org/v3
kind: Tier
metadata: {name: security}
spec: {order: 100}
"""


def test_policies_are_named_by_their_namespace_and_refused_when_they_would_not_be_enforced(s):
    s.apply(POLICIES)
    holds(s.apply(POLICIES).stdout, "networkpolicy/shop.web unchanged")
    doc = json.loads(s.ctl("get", "networkpolicies", "shop.web", "-o", "json").stdout)
    equal((doc["metadata"]["namespace"], doc["metadata"]["name"]), ("shop", "web"), "its place")
    holds(s.ctl("get", "networkpolicies").stdout, "shop.web")
    wrong = POLICIES.replace("destination: {ports: [80]}", "source: {services: {name: s}}")
    said = s.apply(wrong, status=1).stderr
    holds(said, "spec.ingress[0].source: services is not served by roost")
    holds(said, "nothing was changed")
    changed = POLICIES.replace("ports: [80]", "ports: [81]")
    holds(s.ctl("diff", "-f", "-", stdin=changed, status=1).stdout, "81")
    s.ctl("delete", "networkpolicy", "shop.web")
    holds(s.ctl("delete", "networkpolicy", "shop.web", status=1).stderr, "networkpolicy/shop.web does not exist")
    s.ctl("delete", "tier", "security")
