# SPDX-License-Identifier: Apache-2.0
"""roostctl node purge: a node is afterwards as it was before roost came, link by link and file by file."""
import json
import os
import pathlib
import subprocess

import pytest

from lab import BIN, Cluster, HANG_S, PROGRAMS, Process, equal, inside, step, true, until

pytestmark = pytest.mark.needs(*PROGRAMS)

CONFLIST = json.dumps({"cniVersion": "1.0.0", "name": "roost", "plugins": [{"type": "roost"}]})


class Machine:
    """What a node of the laboratory has besides: a runtime's folders, below a root as a pod sees them."""

    def __init__(self, node):
        self.node, self.root = node, pathlib.Path(node.dir, "host")
        self.net_d, self.bin = self.root / "etc/cni/net.d", self.root / "opt/cni/bin"
        for folder in (self.net_d, self.bin, self.root / "run", self.root / "var/lib"):
            folder.mkdir(parents=True)
        (self.root / "run/lab").symlink_to("/run/lab")  # where the laboratory has the node's own folders
        (self.bin / "bridge").write_text("somebody else's")
        self.before = self.looks()

    def install(self):
        """As the init container and roostd do it."""
        node = self.node
        for name in ("roost", "roost-ipam"):
            (self.bin / name).write_bytes(pathlib.Path(BIN, name).read_bytes())
        (self.root / "run/roost/hosts").mkdir(parents=True)
        (self.root / "run/roost/hosts/block").symlink_to("/nowhere")
        (self.root / "var/lib/roost").mkdir()
        (self.root / "var/lib/roost/blocks.json").write_text("{}")
        template = pathlib.Path(node.dir, "template")
        template.write_text(CONFLIST)
        node.configure(conflist={"file": f"{self.net_d}/10-roost.conflist", "template": str(template)})

    def looks(self):
        """Everything that a purge is about: what is not the same afterwards is a fault."""
        ask = self.node.ns.ask
        links = {l["ifname"]: (l.get("ifalias"), "UP" in l["flags"], sorted(a["local"] for a in l["addr_info"] if a["scope"] == "global"))
                 for l in ask("addr show")}
        routes = sorted(json.dumps(r, sort_keys=True) for f in (4, 6) for r in ask(f"-{f} route show table all")
                        if r.get("protocol") in ("roost", "82", "bird"))
        rules = sorted(json.dumps(r, sort_keys=True) for f in (4, 6) for r in ask(f"-{f} rule show"))
        tables = sorted(self.node.run("nft", "list", "tables").splitlines())
        files = sorted(str(p.relative_to(self.root)) for p in self.root.rglob("*"))
        return {"links": links, "routes": routes, "rules": rules, "tables": tables, "files": files}

    def words(self, *options):
        """The command, with settings as the node's are, seen from its root."""
        settings = dict(self.node.settings, conflist={"file": "/etc/cni/net.d/10-roost.conflist"})
        conf = pathlib.Path(self.node.dir, "purge.json")
        conf.write_text(json.dumps(settings))
        return [f"{BIN}/roostctl", "--config", str(conf), "node", "purge", "--root", str(self.root), *options]

    def purge(self, *options, ok=True):
        with inside(self.node.path):
            done = subprocess.run(self.words(*options), capture_output=True, text=True, timeout=HANG_S)
        if ok:
            true(done.returncode == 0, "purge to succeed", done.stdout + done.stderr)
        return done

    def daemon(self):
        return Process("purge", self.node.ns, f"{self.node.dir}/purge.log", self.words("--stay")).start()


def stop(node):
    node.agent.stop()
    node.bird.stop(status=None)


def leftovers(machine):
    now = machine.looks()
    return {k: (machine.before[k], now[k]) for k in now if now[k] != machine.before[k]}


@pytest.mark.parametrize("encap", ["vxlan", "none"])
def test_a_node_is_as_it_was_before(encap):
    with Cluster(nodes=2, encap=encap, nat=True, start=False) as c:
        node = c.nodes[0]
        machine = Machine(node)
        machine.install()
        c.store.start()
        c.apply(*c.manifest())
        for n in c.nodes:
            n.start()
        c.started()
        node.ns.ip("route add 198.51.100.0/24 dev eth0 proto bird metric 7",  # of somebody's own BIRD
                   "rule add from 198.51.100.0/24 lookup main priority 77")
        machine.before["routes"] = [r for r in machine.looks()["routes"] if "198.51.100.0" in r]
        machine.before["rules"] = machine.looks()["rules"]
        until((machine.net_d / "10-roost.conflist").exists, "the network configuration")

        step("it refuses while somebody works with it")
        for end, words in ((node.agent.stop, "roostd still runs"), (lambda: node.bird.stop(status=None), "BIRD still runs"),
                           (lambda: None, "1 pod of roost still runs on this machine: lab/pod")):
            full = machine.looks()
            done = machine.purge(ok=False)
            true(done.returncode == 1 and words in done.stderr, f"{words!r} to be said", done.stdout + done.stderr)
            equal(machine.looks(), full, "everything after a refusal:")
            end()
        node.del_pod(next(iter(node.pods.values())))

        step("a dry run names all, and touches nothing")
        full = machine.looks()
        done = machine.purge("--dry-run", ok=False)
        equal(done.returncode, 1, "there is something:")
        for words in ("10-roost.conflist", "/opt/cni/bin/roost-ipam", "nf_tables table inet roost-nat", "protocol roost",
                      "protocol bird", "folder /run/roost", "folder /var/lib/roost"):
            true("would remove " in done.stdout and words in done.stdout, f"{words!r} to be named", done.stdout)
        equal(machine.looks(), full, "everything after a dry run:")

        step("and all goes")
        done = machine.purge()
        equal(leftovers(machine), {}, f"what is left behind ({done.stdout}):")
        true("left net.ipv4.ip_forward=1" in done.stdout, "the setting that stays to be named", done.stdout)
        true(not os.path.exists(node.state) or not os.listdir(node.state), "the state folder to be empty")
        equal(machine.purge("--dry-run").returncode, 0, "a second time there is nothing:")
        true("nothing of roost is on this machine" in machine.purge().stdout, "to be said")


def test_pods_are_cut_off_when_that_is_asked_for():
    with Cluster(nodes=1, encap="vxlan", start=False) as c:
        node = c.nodes[0]
        machine = Machine(node)
        machine.install()
        c.store.start()
        c.apply(*c.manifest())
        node.start()
        c.fill(pods=3)
        pod = next(iter(node.pods.values()))
        stop(node)
        said = json.loads(machine.purge("--pods", "-o", "json").stdout)
        true(any(f"link {pod.host_link()} of pod lab/{pod.name}" in what for what in said["removed"]), "the pod to be named", said)
        equal(leftovers(machine), {}, "what is left behind:")


def test_what_is_not_roosts_stays():
    with Cluster(nodes=1, start=False) as c:
        node = c.nodes[0]
        machine = Machine(node)
        (machine.net_d / "10-roost.conflist").write_text('{"plugins": [{"type": "bridge"}]}')
        elsewhere = machine.root / "shared"
        elsewhere.mkdir()
        (elsewhere / "blocks.json").write_text("{}")
        (elsewhere / "diary").write_text("not roost's")
        (machine.root / "run/roost").mkdir()
        (machine.root / "run/roost/out").symlink_to(elsewhere)
        node.ns.ip("link add vxlan.roost type vxlan id 4096 dstport 4789 dev eth0", "link add ifb-00000000 type bridge")
        node.run("nft", "add", "table", "ip", "roost")
        node.run("nft", "add", "table", "inet", "roosters")
        node.settings["dataDir"] = "/shared"
        done = machine.purge()
        true("left file /etc/cni/net.d/10-roost.conflist: it is no configuration of roost" in done.stdout
             and "left folder /shared" in done.stdout, "what stays to be named", done.stdout)
        equal(sorted(os.listdir(elsewhere)), ["diary"], "a folder that a setting names:")
        now = machine.looks()
        true("vxlan.roost" in now["links"] and "ifb-00000000" in now["links"], "devices without our alias to stay")
        equal(now["tables"], ["table inet roosters", "table ip roost"], "tables of others:")
        true((machine.net_d / "10-roost.conflist").exists(), "the other configuration to stay")
        true(not (machine.root / "run/roost").exists(), "our folder to be gone")


def test_as_a_daemonset_it_waits_and_stays():
    with Cluster(nodes=1, start=False) as c:
        node = c.nodes[0]
        machine = Machine(node)
        machine.install()
        c.store.start()
        c.apply(*c.manifest())
        node.start()
        c.fill()
        stop(node)
        daemon = machine.daemon()
        until(lambda: "waiting: 1 pod of roost still runs" in daemon.said(), "it to wait for the pod")
        node.del_pod(next(iter(node.pods.values())))
        until(lambda: "staying until SIGTERM" in daemon.said(), "it to be done")
        daemon.must_run()
        equal(leftovers(machine), {}, "what is left behind:")
        equal(machine.purge("--dry-run").returncode, 0, "the probe:")
        daemon.stop()
