# SPDX-License-Identifier: Apache-2.0
"""roostctl policy, with files instead of a cluster: what it prints, its documents, its exit statuses; what it shows of
a node, by what an agent says (a stand-in); and the recipes of docs/POLICY-RECIPES.md, which must mean what they say."""
import contextlib
import json
import os
import pathlib
import re
import socket
import subprocess
import threading

import pytest

ROOT = pathlib.Path(__file__).resolve().parent.parent
BIN = pathlib.Path(os.environ.get("ROOST_BIN", ROOT / "build/release/bin"))
RECIPES = re.findall(r"^## ([^\n]+)\n.*?```yaml\n(.*?)```", (ROOT / "docs/POLICY-RECIPES.md").read_text(), flags=re.S | re.M)
CLUSTER = """
{apiVersion: v1, kind: Pod, metadata: {name: web, namespace: shop, labels: {app: web}}}
---
{apiVersion: v1, kind: Pod, metadata: {name: db, namespace: shop, labels: {app: db}}}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: db, namespace: shop}
spec:
  podSelector: {matchLabels: {app: db}}
  ingress:
  - from: [{podSelector: {matchLabels: {app: api}}}]
    ports: [{port: 5432}]
  - from: [{podSelector: {matchLabels: {app: web}}}]
    ports: [{port: 9187}]
"""


def roostctl(*words, stdin=""):
    return subprocess.run([BIN / "roostctl", *words], capture_output=True, text=True, timeout=30, input=stdin)


def policy(*words, files=CLUSTER):
    return roostctl("policy", *words, "-f", "-", stdin=files)


def with_cases(*cases):
    return CLUSTER + "---\nkind: PolicyTest\ncases:\n" + "".join(f"- {case}\n" for case in cases)


@contextlib.contextmanager
def agent(folder, answers):
    """A socket at which each op is answered from answers."""
    path = f"{folder}/agent.sock"
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as s:
        s.bind(path)
        s.listen()

        def serve():
            while True:
                peer, _ = s.accept()
                with contextlib.suppress(BrokenPipeError), peer, peer.makefile("rw") as f:
                    line = f.readline()
                    if not line:
                        return  # the end, see below
                    request = json.loads(line)
                    f.write(json.dumps(answers[request["op"]](request)) + "\n")

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield path
        finally:
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as last:
                last.connect(path)
            thread.join()


POLICIES = """
apiVersion: projectcalico.org/v3
kind: NetworkPolicy
metadata: {name: db, namespace: shop}
spec:
  selector: app == 'db'
  ingress: [{action: Allow, source: {selector: app == 'web'}}]
---
apiVersion: projectcalico.org/v3
kind: GlobalNetworkPolicy
metadata: {name: elsewhere}
spec: {selector: app == 'x', types: [Egress]}
"""
SINCE = "2026-03-02T09:14:53Z"


def counter(kind, packets, way="", *policies):
    return {"name": "x_1", "kind": kind, "way": way, "policies": policies, "of": "", "since": SINCE,
            "packets": packets, "bytes": 60 * packets}


COUNTERS = [counter("allowed", 12, "", "Calico NetworkPolicy shop/db"), counter("denied", 1, "", "Calico NetworkPolicy shop/db"),
            counter("isolated", 3, "in", "Calico NetworkPolicy shop/all", "Calico NetworkPolicy shop/db"),
            counter("pending", 7), counter("allowed", 99, "", "NetworkPolicy shop/db")]


@pytest.fixture
def node(tmp_path):
    """roostctl policy on a machine with a store and an agent."""
    (tmp_path / "roostd.json").write_text("{}")
    common = ["--store", f"file:{tmp_path}/store", "--config", tmp_path / "roostd.json"]
    done = roostctl("apply", "-f", "-", *common, stdin=POLICIES)
    assert done.returncode == 0, done
    return tmp_path, lambda *words, socket_path="/nowhere": roostctl("policy", *words, *common, "--socket", socket_path)


def test_what_a_node_counted_is_listed_and_shown(node):
    folder, ask = node
    with agent(folder, {"policy-counters": lambda _: {"told": True, "counters": COUNTERS}}) as path:
        assert ask("list", socket_path=path).stdout == """\
POLICY                         TIER     ORDER  PODS  INGRESS  EGRESS    ALLOWED  DENIED  NOTE
Calico NetworkPolicy shop/db   default   last     0  1 rule   -              12       4
GlobalNetworkPolicy elsewhere  default   last     0  -        no rules        -       -
"""
        assert ask("show", "shop/db", socket_path=path).stdout == f"""\
policy        Calico NetworkPolicy shop/db
tier          default, order last
selects       pods app == "db" of namespace shop
ingress       1 rule
  ingress[0]: allow from pods app == "web" of namespace shop
egress        not judged by this policy
counted here  the first packets of connections
  allowed: 12 packets, 720 bytes since {SINCE}
  denied: 1 packet, 60 bytes since {SINCE}
  isolated in: 3 packets, 180 bytes since {SINCE}, together with Calico NetworkPolicy shop/all
pods          none: it selects nobody
"""
        assert "counted here  nothing: it selects no pod of this node" in ask("show", "elsewhere", socket_path=path).stdout
        rows = json.loads(ask("list", "-o", "json", socket_path=path).stdout)["policies"]
        assert rows[0]["counters"] == {
            "allowed": {"packets": 12, "bytes": 720, "since": SINCE}, "denied": {"packets": 1, "bytes": 60, "since": SINCE},
            "isolated": [{"packets": 3, "bytes": 180, "since": SINCE, "way": "in",
                          "policies": ["Calico NetworkPolicy shop/all", "Calico NetworkPolicy shop/db"]}]}
        assert rows[1]["counters"] == {"isolated": []}
        [shown] = json.loads(ask("show", "shop/db", "-o", "json", socket_path=path).stdout)
        assert shown["counters"] == rows[0]["counters"]


def test_without_an_agent_there_are_no_counters(node):
    _, ask = node
    done = ask("list")
    assert not done.stderr and done.stdout.startswith("POLICY                         TIER     ORDER  PODS  INGRESS  EGRESS    NOTE\n")
    assert [row["counters"] for row in json.loads(ask("list", "-o", "json").stdout)["policies"]] == [None, None]
    assert "counted" not in ask("show", "shop/db").stdout


def test_an_agent_that_does_not_tell_is_named(node):
    folder, ask = node
    refusal = {"error": "network policies are not enforced here (policy.enforce)", "errno": "EINVAL"}
    with agent(folder, {"policy-counters": lambda _: refusal}) as path:
        done = ask("list", socket_path=path)
        assert done.returncode == 0 and "ALLOWED" not in done.stdout
        assert done.stderr == "roostctl: counters of this node are not shown: network policies are not enforced here (policy.enforce)\n"


DENIED = {"kind": "denied", "way": "in", "source": "10.65.0.7", "sourcePod": "shop/web", "destination": "10.65.1.3",
          "destinationPod": "shop/db", "port": "5432/TCP", "by": "NetworkPolicy shop/db", "isolated": True, "count": 3,
          "first": SINCE, "last": SINCE}
OUTSIDE = {**DENIED, "source": "192.0.2.1", "sourcePod": "", "by": "GlobalNetworkPolicy g", "isolated": False, "count": 1}
EARLY = {**DENIED, "sourcePod": "shop/a\x1b[2J", "by": "", "isolated": False}


def test_what_was_denied_is_listed(node):
    folder, ask = node
    with agent(folder, {"policy-denied": lambda _: {"number": 9, "denied": [DENIED, OUTSIDE, EARLY]}}) as path:
        assert ask("denied", socket_path=path).stdout == f"""\
LAST                  PACKETS  WAY  FROM                  TO                 PORT      WHY
{SINCE}        3  in   shop/web 10.65.0.7    shop/db 10.65.1.3  5432/TCP  isolated by NetworkPolicy shop/db
{SINCE}        1  in   192.0.2.1             shop/db 10.65.1.3  5432/TCP  by GlobalNetworkPolicy g
{SINCE}        3  in   shop/a?[2J 10.65.0.7  shop/db 10.65.1.3  5432/TCP  its policies are not known yet, or not any more
"""
        assert json.loads(ask("denied", "-o", "json", socket_path=path).stdout) == {"denied": [DENIED, OUTSIDE, EARLY]}
    done = ask("denied")
    assert done.returncode == 1 and "/nowhere" in done.stderr, done


def test_what_staged_policies_would_deny_is_listed(node):
    folder, ask = node
    staged = {**DENIED, "kind": "staged", "by": "StagedNetworkPolicy shop/db"}
    del staged["isolated"]
    with agent(folder, {"policy-denied": lambda r: {"number": 1, "denied": [staged] if r["staged"] else []}}) as path:
        assert ask("denied", "--staged", socket_path=path).stdout == f"""\
LAST                  LOOKS  WAY  FROM                TO                 PORT      WHY
{SINCE}      3  in   shop/web 10.65.0.7  shop/db 10.65.1.3  5432/TCP  would be denied with StagedNetworkPolicy shop/db
"""
        assert ask("denied", socket_path=path).stderr == "roostctl: no packet was denied here lately\n"


def test_what_is_denied_is_followed(node):
    """Each answer is followed by one that is new; an agent that began anew has a smaller number."""
    folder, _ = node
    asked, enough = [], threading.Event()
    news = [(9, [DENIED]), (9, []), (10, [OUTSIDE]), (2, [])]

    def answer(request):
        asked.append(request["after"])
        if len(asked) == 6:
            enough.set()
        number, entries = news[min(len(asked), len(news)) - 1]
        return {"number": number, "denied": entries}

    with agent(folder, {"policy-denied": answer}) as path:
        words = [BIN / "roostctl", "policy", "denied", "--follow", "--socket", path]
        with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as p:
            lines = [p.stdout.readline() for _ in range(2)]
            assert enough.wait(30)
            p.terminate()
    assert lines == [f"{SINCE} 3 packets in: shop/web 10.65.0.7 -> shop/db 10.65.1.3 5432/TCP, isolated by NetworkPolicy shop/db\n",
                     f"{SINCE} 1 packet in: 192.0.2.1 -> shop/db 10.65.1.3 5432/TCP, by GlobalNetworkPolicy g\n"]
    assert asked[:6] == [0, 9, 9, 10, 0, 2]


def test_explain_names_the_nearest_miss_and_exits_with_the_verdict():
    done = policy("explain", "shop/web", "shop/db", "5432")
    assert done.returncode == 1 and not done.stderr, done
    assert re.match(r"shop/web \(\S+\) -> shop/db \(\S+\), 5432/TCP: denied\negress: allowed\n", done.stdout), done.stdout
    assert 'ingress[0]: pod web is not app == "api": the label app is "web"' in done.stdout
    assert "ingress[1]: 5432/TCP is not 9187/TCP" in done.stdout
    assert "denied: isolated for ingress by NetworkPolicy shop/db, and no rule allows 5432/TCP from shop/web" in done.stdout
    done = policy("explain", "shop/web", "shop/db", "9187")
    assert done.returncode == 0 and "allowed by NetworkPolicy shop/db, ingress[1]" in done.stdout, done


def test_explain_says_when_there_is_no_verdict():
    for words, sentence in [(("shop/wep", "shop/db", "80"), "there is no pod shop/wep: did you mean shop/web?"),
                            (("shop/web", "shop/db", "http"), 'no port of the name "http"'),
                            (("shop/web", "shop/db", "0"), '"0" is no port')]:
        done = policy("explain", *words)
        assert done.returncode == 2 and sentence in done.stderr and not done.stdout, done
    done = policy("explain", "shop/web", "shop/db", "80", files="kind: [")
    assert done.returncode == 2 and "stdin" in done.stderr, done


def test_explain_as_a_document():
    answer = json.loads(policy("explain", "shop/web", "shop/db", "5432", "-o", "json").stdout)
    assert answer["allowed"] is False and len(answer["flows"]) == 2
    flow = answer["flows"][0]
    assert flow["egress"]["allowed"] and not flow["ingress"]["allowed"]
    assert [s["kind"] for s in flow["ingress"]["steps"]] == ["tier", "policy", "miss", "miss", "end", "verdict"]
    assert flow["ingress"]["steps"][2]["policy"] == "NetworkPolicy shop/db" and flow["ingress"]["steps"][2]["rule"] == 0


def test_staged_policies_count_when_they_are_asked_for():
    files = CLUSTER + """---
apiVersion: projectcalico.org/v3
kind: StagedGlobalNetworkPolicy
metadata: {name: nothing}
spec: {selector: all(), types: [Ingress, Egress]}
"""
    assert policy("explain", "shop/web", "shop/db", "9187", files=files).returncode == 0
    done = policy("explain", "shop/web", "shop/db", "9187", "--staged", files=files)
    assert done.returncode == 1 and "StagedGlobalNetworkPolicy nothing" in done.stdout, done


def test_list_and_show():
    done = policy("list")
    assert done.returncode == 0
    assert re.search(r"^NetworkPolicy shop/db +default +1000 +1 +2 rules +-$", done.stdout, flags=re.M), done.stdout
    row = json.loads(policy("list", "-o", "json").stdout)["policies"][0]
    assert row["pods"] == 1 and row["ingress"] == 2 and row["egress"] is None
    done = policy("show", "shop/db")
    assert done.returncode == 0
    assert 'ingress[0]: allow to ports 5432/TCP from pods app == "api" of namespace shop' in done.stdout, done.stdout
    assert "  shop/db 198.18.0." in done.stdout
    done = policy("show", "dp")
    assert done.returncode == 1 and "there is no policy dp" in done.stderr, done
    assert roostctl("policy", "list", "-f", "/nowhere").returncode == 1


def test_cases_may_be_about_staged_policies():
    files = with_cases("{from: shop/web, to: shop/db, port: 9187, expect: allow}") + """---
apiVersion: projectcalico.org/v3
kind: StagedGlobalNetworkPolicy
metadata: {name: nothing}
spec: {selector: all(), types: [Ingress, Egress]}
"""
    assert policy("test", files=files).returncode == 0
    done = policy("test", "--staged", files=files)
    assert done.returncode == 1 and "StagedGlobalNetworkPolicy nothing" in done.stdout, done


def test_cases_that_fail_say_why_and_where():
    done = policy("test", files=with_cases("{from: shop/web, to: shop/db, port: 9187, expect: allow}"))
    assert done.returncode == 0 and done.stdout == "1 case passed\n", done
    done = policy("test", files=with_cases(
        "{name: n, from: [shop/web, 192.0.2.1], to: shop/db, port: [5432, 9187], expect: allow}",
        "{from: shop/nobody, to: shop/db, port: 80, expect: deny}"))
    assert done.returncode == 1, done
    assert re.search(r"^stdin:\d+: n: shop/web -> shop/db, 5432: is denied, expected allow\n    ingress: denied: isolated", done.stdout, flags=re.M)
    assert "shop/nobody -> shop/db, 80: there is no pod shop/nobody" in done.stdout
    assert done.stdout.endswith("4 of 5 cases failed\n")


@pytest.mark.parametrize("case, sentence", [
    ("{from: shop/web, to: shop/db, port: 80}", "expect must be allow or deny"),
    ("{from: shop/web, to: shop/db, expect: deny}", "port must be a text or a list of texts"),
    ("{from: [], to: shop/db, port: 80, expect: deny}", "from must be a text or a list of texts"),
    ("{from: shop/web, too: shop/db, port: 80, expect: deny}", "too"),
    ("text", "a case is an object"),
])
def test_wrong_cases_are_refused_with_their_line(case, sentence):
    done = policy("test", files=with_cases(case))
    assert done.returncode == 2 and not done.stdout, done
    assert re.match(r"roostctl: stdin:\d+: ", done.stderr) and sentence in done.stderr, done


def test_files_without_cases_are_no_test():
    done = policy("test")
    assert done.returncode == 2 and "no file has a document of kind PolicyTest" in done.stderr, done
    assert roostctl("policy", "test").returncode == 2


def test_an_object_that_is_there_twice_is_refused():
    done = policy("list", files=CLUSTER + "---" + CLUSTER)
    assert done.returncode == 1 and done.stderr.count("this object is there already") == 3, done


@pytest.mark.parametrize("title, manifest", RECIPES, ids=[title for title, _ in RECIPES])
def test_recipes_mean_what_they_say(title, manifest):
    done = roostctl("policy", "test", "-f", "-", stdin=manifest)
    assert done.returncode == 0 and done.stdout.endswith("passed\n"), done.stdout + done.stderr


def test_there_are_recipes():
    assert len(RECIPES) >= 6
