# SPDX-License-Identifier: Apache-2.0
"""roost goes from a Kubernetes and leaves nothing: neither on the nodes nor in the API. The last story of a
run, as the cluster has no network afterwards."""
import pytest

import kubelab
from lab import equal, until

pytestmark = [pytest.mark.needs(*kubelab.PROGRAMS), pytest.mark.built(*kubelab.BUILT)]

FOLDERS = ("/opt/cni/bin", "/etc/cni/net.d", "/var/lib/roost", "/run/roost")
QUESTIONS = {
    "links": "ip -o link show | grep -o 'roost[^:@ ]*' | sort",
    "routes": "ip route show table all | grep -E 'proto (82|bird)'; ip -6 route show table all | grep -E 'proto (82|bird)'",
    "rules": "ip rule | grep 'proto 82'; ip -6 rule | grep 'proto 82'",
    "tables of nf_tables": "nft list tables | grep -i roost",
    "files": "find " + " ".join(FOLDERS) + " 2>/dev/null | grep -i roost",
}


def test_uninstalling_leaves_nothing(cluster):
    for node in cluster.nodes:
        cluster.kube.kubectl("cordon", node.name)
    for namespace in ("default", "kube-system"):
        for kind in ("deployments", "pods"):
            cluster.kube.kubectl("-n", namespace, "delete", kind, "--all", "--wait", "--timeout=120s")
    cluster.network.uninstall(cluster)
    for node in cluster.nodes:
        for what, command in QUESTIONS.items():
            until(lambda n=node, c=command: not n.attempt("sh", "-c", c).stdout.strip(),
                  f"no {what} of roost to be left on {node} ({command})")
    for kind in ("crds", "clusterroles", "clusterrolebindings", "validatingadmissionpolicies", "namespaces"):
        left = [n for n in cluster.kube.kubectl("get", kind, "-o", "name").split() if "roost" in n]
        equal(left, [], f"{kind} of roost:")
