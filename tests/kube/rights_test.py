# SPDX-License-Identifier: Apache-2.0
"""deploy/rbac.yaml and deploy/policy.yaml against an API server: what an agent needs it may, with the token of
its pod, and nothing of another node's; what people's roles show and hide."""
import pytest

import controlplane
import documents
from lab import equal, true, until

pytestmark = [pytest.mark.needs(*controlplane.PROGRAMS), pytest.mark.built(*controlplane.BUILT)]
SPACE = "roost-system"
ROOST = "/apis/roost.io/v1"
MERGE = "application/merge-patch+json"
JSON_PATCH = "application/json-patch+json"
PEOPLES = ("ippools", "bgpconfigurations", "bgppeers", "bgpfilters", "ipreservations", "ipamconfigurations", "tiers",
           "globalnetworkpolicies", "globalnetworksets", "stagedglobalnetworkpolicies")
AGENTS = ("roostnodes", "ipblocks", "iploans", "nodestatuses")
OTHERS = "node.kubernetes.io/not-ready"
NETWORK = "node.kubernetes.io/network-unavailable"


def bound_account(k, node):
    """A kubeconfig with the token of roostd's pod on a node."""
    pod = k.must("POST", f"/api/v1/namespaces/{SPACE}/pods", {
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": f"roostd-{node}"},
        "spec": {"nodeName": node, "serviceAccountName": "roostd", "containers": [{"name": "c", "image": "roost"}]}})
    token = k.token(SPACE, "roostd", apiVersion="v1", kind="Pod", name=pod["metadata"]["name"],
                    uid=pod["metadata"]["uid"])
    return k.pki.kubeconfig(f"roostd-{node}", k.server, {"token": token})


@pytest.fixture(scope="module")
def k(plane):
    plane.kubectl("create", "namespace", SPACE)
    plane.kubectl("apply", *(w for f in ("crds", "rbac.yaml", "policy.yaml") for w in ("-f", f"{documents.ROOT}/deploy/{f}")))
    plane.kubectl("wait", "--for=condition=Established", "--timeout=60s", "crd", "-l", "app.kubernetes.io/part-of=roost")
    for node in ("n1", "n2"):
        plane.must("POST", "/api/v1/nodes", {
            "apiVersion": "v1", "kind": "Node", "metadata": {"name": node, "labels": {"rack": "r1"}},
            "status": {"addresses": [{"type": "InternalIP", "address": "192.0.2.1"}], "capacity": {"cpu": "2"},
                       "conditions": [{"type": t, "status": "False"} for t in ("MemoryPressure", "DiskPressure", "Ready")]},
            "spec": {"taints": [{"key": "roost.io/starting", "effect": "NoSchedule"}, {"key": NETWORK, "effect": "NoSchedule"},
                                {"key": OTHERS, "effect": "NoExecute"}]}})
    plane.must("POST", "/api/v1/namespaces/default/services",
               {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "lb"},
                "spec": {"type": "LoadBalancer", "ports": [{"port": 80}]}})
    plane.must("POST", "/api/v1/namespaces/default/services",
               {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "plain"}, "spec": {"ports": [{"port": 80}]}})
    plane.n1, plane.n2 = bound_account(plane, "n1"), bound_account(plane, "n2")
    # A policy is in force a moment after it was made.
    until(lambda: plane.ask("POST", f"{ROOST}/ipblocks?dryRun=All", block("probe", "n2"), config=plane.n1)[0] in (403, 422),
          "the policy to be in force")
    return plane


def thing(kind, name, spec):
    return {"apiVersion": "roost.io/v1", "kind": kind, "metadata": {"name": name}, "spec": spec}


def block(name, node, state="owned"):
    return thing("IPBlock", name, {"node": node, "state": state, "nonce": "1"})


def allowed(k, method, path, body=None, config=None, **more):
    status, answer = k.ask(method, path, body, config=config or k.n1, **more)
    true(status < 300, f"{method} {path} to be allowed, saw {status}: {answer}")
    return answer


def refused(k, said, method, path, body=None, config=None, **more):
    status, answer = k.ask(method, path, body, config=config or k.n1, **more)
    true(status == 403 and said in answer["message"], f"{method} {path} to be refused with {said!r}, saw {status}: {answer}")


def test_an_agent_reads_what_it_needs(k):
    for path in (*(f"{ROOST}/{r}" for r in PEOPLES + AGENTS), "/api/v1/nodes", "/api/v1/pods", "/api/v1/namespaces",
                 "/api/v1/services", "/apis/discovery.k8s.io/v1/endpointslices",
                 "/apis/networking.k8s.io/v1/networkpolicies", "/api/v1/serviceaccounts"):
        allowed(k, "GET", f"{path}?limit=1")
        allowed(k, "GET", f"{path}?watch=1&timeoutSeconds=1")


def test_an_agent_asks_whether_there_are_cluster_network_policies(k):
    base = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
    field = "fieldSelector=metadata.name%3Dclusternetworkpolicies.policy.networking.k8s.io"
    allowed(k, "GET", f"{base}?{field}&limit=1")
    allowed(k, "GET", f"{base}?{field}&watch=1&timeoutSeconds=1")


def test_an_agent_reads_nothing_else(k):
    for path in ("/api/v1/secrets", f"/api/v1/namespaces/{SPACE}/secrets", "/api/v1/configmaps", "/apis/apps/v1/daemonsets",
                 "/apis/apiextensions.k8s.io/v1/customresourcedefinitions", "/apis/coordination.k8s.io/v1/leases"):
        refused(k, "cannot list resource", "GET", path)


def test_an_agent_writes_its_own_objects(k):
    for name, plural, doc in (("n1", "roostnodes", thing("RoostNode", "n1", {})),
                              ("n1", "nodestatuses", thing("NodeStatus", "n1", {"version": "1"})),
                              ("n1.newcomer", "nodestatuses", thing("NodeStatus", "n1.newcomer", {"version": "1"})),
                              ("10-65-0-0-26", "ipblocks", block("10-65-0-0-26", "n1", "pending"))):
        made = allowed(k, "POST", f"{ROOST}/{plural}", doc)
        doc["metadata"]["resourceVersion"] = made["metadata"]["resourceVersion"]
        if plural == "ipblocks":
            doc["spec"]["state"] = "owned"
        allowed(k, "PUT", f"{ROOST}/{plural}/{name}", doc)
        allowed(k, "DELETE", f"{ROOST}/{plural}/{name}")


def test_an_agent_writes_no_objects_of_another_node(k):
    made = {}
    for plural, doc in (("roostnodes", thing("RoostNode", "n2", {})), ("nodestatuses", thing("NodeStatus", "n2", {"version": "1"})),
                        ("ipblocks", block("10-65-1-0-26", "n2"))):
        refused(k, "may not write", "POST", f"{ROOST}/{plural}", doc)
        made[plural] = allowed(k, "POST", f"{ROOST}/{plural}", doc, config=k.n2)
        refused(k, "may not write", "PUT", f"{ROOST}/{plural}/{doc['metadata']['name']}", made[plural])
    given = allowed(k, "POST", f"{ROOST}/ipblocks", block("10-65-2-0-26", "n1"))
    for name, doc, node in (("10-65-1-0-26", made["ipblocks"], "n1"), ("10-65-2-0-26", given, "n2")):
        status, answer = k.ask("PUT", f"{ROOST}/ipblocks/{name}", {**doc, "spec": {"node": node, "state": "owned"}}, config=k.n1)
        true(status == 422 and "cannot change" in answer["message"], f"nobody to pass a block on, saw {status}: {answer}")
    refused(k, "may not write", "POST", f"{ROOST}/nodestatuses", thing("NodeStatus", "n3", {"removal": "x", "version": "1"}))


def test_an_agent_writes_the_loans_of_its_own_node(k):
    """The borrower asks and uses, the lender lends or refuses; nobody else has a word in it."""
    def loan(borrower, lender, state):
        return thing("IPLoan", f"{borrower}.10-65-7-5-32", {"borrower": borrower, "lender": lender, "state": state})

    allowed(k, "POST", f"{ROOST}/iploans", loan("n1", "n9", "asked"))
    refused(k, "may not write", "POST", f"{ROOST}/iploans", loan("n2", "n1", "lent"))
    asked = allowed(k, "POST", f"{ROOST}/iploans", loan("n2", "n1", "asked"), config=k.n2)
    lent = allowed(k, "PUT", f"{ROOST}/iploans/{asked['metadata']['name']}", {**asked, "spec": {**asked["spec"], "state": "lent"}})
    refused(k, "may not write", "PUT", f"{ROOST}/iploans/{asked['metadata']['name']}", {**lent, "spec": {**lent["spec"], "state": "used"}})
    allowed(k, "DELETE", f"{ROOST}/iploans/n1.10-65-7-5-32")
    allowed(k, "DELETE", f"{ROOST}/iploans/n2.10-65-7-5-32")


def test_an_agent_removes_a_node_that_is_gone(k):
    """What the one that holds the Lease does for all: docs/KUBERNETES.md says what that means for a stolen token."""
    allowed(k, "POST", f"{ROOST}/nodestatuses", thing("NodeStatus", "n4", {"removal": "x"}))
    allowed(k, "DELETE", f"{ROOST}/nodestatuses/n4")
    for plural, name, doc in (("roostnodes", "n5", thing("RoostNode", "n5", {})), ("ipblocks", "10-65-5-0-26", block("10-65-5-0-26", "n5"))):
        k.must("POST", f"{ROOST}/{plural}", doc)
        allowed(k, "DELETE", f"{ROOST}/{plural}/{name}")


def test_an_agent_does_not_write_what_people_say(k):
    for plural in PEOPLES:
        if plural not in ("ippools", "ipamconfigurations"):
            refused(k, "cannot create resource", "POST", f"{ROOST}/{plural}", thing("X", "x", {}))
        refused(k, "cannot delete resource", "DELETE", f"{ROOST}/{plural}/default")
        refused(k, "cannot patch resource", "PATCH", f"{ROOST}/{plural}/default", {"spec": {}}, kind=MERGE)


def condition_of(kind):
    return {"type": kind, "status": "True", "lastTransitionTime": "2026-01-01T00:00:00Z", "reason": "A", "message": ""}


def test_of_a_policy_an_agent_writes_its_condition(k):
    path = f"{ROOST}/namespaces/{SPACE}/networkpolicies"
    others = condition_of("other.example/Ready")
    k.must("POST", path, thing("NetworkPolicy", "web", {}))
    k.must("PATCH", f"{path}/web/status", {"status": {"conditions": [others]}}, kind=MERGE)
    allowed(k, "PATCH", f"{path}/web/status", {"status": {"conditions": [others, condition_of("roost.io/Accepted")]}}, kind=MERGE)
    for conditions in ([condition_of("roost.io/Accepted")], [condition_of("mine.example/Ready"), others]):
        refused(k, "nothing but the condition", "PATCH", f"{path}/web/status", {"status": {"conditions": conditions}}, kind=MERGE)
    refused(k, "cannot patch resource", "PATCH", f"{path}/web", {"spec": {"order": 1}}, kind=MERGE)
    refused(k, "cannot delete resource", "DELETE", f"{path}/web")
    refused(k, "bound to no node", "PATCH", f"{path}/web/status", {"status": {"conditions": [others]}}, kind=MERGE,
            config=k.account(SPACE, "roostd"))


def test_agents_make_the_first_pools_once(k):
    def pool(name, cidr):
        return thing("IPPool", name, {"cidr": cidr})

    mark = thing("IPAMConfiguration", "default", {})
    allowed(k, "POST", f"{ROOST}/ippools", pool("first", "10.65.0.0/16"))
    allowed(k, "POST", f"{ROOST}/ippools", pool("second", "10.66.0.0/16"), config=k.n2)
    allowed(k, "POST", f"{ROOST}/ipamconfigurations", mark)
    until(lambda: k.ask("POST", f"{ROOST}/ippools?dryRun=All", pool("third", "10.67.0.0/16"), config=k.n1)[0] == 403,
          "agents to make no further pools")
    refused(k, "people make others", "POST", f"{ROOST}/ippools", pool("third", "10.67.0.0/16"))
    k.must("POST", f"{ROOST}/ippools", pool("third", "10.67.0.0/16"))
    refused(k, "cannot delete resource", "DELETE", f"{ROOST}/ipamconfigurations/default")


def condition(kind, status="False"):
    return {"status": {"conditions": [{"type": kind, "status": status, "reason": "x", "message": "x"}]}}


STRATEGIC = "application/strategic-merge-patch+json"


def test_of_its_node_an_agent_changes_the_condition_and_the_taints_of_the_network(k):
    allowed(k, "PATCH", "/api/v1/nodes/n1/status", condition("NetworkUnavailable"), kind=STRATEGIC)
    left = [t for t in k.must("GET", "/api/v1/nodes/n1")["spec"]["taints"] if t["key"] not in (NETWORK, "roost.io/starting")]
    allowed(k, "PATCH", "/api/v1/nodes/n1", [{"op": "replace", "path": "/spec/taints", "value": left}], kind=JSON_PATCH)
    equal({t["key"] for t in k.must("GET", "/api/v1/nodes/n1")["spec"]["taints"]}, {OTHERS}, "the taints")
    for path, patch, said in (("n1", {"spec": {"taints": []}}, "nothing but the taints"),
                              ("n1", {"metadata": {"labels": {"rack": "r2"}}}, "nothing but the taints"),
                              ("n1", {"spec": {"unschedulable": True}}, "nothing but the taints"),
                              ("n1/status", condition("Ready", "True"), "nothing but the condition"),
                              ("n1/status", {"status": {"addresses": [{"type": "InternalIP", "address": "10.0.0.1"}]}},
                               "nothing but the condition"),
                              ("n1/status", {"status": {"capacity": {"cpu": "99"}}}, "nothing but the condition"),
                              ("n2", {"metadata": {"annotations": {"roost.io/x": "y"}}}, "may not write Node n2"),
                              ("n2/status", condition("NetworkUnavailable"), "may not write Node n2")):
        refused(k, said, "PATCH", f"/api/v1/nodes/{path}", patch, kind=STRATEGIC)
    refused(k, "cannot delete resource", "DELETE", "/api/v1/nodes/n1")
    refused(k, "cannot update resource", "PUT", "/api/v1/nodes/n1", k.must("GET", "/api/v1/nodes/n1"))


def event(node):
    return {"apiVersion": "v1", "kind": "Event", "metadata": {"generateName": "roost-", "namespace": "default"},
            "involvedObject": {"apiVersion": "v1", "kind": "Node", "name": node}, "type": "Warning", "reason": "RoostProblem",
            "message": "x", "reportingComponent": "roost.io/roostd", "reportingInstance": node}


def test_events_are_of_the_own_node(k):
    path = "/api/v1/namespaces/{}/events"
    allowed(k, "POST", path.format("default"), event("n1"))
    refused(k, "makes Events of its own Node, of Services", "POST", path.format("default"), event("n2"))
    of_service = {**event("n1"), "involvedObject": {"apiVersion": "v1", "kind": "Service", "name": "lb", "namespace": "default"}}
    allowed(k, "POST", path.format("default"), of_service)


def test_events_of_pods_are_of_what_was_denied_and_of_the_node_that_made_them(k):
    path = "/api/v1/namespaces/default/events"
    of_pod = {**event("n1"), "reason": "PolicyDenied", "metadata": {"name": "web.1", "namespace": "default"},
              "involvedObject": {"apiVersion": "v1", "kind": "Pod", "name": "web", "namespace": "default"}}
    allowed(k, "POST", path, of_pod)
    allowed(k, "PATCH", f"{path}/web.1", {"count": 2}, kind=MERGE)
    said = "makes Events of its own Node, of Services"
    refused(k, said, "POST", path, {**of_pod, "metadata": {"name": "web.2", "namespace": "default"}, "reason": "Killing"})
    refused(k, said, "POST", path, {**of_pod, "metadata": {"name": "web.2", "namespace": "default"}, "reportingInstance": "n2"})
    refused(k, said, "PATCH", f"{path}/web.1", {"count": 3}, config=k.n2, kind=MERGE)
    refused(k, said, "PATCH", f"{path}/web.1", {"involvedObject": {"name": "db"}}, kind=MERGE)
    made = allowed(k, "POST", path, event("n1"))
    refused(k, said, "PATCH", f"{path}/{made['metadata']['name']}", {"count": 3}, kind=MERGE)


def test_of_a_service_an_agent_writes_the_address_of_the_load_balancer(k):
    address = {"status": {"loadBalancer": {"ingress": [{"ip": "192.0.2.9"}]}}}
    allowed(k, "PATCH", "/api/v1/namespaces/default/services/lb/status", address, kind=MERGE)
    refused(k, "is none", "PATCH", "/api/v1/namespaces/default/services/plain/status",
            {"status": {"conditions": []}}, kind=MERGE)
    refused(k, "cannot patch resource", "PATCH", "/api/v1/namespaces/default/services/lb", {"spec": {}}, kind=MERGE)


def test_leases_are_those_of_the_namespace(k):
    lease = {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": "roost-controller"},
             "spec": {"holderIdentity": "n1"}}
    path = "/apis/coordination.k8s.io/v1/namespaces/{}/leases"
    made = allowed(k, "POST", path.format(SPACE), lease)
    allowed(k, "PUT", f"{path.format(SPACE)}/roost-controller", made)
    refused(k, "cannot create resource", "POST", path.format("kube-system"), lease)
    refused(k, "cannot get resource", "GET", f"{path.format(SPACE)}/another")


def test_a_token_that_is_of_no_pod_writes_nothing(k):
    loose = k.account(SPACE, "roostd")
    refused(k, "bound to no node", "POST", f"{ROOST}/nodestatuses", thing("NodeStatus", "n1", {}), config=loose)
    refused(k, "bound to no node", "DELETE", f"{ROOST}/ipblocks/10-65-1-0-26", config=loose)
    allowed(k, "GET", f"{ROOST}/ippools", config=loose)


def test_people_see_and_change_what_their_role_says(k):
    roles = {}
    for role in ("roost-view", "roost-admin", "roost-operator"):
        roles[role] = k.config(role)
        k.kubectl("create", "clusterrolebinding", f"the-{role}", f"--clusterrole={role}", f"--user={role}")

    def may(role, verb, resource):
        return k.kubectl("auth", "can-i", verb, f"{resource}.roost.io", config=roles[role], ok=False).stdout.strip() == "yes"

    rows = (("roost-view", "get", ("ippools", "roostnodes", "ipblocks", "iploans", "nodestatuses"), True),
            ("roost-view", "get", ("bgppeers", "bgpconfigurations"), False), ("roost-view", "create", ("ippools",), False),
            ("roost-admin", "update", PEOPLES + ("roostnodes",), True), ("roost-admin", "delete", ("ipblocks", "iploans", "nodestatuses"), False),
            ("roost-operator", "delete", PEOPLES + AGENTS, True))
    wrong = [(role, verb, resource) for role, verb, resources, expected in rows for resource in resources
             if may(role, verb, resource) != expected]
    equal(wrong, [], "rights that are not as the role says")


def test_a_person_is_not_held_to_a_node(k):
    k.must("POST", f"{ROOST}/ipblocks", block("10-65-9-0-26", "n9"))
    k.must("DELETE", f"{ROOST}/ipblocks/10-65-9-0-26")
