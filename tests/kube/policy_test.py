# SPDX-License-Identifier: Apache-2.0
"""roostctl policy against a real API server: what it reads by an operator's kubeconfig, without any agent, and what
it says when it cannot."""
import json
import subprocess

import pytest

import controlplane
from controlplane import ControlPlane
from lab import BIN, ROOT, equal, true, until
from namespaces import inside
from store_test import define

pytestmark = [pytest.mark.needs(*controlplane.PROGRAMS), pytest.mark.built(*controlplane.BUILT)]
SPEC = {"containers": [{"name": "c", "image": "none", "ports": [{"name": "pg", "containerPort": 5432}]}]}
POLICY = {"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": {"name": "db", "namespace": "shop"},
          "spec": {"podSelector": {"matchLabels": {"app": "db"}},
                   "ingress": [{"from": [{"podSelector": {"matchLabels": {"app": "api"}}}], "ports": [{"port": "pg"}]}]}}


def policy(k, *words, config=None):
    with inside(k.path):
        return subprocess.run([f"{BIN}/roostctl", "policy", *words, "--store", f"kube:{config or k.admin}",
                               "--socket", "/nowhere", "--timeout", "20s"],
                              capture_output=True, text=True, timeout=60, check=False)


def add_pod(k, name, address, **labels):
    pods = "/api/v1/namespaces/shop/pods"
    k.must("POST", pods, {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "labels": labels}, "spec": SPEC})
    k.must("PATCH", f"{pods}/{name}/status", {"status": {"phase": "Running", "podIP": address, "podIPs": [{"ip": address}]}},
           kind="application/strategic-merge-patch+json")


@pytest.fixture(scope="module")
def shop():
    """A control plane with two pods and a policy; no agent anywhere."""
    with ControlPlane() as k:
        define(k)
        k.must("POST", "/api/v1/namespaces", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}})
        add_pod(k, "web", "10.65.0.7", app="web")
        add_pod(k, "db", "10.65.1.3", app="db")
        k.apply(POLICY)
        yield k


def test_a_connection_is_explained_by_what_the_cluster_says(shop):
    done = policy(shop, "explain", "shop/web", "shop/db", "pg")
    equal(done.returncode, 1, f"the verdict of {done}")
    for line in ("shop/web (10.65.0.7) -> shop/db (10.65.1.3), 5432/TCP: denied", "NetworkPolicy shop/db selects shop/db",
                 'ingress[0]: pod web is not app == "api": the label app is "web"'):
        true(line in done.stdout, line, done)
    shop.kubectl("-n", "shop", "label", "pod", "web", "app=api", "--overwrite")
    try:
        done = policy(shop, "explain", "10.65.0.7", "shop/db", "5432")
        equal(done.returncode, 0, f"the verdict of {done}")
    finally:
        shop.kubectl("-n", "shop", "label", "pod", "web", "app=web", "--overwrite")


def test_policies_are_listed_with_the_pods_that_they_select(shop):
    [row] = json.loads(policy(shop, "list", "-o", "json").stdout)["policies"]
    equal((row["policy"], row["pods"], row["ingress"], row["egress"]), ("NetworkPolicy shop/db", 1, 1, None), "the row")
    true("shop/db 10.65.1.3" in policy(shop, "show", "db").stdout, "the pod to be named")


def test_who_may_not_read_hears_what_is_missing(shop):
    done = policy(shop, "explain", "shop/web", "shop/db", "80", config=shop.account("shop", "nobody"))
    equal(done.returncode, 2, f"the status of {done}")
    for words in ("system:serviceaccount:shop:nobody", "is forbidden: User", "the ClusterRole view"):
        true(words in done.stderr, f"{words} to be said", done)


def test_who_may_look_at_the_cluster_gets_the_answer(shop):
    """The parts of the role view, as no controller here puts them together."""
    shop.kubectl("apply", "-f", f"{ROOT}/deploy/namespace.yaml", "-f", f"{ROOT}/deploy/rbac.yaml")
    for role in ("system:aggregate-to-view", "roost-view"):
        shop.kubectl("create", "clusterrolebinding", f"anna-{role}".replace(":", "-"), f"--clusterrole={role}", "--user=anna")
    anna = shop.config("anna")
    until(lambda: policy(shop, "explain", "shop/web", "shop/db", "pg", config=anna).returncode == 1, "anna to see the verdict")
    done = policy(shop, "list", "-o", "json", config=anna)
    equal([p["policy"] for p in json.loads(done.stdout)["policies"]], ["NetworkPolicy shop/db"], "the policies")


def test_with_controllers_the_role_view_shows_policies_and_a_namespace_takes_its_own_along():
    ours = {"apiVersion": "roost.io/v1", "kind": "NetworkPolicy", "metadata": {"name": "ours", "namespace": "short"},
            "spec": {"selector": "app == 'web'", "types": ["Ingress"]}}
    with ControlPlane(controllers=True) as k:
        define(k)
        k.kubectl("apply", "-f", f"{ROOT}/deploy/namespace.yaml", "-f", f"{ROOT}/deploy/rbac.yaml")
        k.kubectl("create", "clusterrolebinding", "anna", "--clusterrole=view", "--user=anna")
        k.kubectl("create", "namespace", "short")
        k.apply(ours)

        def listed():
            done = policy(k, "list", "-o", "json", config=k.config("anna"))
            return [p["policy"] for p in json.loads(done.stdout)["policies"]] if done.returncode == 0 else done.stderr

        until(lambda: "ours" in str(listed()), "the policy to be shown to who has the role view")
        k.kubectl("delete", "namespace", "short")
        equal(listed(), [], "the policies behind their namespace")
