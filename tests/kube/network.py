# SPDX-License-Identifier: Apache-2.0
"""What connects the pods of a laboratory's Kubernetes."""
import json

from lab import BIN, POOL4, POOL6, resource, until

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
