# SPDX-License-Identifier: Apache-2.0
"""Kubernetes' own tests (e2e.test), run against a laboratory's cluster and judged one by one.

What is chosen is split over several processes, as most of what such a test does is to wait. Each test is
one of the report that its process writes; a test that was chosen and does not occur there has failed, too.
"""
import collections
import os
import re
import subprocess
import xml.etree.ElementTree

import binaries
import lab
from kubelab import READY_S
from lab import Failed, HANG_S, Process, true, until

LIMIT_S = 1500 * lab.roostlab.SLOW  # of all of a choice; nothing that works takes that long
Result = collections.namedtuple("Result", "name passed seconds text")

# What is left out, and why. README.md says it, too.
NOT_SERVED = {
    r"\[Serial\]|\[Disruptive\]|\[Slow\]": "they change nodes, or take minutes each",
    r"\[Feature:|\[FeatureGate:": "they need something that this cluster is not set up with",
}


# The same for all others of the network, which run by --all: what they need and this cluster has not.
NOT_IN_ALL = {
    r"\[Conformance\]": "they run without --all",
    r"\[Serial\]|\[Disruptive\]": "they change nodes under all others",
    r"NetworkPolicy|Netpol": "policies have a choice of their own, POLICIES",
    r"LoadBalancers|PerformanceDNS|Networking-Performance": "minutes each; balancers have stories of their own",
    r"SCTP|sctp": "a kernel with SCTP",
    r"Networking-(IPv4|IPv6|DNS)\]|Provider:gce": "the Internet, or a cloud",
    r"LocalhostNodePorts|NFAcct": "kube-proxy's iptables mode",
    r"TCP CLOSE_WAIT|invalid conntrack state": "images of Kubernetes' that are more than agnhost",
    r"configurable pod resolv.conf": "plugins of CoreDNS that this one is built without",
    r"HealthCheckNodePort correctly": "no tunnel: kube-proxy gives what a node sends to itself the address of the "
                                      "device that it leaves by, and the test wants the node's",
    r"multiple nodes when using|fall back to same zone": "two nodes in each zone",
}

# Network policies: all of them, and those that run without --all.
POLICIES = r"\[sig-network\] Netpol "
FEW_POLICIES = (
    r"Netpol NetworkPolicy between server and client should ("
    r"support a 'default-deny-all' policy|"
    r"enforce policy based on PodSelector and NamespaceSelector|"
    r"allow ingress access from namespace on one named port|"
    r"deny egress from all pods in a namespace|"
    r"ensure an IP overlapping both IPBlock.CIDR and IPBlock.Except is allowed|"
    r"enforce except clause while egress access to server in CIDR block|"
    r"enforce updated policy|"
    r"stop enforcing policies after they are deleted) "
)


def every_test():
    """The names of all tests, with their labels."""
    said = subprocess.run([binaries.path("e2e.test"), "--list-tests"], capture_output=True, text=True,
                          timeout=HANG_S).stdout
    return [line.split(": ", 1)[1] for line in said.splitlines() if re.match(r"\s+\S+\.go:\d+: ", line)]


def choose(focus, skip=None, left_out=NOT_SERVED):
    """The names that have focus (a regular expression) and neither skip nor what is left out."""
    names = [n for n in every_test() if re.search(focus, n)]
    for out in (*left_out, skip):
        names = [n for n in names if not (out and re.search(out, n))]
    true(names, f"tests of Kubernetes that have {focus}")
    return names


def run(cluster, names, processes=4):
    """Runs tests by their names; a Result for each."""
    parts = [names[i::processes] for i in range(processes) if names[i::processes]]
    folder = f"{cluster.dir}/e2e"
    os.makedirs(folder, exist_ok=True)
    number = len(os.listdir(folder))
    runs = [_Run(cluster, part, f"{folder}/{number}-{i}") for i, part in enumerate(parts)]
    results = [r for one in runs for r in one.results()]
    missing = set(names) - {r.name for r in results}
    said = {n: one.said() for one in runs for n in one.names if n in missing}
    return results + [Result(n, False, 0, "it does not occur in the report: " + said[n][-1500:])
                      for n in sorted(missing)]


def must_pass(cluster, names, **more):
    """Runs tests of which none may fail."""
    judge(run(cluster, names, **more))


def judge(results, suite="Kubernetes"):
    """Shows all results; none of them may have failed."""
    for r in sorted(results, key=lambda r: -r.seconds):
        lab.say(f"    {r.seconds:6.1f} s  {'passed' if r.passed else 'FAILED'}  {r.name}")
    bad = [r for r in results if not r.passed]
    if bad:
        raise Failed(f"expected {len(results)} tests of {suite} to pass, saw {len(bad)} fail:\n"
                     + "\n".join(f"      {r.name}\n        {r.text[-1200:]}" for r in bad))


def policies_must_pass(cluster, focus):
    """Runs tests of network policies; of their policies nothing stays on the nodes."""
    must_pass(cluster, choose(focus, left_out=()))
    nothing_is_left(cluster)


def nothing_is_left(cluster):
    """No table of policies, soon behind the last one."""
    for node in cluster.nodes:
        until(lambda n=node: "roost-policy" not in n.run("nft", "list", "tables"),
              f"no table of policies on {node} when the last policy is deleted", READY_S)


class _Run:
    """One process of e2e.test."""

    def __init__(self, cluster, names, folder):
        self.names, self._folder = names, folder
        os.makedirs(folder)
        first = cluster.nodes[0]
        focus = "|".join(f"{re.escape(n)}$" for n in names)
        self._process = Process(
            "e2e.test", first.ns, f"{folder}/log",
            ["env", f"PATH={os.path.dirname(binaries.path('kubectl'))}:{os.environ['PATH']}",
             binaries.path("e2e.test"), f"--kubeconfig={cluster.kube.admin}", "--provider=local",
             f"--num-nodes={len(cluster.nodes)}", f"--kubectl-path={binaries.path('kubectl')}",
             "--ginkgo.no-color", "--ginkgo.timeout=1h", f"--ginkgo.focus={focus}",
             f"--report-dir={folder}", "--dump-logs-on-failure=false",
             "--system-pods-startup-timeout=1m", "--node-schedulable-timeout=1m"]).start()

    def results(self):
        try:
            self._process._popen.wait(LIMIT_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
        return [r for name in os.listdir(self._folder) if name.endswith(".xml")
                for r in _read(f"{self._folder}/{name}", set(self.names))]

    def said(self):
        return self._process.said()


def _read(path, wanted):
    found = []
    for case in xml.etree.ElementTree.parse(path).iter("testcase"):
        name = case.get("name", "").removeprefix("[It] ")
        if name not in wanted:
            continue
        bad = [e for kind in ("failure", "error", "skipped") for e in case.findall(kind)]
        text = " ".join((e.get("message") or "") + "\n" + (e.text or "") for e in bad)
        found.append(Result(name, not bad, float(case.get("time", 0)), text))
    return found
