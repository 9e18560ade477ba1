# SPDX-License-Identifier: Apache-2.0
"""What connects the pods of a laboratory's Kubernetes."""
import json

from lab import BIN, POOL4, POOL6, ROOT, resource, until
from objects import is_ready
from roostlab import run

BIRD = """\
log stderr all;
router id 0.0.0.1;
protocol device { scan time 10; }
include "/run/roost/bird.con[f]";
include "/etc/bird/roost.d/*.conf";
"""
CONFLIST = {
    "cniVersion": "1.0.0", "name": "roost",
    "plugins": [{"type": "roost", "ipam": {"type": "roost-ipam"},
                 "capabilities": {"ips": True, "mac": True, "io.kubernetes.cri.pod-annotations": True}}]}


class ByHand:
    """roost from the build folder: a BIRD and a roostd on each node, a store that they share."""

    prefix = "roost"
    names = ("agent", "bird")

    def __init__(self, encap="CrossSubnet"):
        self.encap = encap

    def install(self, cluster):
        store = f"file:{cluster.dir}/store"
        pools = [resource("IPPool", f"pool{f}", cidr={4: POOL4, 6: POOL6}[f], natOutgoing=True,
                          vxlanMode=self.encap) for f in cluster.families]
        first = cluster.nodes[0]
        first.ctl("--store", store, "apply", "-f", "-", stdin="---\n".join(json.dumps(p) + "\n" for p in pools))
        for node in cluster.nodes:
            self._install_on(node, store)

    def _install_on(self, node, store):
        node.run("mkdir", "-p", "/run/bird", "/run/roost", "/etc/bird/roost.d", "/var/lib/roost")
        node.run("cp", f"{BIN}/roost", f"{BIN}/roost-ipam", "/opt/cni/bin/")
        node.write("/etc/bird/bird.conf", BIRD)
        node.write("/etc/roost/roostd.json", json.dumps(
            {"node": node.name, "store": store, "bird": {"group": "root"},
             "address": {f"ipv{f}": "first-found" if node.ip(f) else "none" for f in (4, 6)}}))
        node.bird = node.process("bird", "/usr/sbin/bird", "-f", "-R", "-c", "/etc/bird/bird.conf", "-s",
                                 "/run/bird/bird.ctl").start()
        node.agent = node.process("roostd", f"{BIN}/roostd").start()
        node.write("/etc/cni/net.d/10-roost.conflist", json.dumps(CONFLIST, indent=1))

    def kill(self, node, what):
        """SIGKILL of roostd or bird."""
        (node.agent if what == "roostd" else node.bird).kill()

    def until_back(self, cluster):
        """A service manager starts again what was killed; until the agents are content."""
        for node in cluster.nodes:
            for process in (node.bird, node.agent):
                if not process.running():
                    process.start()
            until(lambda: node.attempt(f"{BIN}/roostctl", "status", "--ready").returncode == 0,
                  f"roostd of {node} to be ready")

    def said(self, node):
        """What roostd said since its last start."""
        return node.agent.said()

    def logs(self, cluster, lines):
        """Its processes are among the node's."""
        return []


class Installed:
    """roost as a user installs it: its image, and kubectl apply of deploy/roost.yaml."""

    prefix = "roost"
    names = ()
    namespace = "roost-system"

    def __init__(self, edit=None):
        """edit: a function that changes the text of roost.yaml."""
        self._edit = edit or (lambda text: text)

    def install(self, cluster):
        archive = f"{cluster.dir}/roost.tar"
        run(f"{ROOT}/scripts/image", "--bin", BIN, "--out", archive)
        for node in cluster.nodes:
            node.import_image(archive)
        with open(f"{ROOT}/deploy/roost.yaml") as f:
            text = self._edit(f.read())
        text = text.replace('"store": "kube:",', '"store": "kube:", "address": {"ipv4": "first-found", "ipv6": "first-found"},')
        cluster.kube.apply(_with_pools(text, cluster.families))
        cluster.until_rolled("daemonset/roostd", self.namespace)

    def uninstall(self, cluster):
        """As docs/INSTALL-KUBERNETES.md says; pods with an address of roost are gone already."""
        kubectl = cluster.kube.kubectl
        kubectl("-n", self.namespace, "delete", "daemonset", "roostd", "--wait")
        kubectl("apply", "-f", f"{ROOT}/deploy/uninstall.yaml")
        cluster.until_rolled("daemonset/roost-purge", self.namespace)
        kubectl("delete", "-f", f"{ROOT}/deploy/roost.yaml", "--wait", "--timeout=120s")

    def pods(self, cluster):
        """{name of a node: the pod of roost there}."""
        return {p["spec"]["nodeName"]: p
                for p in cluster.pods("app.kubernetes.io/name=roostd", self.namespace)}

    def kill(self, node, what):
        """SIGKILL of roostd or bird; its kubelet starts it again."""
        node.kill_container(self.pods(node.cluster)[node.name], what)

    def until_back(self, cluster):
        cluster.until_rolled("daemonset/roostd", self.namespace)
        until(lambda: all(is_ready(p) for p in self.pods(cluster).values()), "every pod of roost to be Ready")

    def ctl(self, node, *words, ok=True):
        """roostctl in the pod of a node."""
        return node.cluster.kube.kubectl("-n", self.namespace, "exec", "-c", "roostd",
                                         self.pods(node.cluster)[node.name]["metadata"]["name"], "--",
                                         "roostctl", *words, ok=ok)

    def said(self, node):
        """What roostd said since its last start."""
        return node.cluster.kube.kubectl("-n", self.namespace, "logs", "-c", "roostd",
                                         self.pods(node.cluster)[node.name]["metadata"]["name"])

    def logs(self, cluster, lines):
        """What its containers said last."""
        found = []
        for name, pod in self.pods(cluster).items():
            for container in ("install", "roostd", "bird"):
                done = cluster.kube.kubectl("-n", self.namespace, "logs", pod["metadata"]["name"], "-c", container,
                                            f"--tail={lines}", ok=False)
                found += [f"---- {container} of {name}", done.stdout + done.stderr]
        return found


def _with_pools(text, families):
    """roost.yaml with first pools of the laboratory's families."""
    pools = [resource("IPPool", f"pool{f}", cidr={4: POOL4, 6: POOL6}[f], natOutgoing=True,
                      vxlanMode="CrossSubnet") for f in families]
    for pool in pools:
        pool["apiVersion"] = "roost.io/v1"
    lines = text.splitlines(keepends=True)
    begin = next(n for n, line in enumerate(lines) if line.startswith("  first-pools.json: |"))
    end = next(n for n in range(begin + 1, len(lines)) if not lines[n].startswith("    "))
    return "".join([*lines[:begin + 1], f"    {json.dumps(pools)}\n", *lines[end:]])
