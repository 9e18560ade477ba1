# SPDX-License-Identifier: Apache-2.0
"""What connects the pods of a laboratory's Kubernetes."""
import json

from lab import BIN, POOL4, POOL6, ROOT, resource, until
from objects import is_ready
from roostlab import run


class Installed:
    """roost as a user installs it: its image, and kubectl apply of deploy/roost.yaml."""

    prefix = "roost"
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
        cluster.kube.apply(_with_pools(text, cluster.families))
        cluster.until_rolled("daemonset/roostd", self.namespace)

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
