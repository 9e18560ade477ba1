#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""
roostctl against the real kernel: pods are started through the CNI executables in a network
namespace of this test's own, then every command is asked, and links, routes and records are taken away to
see whether `ipam check` notices and mends it.

The test enters its own network and mount namespace first (/run is a fresh tmpfs there), so
nothing of the host is touched and nothing is left. ROOST_BIN: folder of the executables.
"""

import atexit
import fcntl
import json
import os
import pty
import re
import shutil
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
BIN = os.path.abspath(os.environ.get("ROOST_BIN", f"{HERE}/../../build/release/bin"))
POOL4, POOL6 = "10.77.0.0/16", "fd77::/64"
EVIL = "evil\x1b[2J\x7f\u009b\u202epod"

passed, failed = 0, 0


def check(what, fine, *seen):
    """One line of the result; what was seen only when it is wrong."""
    global passed, failed
    if fine:
        passed += 1
        print(f"ok    {what}")
        return
    failed += 1
    print(f"FAIL  {what}")
    for s in seen:
        print("      " + str(s).rstrip().replace("\n", "\n      "))


def enter_namespaces():
    if os.environ.get("CTL_TEST_INSIDE"):
        return
    os.environ["CTL_TEST_INSIDE"] = "1"
    os.execvp("unshare", ["unshare", "--net", "--mount", "--propagation", "private",
                          sys.executable, os.path.abspath(__file__)] + sys.argv[1:])


def run(*words, env=None, stdin=None):
    return subprocess.run(words, env=env, input=stdin, capture_output=True, text=True,
                          errors="surrogateescape", timeout=60)


def ip(*words):
    p = run("ip", *words)
    if p.returncode:
        sys.exit(f"ip {' '.join(words)}: {p.stderr}")
    return p.stdout


class Node:
    """A state folder, and the pods that were started on it."""

    def __init__(self, name, pools):
        self.dir = tempfile.mkdtemp(prefix=f"ctl-{name}-")
        atexit.register(shutil.rmtree, self.dir, ignore_errors=True)
        self.state = f"{self.dir}/state"
        self.conf = {"cniVersion": "1.1.0", "name": "lan", "type": "roost",
                     "stateDir": self.state,
                     "ipam": {"type": "roost-ipam", "pools": pools}}

    def cni(self, command, pod, plugin="roost", pod_name=None):
        env = {"PATH": os.environ["PATH"], "CNI_COMMAND": command, "CNI_CONTAINERID": pod,
               "CNI_NETNS": f"/run/netns/{pod}", "CNI_IFNAME": "eth0", "CNI_PATH": BIN}
        if pod_name:
            env["CNI_ARGS"] = f"IgnoreUnknown=1;K8S_POD_NAMESPACE=default;K8S_POD_NAME={pod_name}"
        p = run(f"{BIN}/{plugin}", env=env, stdin=json.dumps(self.conf))
        if p.returncode:
            check(f"{plugin} {command} {pod} succeeds", False, p.stdout, p.stderr)
            return {}
        return json.loads(p.stdout) if p.stdout.strip() else {}

    def add(self, pod, **more):
        """Starts a pod; its addresses."""
        ip("netns", "add", pod)
        result = self.cni("ADD", pod, **more)
        return [i["address"].split("/")[0] for i in result.get("ips", [])]

    def remove(self, pod, **more):
        self.cni("DEL", pod, **more)
        ip("netns", "del", pod)

    def ctl(self, *words, env=None):
        return run(f"{BIN}/roostctl", "--state-dir", self.state, *words,
                   env={**os.environ, **(env or {})})

    def json(self, *words):
        p = self.ctl("-o", "json", *words)
        try:
            return json.loads(p.stdout)
        except ValueError:
            check(f"{' '.join(words)} prints JSON", False, p.stdout, p.stderr)
            return None

    def entry(self, address):
        found = [e for e in self.json("ipam", "list") if e["address"] == address]
        return found[0] if found else {"state": "free"}

    def link(self, address):
        """The host interface that leads to an address."""
        words = ip("-6" if ":" in address else "-4", "route", "show", address).split()
        return words[words.index("dev") + 1] if "dev" in words else ""

    def problems(self, *words):
        p = self.ctl("ipam", "check", "-o", "json", *words)
        if not p.stdout:
            check(f"check {' '.join(words)} prints JSON", False, p.stderr)
            return p.returncode, []
        return p.returncode, json.loads(p.stdout)["problems"]

    def expect_problem(self, what, kind, obj, mends=True):
        """Exactly this one is found, told in text, and mended by --repair (or not)."""
        status, found = self.problems()
        seen = [(p["kind"], p["object"], p["repaired"]) for p in found]
        check(f"{what}: found", status == 1 and seen == [(kind, obj, False)],
              status, json.dumps(found, indent=1))
        p = self.ctl("ipam", "check")
        check(f"{what}: told in a line", p.returncode == 1 and p.stderr == "" and
              p.stdout.startswith(f"{kind:<8} {obj}: expected: ") and "1 problem" in p.stdout,
              p.stdout, p.stderr)
        status, found = self.problems("--repair")
        seen = [(p["kind"], p["object"], p["repaired"]) for p in found]
        if mends:
            check(f"{what}: repaired", status == 0 and all(r for _, _, r in seen) and
                  (kind, obj, True) in seen, status, json.dumps(found, indent=1))
            self.expect_peace(f"{what}: right afterwards")
        else:
            check(f"{what}: not repaired", status == 1 and seen == [(kind, obj, False)],
                  status, json.dumps(found, indent=1))

    def expect_peace(self, what):
        status, found = self.problems()
        check(what, status == 0 and found == [], status, json.dumps(found, indent=1))


def on_terminal(*words, env=None):
    """What a command writes to a terminal."""
    pid, fd = pty.fork()
    if pid == 0:
        os.execvpe(words[0], words, {**os.environ, "TERM": "xterm", **(env or {})})
    out = b""
    while True:
        try:
            part = os.read(fd, 65536)
        except OSError:
            break
        if not part:
            break
        out += part
    os.waitpid(pid, 0)
    return out.decode(errors="replace")


def is_clean(text):
    return not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e]", text)


def test_usage():
    for words, status in [
            ([], 2), (["ipam"], 2), (["ipam", "shwo"], 2), (["nope", "list"], 2),
            (["ipam", "list", "--nope"], 2), (["ipam", "list", "--ip", "10.0.0.1"], 2),
            (["ipam", "list", "extra"], 2), (["-o", "yaml", "ipam", "list"], 2),
            (["ipam", "release"], 2), (["ipam", "release", "--idle-blocks", "10.0.0.1"], 2),
            (["ipam", "release", "bogus"], 2), (["ipam", "show", "--ip", "10.0.0"], 2),
            (["ipam", "check", "--rep"], 2)]:
        p = run(f"{BIN}/roostctl", *words)
        check(f"usage: {' '.join(words) or 'nothing'}: exit 2, a sentence on stderr, no stdout",
              p.returncode == status and p.stdout == "" and p.stderr.startswith("roostctl: "),
              p.returncode, p.stdout, p.stderr)
    for words in [["--help"], ["ipam", "--help"]] + [
            ["ipam", v, "--help"] for v in ("show", "list", "map", "check", "release")]:
        p = run(f"{BIN}/roostctl", *words)
        check(f"{' '.join(words)}: help on stdout",
              p.returncode == 0 and p.stdout.startswith("usage: roostctl") and p.stderr == "",
              p.returncode, p.stdout, p.stderr)
    p = run(f"{BIN}/roostctl", "--version")
    check("--version", p.returncode == 0 and re.match(r"roostctl \d+\.\d+\.\d+\n$", p.stdout),
          p.stdout)


def test_no_state():
    n = Node("none", [])
    empty = {"show": {"pools": []}, "list": [], "map": {"blocks": []},
             "check": {"ok": True, "problems": []},
             "release": {"released": [], "blocks": [], "tableRemoved": False}}
    for verb, document in empty.items():
        more = ["--idle-blocks"] if verb == "release" else []
        p = n.ctl("ipam", verb, *more)
        check(f"no state: {verb} says so and prints nothing", p.returncode == 0 and
              p.stdout == "" and p.stderr ==
              f"roostctl: no state of this boot in {n.state}: no pod has been started "
              "with this state folder (--state-dir)\n",
              p.returncode, p.stdout, p.stderr)
        check(f"no state: {verb} as JSON is empty", n.json("ipam", verb, *more) == document)
    check("no state: nothing was made", not os.path.exists(n.state), os.listdir(n.dir))
    env = {**os.environ, "ROOST_STATE_DIR": n.state}
    p = run(f"{BIN}/roostctl", "ipam", "list", env=env)
    check("ROOST_STATE_DIR names the folder", n.state in p.stderr, p.stderr)


def test_list(n, web, evil, other):
    p = n.ctl("ipam", "list")
    lines = p.stdout.splitlines()
    check("list: titles", lines[0].split() ==
          "ADDRESS STATE SINCE NETWORK POD CONTAINER INTERFACE".split(), p.stdout)
    check("list: six addresses, sorted", len(lines) == 7 and lines[1].startswith("10.77.") and
          lines[-1].startswith("fd77:"), p.stdout)
    check("list: nothing that a terminal obeys", is_clean(p.stdout), repr(p.stdout))
    check("list: container ids are cut", "container-of-web" not in p.stdout, p.stdout)
    p = n.ctl("ipam", "list", "--wide")
    check("list --wide: whole container ids", "container-of-web" in p.stdout, p.stdout)
    e = n.entry(web[0])
    check("list: JSON has exactly the promised keys", set(e) == {
        "address", "network", "containerID", "interface", "podNamespace", "podName", "state",
        "since"}, e)
    check("list: JSON values", e["network"] == "lan" and e["containerID"] == "container-of-web" and
          e["interface"] == "eth0" and e["podNamespace"] == "default" and e["podName"] == "web" and
          e["state"] == "used" and re.match(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$", e["since"]), e)
    p = n.ctl("ipam", "list", "-o", "json")
    check("list: JSON is clean ASCII", is_clean(p.stdout) and p.stdout.isascii(), repr(p.stdout))
    check("list: pods of other plugins are there", n.entry(other)["containerID"] == "pod-other")
    check("list: the evil name is in the JSON", "evil" in n.entry(evil[0])["podName"])


def test_show(n, web, evil):
    pools = n.json("ipam", "show")["pools"]
    check("show: pools", [(p["cidr"], p["blockSize"], p["cooldownSeconds"]) for p in pools] ==
          [(POOL4, 28, 60), (POOL6, 122, 60)], pools)
    check("show: counts", pools[0]["used"] == 3 and pools[0]["size"] == 65536 and
          pools[0]["blocks"][0]["used"] == 3 and pools[0]["blocks"][0]["free"] == 13 and
          pools[1]["used"] == 3, pools)
    p = n.ctl("ipam", "show")
    check("show: a pool line and its block lines", p.returncode == 0 and
          re.search(r"^10\.77\.0\.0/16 +1 of 4096 /28 +65536 +3 ", p.stdout, re.M) and
          re.search(r"^  10\.77\.\d+\.\d+/28 +16 +3 +0 +0 +0 +13 +18\.8%$", p.stdout, re.M),
          p.stdout)
    p = n.ctl("ipam", "show", "--ip", web[0])
    check("show --ip: who has it", p.returncode == 0 and "default/web" in p.stdout and
          "container-of-web" in p.stdout and n.link(web[0]) in p.stdout, p.stdout)
    check("show --ip: JSON", n.json("ipam", "show", "--ip", web[0])["hostInterface"] ==
          n.link(web[0]))
    p = n.ctl("ipam", "show", "--ip", evil[0])
    check("show --ip: clean", is_clean(p.stdout) and "evil?[2J" in p.stdout, repr(p.stdout))
    block = pools[0]["blocks"][0]["cidr"]
    p = n.ctl("ipam", "show", "--ip", block.split("/")[0].rsplit(".", 1)[0] + "." +
              str(int(block.split("/")[0].rsplit(".", 1)[1]) + 15))
    check("show --ip: a free one says so", p.returncode == 0 and "is free (block" in p.stdout,
          p.stdout, p.stderr)
    for outside, words in [("192.0.2.1", "in no pool"), ("fd77::ffff:1", "in no block")]:
        p = n.ctl("ipam", "show", "--ip", outside)
        check(f"show --ip: {outside} is {words}", p.returncode == 1 and p.stdout == "" and
              words in p.stderr, p.stdout, p.stderr)


def test_map(n):
    p = n.ctl("ipam", "map")
    check("map: a block a line", re.search(
        r"^10\.77\.\d+\.\d+/28 +[.#]{16} +3 used, 13 free$", p.stdout, re.M) and
        p.stdout.count("#") == 7, p.stdout)
    check("map: plain when piped, with a legend", "\x1b" not in p.stdout and
          "# used   ~ cooling down" in p.stdout, p.stdout)
    words = [f"{BIN}/roostctl", "--state-dir", n.state, "ipam", "map"]
    env = {"NO_COLOR": ""}
    check("map: colours on a terminal", "\x1b[1;32m#" in on_terminal(*words, env=env))
    check("map: NO_COLOR", "\x1b" not in on_terminal(*words, env={"NO_COLOR": "1"}))
    check("map: --color=never", "\x1b" not in on_terminal(*words, "--color=never", env=env))
    check("map: no colours on a dumb terminal",
          "\x1b" not in on_terminal(*words, env={"NO_COLOR": "", "TERM": "dumb"}))
    p = n.ctl("ipam", "map", "--color=always", env={"NO_COLOR": "1"})
    check("map: --color=always decides", "\x1b[1;32m#" in p.stdout)
    blocks = n.json("ipam", "map")["blocks"]
    check("map: JSON", [len(b["addresses"]) for b in blocks] == [3, 3] and
          blocks[0]["addresses"][0]["state"] == "used", blocks)


def test_check(n, web):
    n.expect_peace("check: a healthy node is right")
    p = n.ctl("ipam", "check")
    check("check: says what it looked at", p.returncode == 0 and
          p.stdout == "all is right (6 addresses in use, 2 blocks, 3 host links)\n", p.stdout)
    link = n.link(web[0])
    ip("route", "del", web[0])
    n.expect_problem("a host route is gone", "missing", web[0])
    ip("-6", "route", "del", web[1])
    n.expect_problem("an IPv6 host route is gone", "missing", web[1])
    block = n.json("ipam", "map")["blocks"][0]["cidr"]
    ip("route", "del", "blackhole", block)
    n.expect_problem("a blackhole is gone", "missing", block)
    ip("route", "add", "blackhole", "10.77.200.0/28", "proto", "82")
    n.expect_problem("a blackhole for no block of ours", "foreign", "10.77.200.0/28")
    ip("route", "add", "blackhole", "10.99.0.0/28", "proto", "82")
    n.expect_problem("a blackhole in no pool", "foreign", "10.99.0.0/28", mends=False)
    ip("route", "del", "blackhole", "10.99.0.0/28")
    ip("-6", "address", "flush", "dev", link)
    n.expect_problem("the IPv6 gateway of a pod is gone", "missing", web[1])
    ip("link", "set", link, "down")
    status, found = n.problems("--repair")
    check("a link that is down is set up again", status == 0 and len(found) == 2 and
          n.link(web[0]) == link, found)
    p = run("ip", "netns", "exec", "container-of-web", "ping", "-c1", "-W2", "10.255.0.1")
    check("the repaired pod reaches the host", p.returncode == 0, p.stdout, p.stderr)
    p = run("ip", "netns", "exec", "container-of-web", "ping", "-6", "-c1", "-W2", "fd55::1")
    check("the repaired pod reaches the host over IPv6", p.returncode == 0, p.stdout, p.stderr)


def test_check_foreign(n, web):
    free = n.json("ipam", "map")["blocks"][0]["cidr"].split("/")[0]
    free = free.rsplit(".", 1)[0] + "." + str(int(free.rsplit(".", 1)[1]) + 14)
    ip("route", "add", free, "dev", "up0", "proto", "82")
    n.expect_problem("a route of ours through a strange device", "foreign", f"{free}/32")
    ip("address", "add", f"{free}/32", "dev", "up0")
    n.expect_problem("an address of a block on the host", "foreign", free, mends=False)
    ip("address", "del", f"{free}/32", "dev", "up0")
    ip("route", "add", free, "dev", n.link(web[0]), "proto", "82")
    n.expect_problem("a second address led to a pod", "foreign", free, mends=False)
    ip("route", "del", free)


def test_lost_records(n):
    gone = n.add("pod-gone", pod_name="gone")
    ip("link", "del", n.link(gone[0]))
    status, found = n.problems()
    check("a link was deleted: both addresses are leaked", status == 1 and
          [(p["kind"], p["object"]) for p in found] == [("leaked", a) for a in gone], found)
    p = n.ctl("ipam", "show", "--ip", gone[0])
    check("show --ip: says that it is leaked", "leaked" in p.stdout, p.stdout)
    status, found = n.problems("--repair")
    check("leaked addresses are released", status == 0 and [p["repaired"] for p in found] ==
          [True, True] and n.entry(gone[0])["state"] == "cooling", status, found)
    p = n.ctl("ipam", "show", "--ip", gone[0])
    check("show --ip: a cooling one names its last pod", "cooling: released, free again in" in
          p.stdout and re.search(r"^last pod +default/gone$", p.stdout, re.M), p.stdout)
    check("map: cooling addresses", "~" in n.ctl("ipam", "map").stdout)
    n.remove("pod-gone")

    alive = n.add("pod-alive", pod_name="alive")
    n.cni("DEL", "pod-alive", plugin="roost-ipam")
    check("(the record of a living pod was taken away)", n.entry(alive[0])["state"] == "cooling")
    status, found = n.problems()
    check("a living link without record is found", status == 1 and
          [(p["kind"], p["object"]) for p in found] == [("missing", a) for a in alive], found)
    status, found = n.problems("--repair")
    e = n.entry(alive[0])
    check("it is entered again, with its pod", status == 0 and e["state"] == "used" and
          e["podName"] == "alive" and e["containerID"] == "pod-alive" and
          n.entry(alive[1])["state"] == "used" and n.link(alive[0]), status, found, e)
    n.expect_peace("and right afterwards")
    n.remove("pod-alive")
    check("DEL finds the record that was entered again",
          n.entry(alive[0])["state"] == "cooling" and not n.link(alive[0]))


def test_dead_ends(n):
    bare = n.add("pod-bare")
    link = n.link(bare[0])
    n.cni("DEL", "pod-bare", plugin="roost-ipam")
    ip("route", "del", bare[0])
    ip("-6", "route", "del", bare[1])
    n.expect_problem("a link with neither record nor route", "missing", link)
    n.remove("pod-bare")
    gone = n.add("pod-gone2")
    ip("link", "del", n.link(gone[0]))
    p = n.ctl("ipam", "release", *gone)
    check("release: leaked addresses need no force", p.returncode == 0 and
          p.stdout.count("released, was used by container pod-gone2") == 2, p.stdout, p.stderr)
    n.remove("pod-gone2")


def test_folders(n):
    """Two state folders of one host, and one that was lost."""
    p = Node("empty", []).ctl("ipam", "check")
    check("check: links of another folder are explained", p.returncode == 0 and
          p.stderr.count("\n") == 1, p.returncode, p.stderr)
    lost = Node("lost", [{"cidr": "10.79.0.0/24"}])
    lost.conf["name"] = "lost"
    address = lost.add("pod-lost", pod_name="lost")
    shutil.rmtree(lost.state)
    p = lost.ctl("ipam", "check")
    check("check: links without a state are remarked", p.returncode == 1 and p.stdout == "" and
          "1 host link of roost: is this the right folder?" in p.stderr, p.stdout, p.stderr)
    p = lost.ctl("ipam", "check", "--repair")
    check("check --repair: without a state nothing is touched", p.returncode == 1 and
          lost.link(address[0]) != "" and not os.path.exists(lost.state), p.stdout, p.stderr)
    n.expect_problem("the blackhole of a lost folder", "foreign", "10.79.0.0/26", mends=False)
    lost.remove("pod-lost")
    run("ip", "route", "del", "blackhole", "10.79.0.0/26")
    lost.ctl("ipam", "release", "--idle-blocks")


def test_release(n, web, other):
    p = n.ctl("ipam", "release", web[0])
    check("release: a living pod is refused, and named", p.returncode == 1 and p.stdout == "" and
          "default/web" in p.stderr and n.link(web[0]) in p.stderr and "--force" in p.stderr,
          p.stdout, p.stderr)
    p = n.ctl("ipam", "release", other, web[0])
    check("release: one refused, nothing released", p.returncode == 1 and
          n.entry(other)["state"] == "used", p.stdout, p.stderr)
    p = n.ctl("ipam", "release", "192.0.2.1")
    check("release: an address of nobody is refused", p.returncode == 1 and
          "in no block" in p.stderr, p.stdout, p.stderr)
    p = n.ctl("ipam", "release", other)
    check("release: another plugin's address", p.returncode == 0 and
          p.stdout.startswith(f"{other}: released, was used by container pod-other") and
          n.entry(other)["state"] == "cooling", p.stdout, p.stderr)
    p = n.ctl("ipam", "release", other)
    check("release: twice is fine", p.returncode == 0 and "nothing to release" in p.stderr,
          p.stdout, p.stderr)
    link = n.link(web[0])
    p = n.ctl("ipam", "release", "--force", "-o", "json", web[0])
    done = json.loads(p.stdout or "{}").get("released", [])
    check("release --force: cuts the pod off, with all its addresses", p.returncode == 0 and
          sorted(d["address"] for d in done) == sorted(web) and
          all(d["linkDeleted"] == link for d in done) and not n.link(web[0]), p.stdout, p.stderr)
    n.expect_peace("release --force: right afterwards")


def test_damage(n):
    pod = n.add("pod-damage", pod_name="damage")
    state = [f for f in os.listdir(n.state) if f.endswith(".mdb")][0]
    with open(f"{n.state}/{state}", "r+b") as f:
        f.write(b"\xff" * 64)
    for verb in ("list", "show", "map", "check"):
        p = n.ctl("ipam", verb)
        check(f"damaged state: {verb} says so", p.returncode == 1 and p.stdout == "" and
              p.stderr.startswith("roostctl: ") and "damaged" in p.stderr, p.returncode,
              p.stdout, p.stderr)
    p = n.ctl("ipam", "check", "--repair")
    check("damaged state: --repair sets it aside", p.returncode == 0 and "set aside as" in
          p.stderr, p.returncode, p.stdout, p.stderr)
    e = n.entry(pod[0])
    check("damaged state: the living pod is adopted", e["state"] == "used" and
          e["podName"] == "damage", e)
    blocks = n.json("ipam", "map")["blocks"]
    check("damaged state: the rest of its blocks is quarantined",
          blocks and blocks[0]["quarantined"] == 15, blocks)
    p = n.ctl("ipam", "map")
    check("damaged state: the map shows it", p.stdout.count("#") >= 2 and
          p.stdout.split("\n")[0].count("?") == 15, p.stdout)
    p = n.ctl("ipam", "show")
    check("damaged state: show has the block", blocks and blocks[0]["cidr"] in p.stdout, p.stdout)
    quarantined = next(i for i in range(16) if blocks and n.json(
        "ipam", "show", "--ip", nth(blocks[0]["cidr"], i))["state"] == "quarantined")
    address = nth(blocks[0]["cidr"], quarantined)
    p = n.ctl("ipam", "release", address)
    check("release: a quarantined address", p.returncode == 0 and
          p.stdout == f"{address}: released, was quarantined\n", p.stdout, p.stderr)
    n.remove("pod-damage")


def nth(cidr, i):
    head, last = cidr.split("/")[0].rsplit(".", 1)
    return f"{head}.{int(last) + i}"


def test_idle_blocks(n, other):
    n.ctl("ipam", "release", other[1])
    p = n.ctl("ipam", "release", "--idle-blocks")
    check("release --idle-blocks: used blocks are kept", p.returncode == 0 and
          "kept, 1 used" in p.stdout, p.stdout, p.stderr)
    n.remove("pod-evil")
    p = n.ctl("ipam", "release", "--idle-blocks")
    check("release --idle-blocks: cooling counts as idle", p.returncode == 0 and
          p.stdout.count("given up, its blackhole route removed") == 2, p.stdout, p.stderr)
    check("release --idle-blocks: the table goes with the last block",
          "nf_tables table inet roost: removed" in p.stdout, p.stdout)
    routes = ip("-4", "route", "show", "proto", "82") + ip("-6", "route", "show", "proto", "82")
    check("release --idle-blocks: no route of ours is left", routes == "", routes)
    check("release --idle-blocks: no block is left", n.json("ipam", "map") == {"blocks": []})
    p = n.ctl("ipam", "release", "--idle-blocks")
    check("release --idle-blocks: twice is fine", p.returncode == 0 and "no blocks" in p.stderr,
          p.stdout, p.stderr)
    n.expect_peace("release --idle-blocks: right afterwards")


def test_huge():
    n = Node("huge", [{"cidr": "fd88::/48", "blockSize": 64}])
    n.conf["name"] = "huge"
    address = n.add("pod-huge")
    blocks = n.json("ipam", "show")["pools"][0]["blocks"]
    check("a block of 2^64 addresses: saturated JSON", blocks[0]["size"] == 2 ** 63 - 1, blocks)
    p = n.ctl("ipam", "show")
    check("a block of 2^64 addresses: readable sizes", re.search(
        r"^fd88::/48 +1 of 65536 /64 +2\^80 ", p.stdout, re.M) and "2^64" in p.stdout, p.stdout)
    p = n.ctl("ipam", "map")
    check("a block of 2^64 addresses: one row", p.stdout.count("\n") == 5 and
          "#" in p.stdout.split("\n")[1], p.stdout)
    n.expect_peace("a block of 2^64 addresses: right")
    check("(huge pod has an address)", len(address) == 1)
    n.remove("pod-huge")
    n.ctl("ipam", "release", "--idle-blocks")


def start_waiting():
    """A command that waits for a lock held by us; it must give up by itself."""
    n = Node("locked", [{"cidr": "10.78.0.0/24"}])
    n.conf["name"] = "locked"
    n.add("pod-locked")
    lock = open(f"{n.state}/lock", "r+b")
    fcntl.flock(lock, fcntl.LOCK_EX)
    p = subprocess.Popen([f"{BIN}/roostctl", "--state-dir", n.state, "ipam", "list", "-o", "json"],
                         stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    return n, lock, p


def finish_waiting(n, lock, p):
    try:
        out, err = p.communicate(timeout=30)
    except subprocess.TimeoutExpired:
        p.kill()
        out, err = p.communicate()
    check("a held lock ends in a sentence", p.returncode == 1 and out == "" and
          "holds its lock" in err, p.returncode, out, err)
    lock.close()
    n.remove("pod-locked")
    n.ctl("ipam", "release", "--idle-blocks")


def test_output(n):
    with open("/dev/full", "w") as full:
        p = subprocess.run([f"{BIN}/roostctl", "--state-dir", n.state, "ipam", "list"],
                           stdout=full, stderr=subprocess.PIPE, text=True)
    check("a full disk is an error", p.returncode == 1 and "stdout" in p.stderr, p.stderr)


def main():
    enter_namespaces()
    if not os.access(f"{BIN}/roostctl", os.X_OK):
        sys.exit(f"no roostctl in {BIN}: build first")
    subprocess.run(["mount", "-t", "tmpfs", "none", "/run"], check=True)
    ip("link", "set", "lo", "up")
    ip("link", "add", "up0", "type", "veth", "peer", "name", "up1")
    ip("link", "set", "up1", "up")
    ip("link", "set", "up0", "up")
    ip("address", "add", "10.255.0.1/24", "dev", "up0")
    ip("address", "add", "fd55::1/64", "dev", "up0", "nodad")
    ip("route", "add", "default", "via", "10.255.0.254")

    test_usage()
    test_no_state()
    waiting = start_waiting()
    n = Node("main", [{"cidr": POOL4, "blockSize": 28}, {"cidr": POOL6}])
    web = n.add("container-of-web", pod_name="web")
    evil = n.add("pod-evil", pod_name=EVIL)
    other = n.add("pod-other", plugin="roost-ipam")
    check("(three pods have two addresses each)", [len(a) for a in (web, evil, other)] ==
          [2, 2, 2], web, evil, other)
    test_list(n, web, evil, other[0])
    test_show(n, web, evil)
    test_map(n)
    test_check(n, web)
    test_check_foreign(n, web)
    test_lost_records(n)
    test_dead_ends(n)
    test_folders(n)
    test_release(n, web, other[0])
    test_output(n)
    finish_waiting(*waiting)
    test_idle_blocks(n, other)
    test_damage(n)
    test_huge()
    print(f"{passed} passed, {failed} failed")
    sys.exit(1 if failed else 0)


main()
