# SPDX-License-Identifier: Apache-2.0
"""roost as users install it: kubectl apply of deploy/roost.yaml makes nodes Ready and pods talk, an upgrade of the
DaemonSet and the way back lose no request, and after an uninstallation nothing of it is left on a node."""
import json

import pytest

import kubelab
from clients import Requests
from lab import BIN, POOL4, ROOT, equal, step, true, until
from network import Installed
from objects import is_ready
from roostlab import run

pytestmark = [pytest.mark.needs(*kubelab.PROGRAMS), pytest.mark.built(*kubelab.BUILT)]
SPACE = "roost-system"
NEXT = "localhost/roost:next"
FILE = "/etc/cni/net.d/10-roost.conflist"
# Where a purge has to look; not in what belongs to containerd and the kubelet.
FIND = ["find", "/etc", "/opt", "/run", "/var/lib",
        "(", "-path", "*/containerd", "-o", "-path", "*/kubelet", "-o", "-path", "/run/lab", "-o", "-path", "/run/kube",
        "-o", "-path", "/var/lib/dpkg", "-o", "-path", "/run/tmp", ")", "-prune", "-o", "-name", "*roost*", "-print"]


def looks(node):
    """What roost could leave on a node."""
    def ask(words):
        return json.loads(node.run("ip", "-j", "-d", *words.split()) or "[]")
    return {
        "links": sorted(l["ifname"] for l in ask("link show")),
        "routes": sorted(f"{r.get('type', '')} {r['dst']} {r.get('protocol')} {r.get('table', 'main')}"
                         for f in (4, 6) for r in ask(f"-{f} route show table all") if r.get("protocol") not in ("kernel", "ra")),
        "rules": sorted(json.dumps(r, sort_keys=True) for f in (4, 6) for r in ask(f"-{f} rule show")),
        "tables": sorted(t for t in node.run("nft", "list", "tables").splitlines() if "kube-proxy" not in t),
        "files": sorted(node.attempt(*FIND).stdout.splitlines()),
    }


class Watched(Installed):
    """It remembers what the nodes were before."""

    def install(self, cluster):
        for node in cluster.nodes:  # of the machine that the laboratory is on
            node.run("sh", "-c", "rm -f /etc/cni/net.d/*podman*")
        self.before = {n.name: looks(n) for n in cluster.nodes}
        super().install(cluster)


@pytest.fixture(scope="module")
def c():
    with kubelab.Cluster(nodes=2, network=Watched(), dns=False) as cluster:
        yield cluster


@pytest.fixture(scope="module")
def web(c):
    found = c.deploy("web", replicas=2)
    found.must_be_served()
    return found


def requests(c, web):
    flows = {f"node2 IPv{f}": (c.nodes[1].path, web.address(f), 80) for f in c.families}
    for pod in web.pods():
        flows[f"to {pod['spec']['nodeName']}"] = (c.client().path, pod["status"]["podIP"], 8080)
    return Requests(flows)


def no_problem(c):
    for node in c.nodes:
        done = c.network.ctl(node, "status", ok=False)
        true(done.returncode == 0, f"roostd of {node} to be content", done.stdout + done.stderr)


def test_pods_talk_and_agents_are_content(c, web):
    until(lambda: not c.unready_nodes(), "every node to be Ready")
    for pod in web.pods():
        true(pod["status"]["podIP"].startswith(POOL4[:7]), "addresses of the pool", pod["status"])
    no_problem(c)
    for pod in c.network.pods(c).values():
        restarts = [s["restartCount"] for s in pod["status"]["containerStatuses"]]
        equal(restarts, [0, 0], "restarts of roost's containers:")


def test_a_deleted_network_configuration_comes_back(c, web):
    node = c.nodes[1]
    text = node.read(FILE)
    node.run("rm", FILE)
    until(lambda: node.attempt("cat", FILE).stdout == text, "the configuration to come back")
    until(lambda: "which somebody deleted" in c.kube.kubectl(
        "-n", SPACE, "logs", c.network.pods(c)[node.name]["metadata"]["name"], "-c", "roostd"), "the log to say so")
    until(lambda: not c.unready_nodes(), "every node to be Ready")
    c.pod("afterwards", nodeName=node.name)
    c.kube.kubectl("delete", "pod", "afterwards", "--wait")


def rolled(c):
    c.until_rolled("daemonset/roostd", SPACE)
    pods = c.network.pods(c).values()
    true(all(is_ready(p) for p in pods), "every pod of roost to be Ready")
    return {p["spec"]["containers"][0]["image"] for p in pods}


def test_an_upgrade_and_the_way_back_lose_nothing(c, web):
    archive = f"{c.dir}/next.tar"
    run(f"{ROOT}/scripts/image", "--bin", BIN, "--out", archive, "--name", NEXT)
    for node in c.nodes:
        node.import_image(archive)
    old = rolled(c)
    with requests(c, web) as stream:
        stream.goes_on(50)
        step("upgrade")
        c.kube.kubectl("-n", SPACE, "set", "image", "daemonset/roostd", f"*={NEXT}")
        equal(rolled(c), {NEXT}, "the new image:")
        stream.goes_on(50)
        step("and back")
        c.kube.kubectl("-n", SPACE, "rollout", "undo", "daemonset/roostd")
        equal(rolled(c), old, "the old image:")
        stream.goes_on(50)
    stream.lost_nothing()
    no_problem(c)


def test_an_uninstallation_leaves_nothing(c, web):
    k = c.kube
    k.kubectl("-n", SPACE, "delete", "daemonset", "roostd", "--wait", "--cascade=foreground")
    until(lambda: not c.network.pods(c), "roost's pods to be gone")
    k.kubectl("apply", "-f", f"{ROOT}/deploy/uninstall.yaml")

    def said():
        return k.kubectl("-n", SPACE, "logs", "-l", "app.kubernetes.io/name=roost-purge", "--prefix", ok=False).stdout
    until(lambda: said().count("still run") >= 2, "it to wait for the pods of both nodes")
    step("the pods go, by the executables that are still there")
    k.kubectl("delete", "deployment,pod", "--all", "--wait", "--timeout=120s")
    c.until_rolled("daemonset/roost-purge", SPACE)
    after = {n.name: looks(n) for n in c.nodes}
    for node in c.nodes:
        for what, before in c.network.before[node.name].items():
            equal(after[node.name][what], before, f"{what} of {node} after the uninstallation:")
    k.kubectl("delete", "--ignore-not-found", "--timeout=120s", "-f", f"{ROOT}/deploy/roost.yaml")
    until(lambda: k.kubectl("api-resources", "--api-group=roost.io", "-o", "name") == "", "no kind of roost to be known")
    until(lambda: SPACE not in k.kubectl("get", "namespaces", "-o", "name"), "its namespace to be gone")
