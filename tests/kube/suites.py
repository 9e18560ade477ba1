# SPDX-License-Identifier: Apache-2.0
"""What others made to test network policies, run against a laboratory's cluster and judged case by case.

    network-policy-api   the conformance tests of ClusterNetworkPolicy, of the standard and experimental channel

It asks by SCTP, too: agnhost_sctp.c. README.md says what is left out, and why.
"""
import contextlib
import re
import subprocess

import binaries
import lab
import upstream
from lab import Failed, Process, true
from upstream import Result

BUILT = ("network-policy-api.test", "clusternetworkpolicies.yaml")
LIMIT_S = 5400 * lab.roostlab.SLOW
DEFINITION = "clusternetworkpolicies.policy.networking.k8s.io"
NOT_SERVED = "ClusterNetworkPolicyEgressNodePeers"  # experimental: the peer `nodes` (docs/POLICY.md)
FEW_CONFORMANCE = "CNPAdminTierIntegration|CNPAdminTierPriorityField|CNPBaselineTierIngressNamedPort"


def conformance(cluster, focus="."):
    """The tests of ClusterNetworkPolicy whose names have focus."""
    with _definition(cluster):
        said = _run(cluster, "network-policy-api", binaries.path("network-policy-api.test"), "-test.v", "-all-features",
                    f"-exempt-features={NOT_SERVED}", f"-test.timeout={LIMIT_S}s",
                    f"-test.run=^TestConformance$/({focus})")
        results = _conformance_results(said)
        true(results, f"tests of ClusterNetworkPolicy that have {focus}, saw:\n{said[-3000:]}")
        upstream.judge(results, "ClusterNetworkPolicy's conformance")
        upstream.nothing_is_left(cluster)


@contextlib.contextmanager
def _definition(cluster):
    """The kind of the experimental channel, as a cluster's operator installs it."""
    cluster.kube.kubectl("apply", "--server-side", "-f", binaries.path("clusternetworkpolicies.yaml"))
    cluster.kube.kubectl("wait", "--for=condition=Established", f"crd/{DEFINITION}", "--timeout=60s")
    try:
        yield
    finally:
        cluster.kube.kubectl("delete", "crd", DEFINITION)


def _run(cluster, name, program, *options):
    """What one says that runs to its end."""
    process = Process(name, cluster.nodes[0].ns, f"{cluster.dir}/{name}.log",
                      ["env", f"KUBECONFIG={cluster.kube.admin}", program, *options]).start()
    try:
        process._popen.wait(LIMIT_S)
    except subprocess.TimeoutExpired:
        process.kill()
        raise Failed(f"expected {name} to end in {LIMIT_S} s, its last words:\n{process.said()[-3000:]}")
    return process.said()


def _conformance_results(said):
    """Of each subtest; what is left out says so."""
    found, rest = [], said
    for line in re.finditer(r"^ {4,}--- (PASS|FAIL|SKIP): TestConformance/(\S+) \(([\d.]+)s\)", said, re.MULTILINE):
        verdict, name, seconds = line.groups()
        if verdict == "SKIP" or (verdict == "PASS" and "/" not in name):
            continue  # the experimental ones of NOT_SERVED; the sum of its parts
        begin = rest.find(f"=== RUN   TestConformance/{name}\n")
        end = rest.find("=== RUN ", begin + 10)
        found.append(Result(name, verdict == "PASS", float(seconds), rest[begin:end if end > 0 else None]))
    return found
