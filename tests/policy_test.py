# SPDX-License-Identifier: Apache-2.0
"""roostctl policy, with files instead of a cluster: what it prints, its documents, its exit statuses; and the
recipes of docs/POLICY-RECIPES.md, which must mean what they say."""
import json
import os
import pathlib
import re
import subprocess

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
