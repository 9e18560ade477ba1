# SPDX-License-Identifier: Apache-2.0
"""Documents that roostctl's reader is known to take or to refuse: the table of tests/unit/test_resource.c and
the folders of tests/data/resource/. What is said of them there is what an API server is held against."""
import ast
import pathlib
import re

import yaml

ROOT = pathlib.Path(__file__).resolve().parents[2]
NEEDED = {"BGPPeer": {"peerIP": "10.0.0.9", "asNumber": 1}, "IPPool": {"cidr": "10.65.0.0/16"}}


class Text(yaml.SafeLoader):
    """YAML 1.2's core schema, which roost reads: yes and on are texts, no dates, no base 60."""


Text.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag.rpartition(":")[2] in ("null",)]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()}
for tag, pattern, first in (("bool", r"true|True|TRUE|false|False|FALSE", "tTfF"),
                            ("int", r"[-+]?[0-9]+", "-+0123456789"),
                            ("float", r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?", "-+.0123456789")):
    Text.add_implicit_resolver(f"tag:yaml.org,2002:{tag}", re.compile(f"^({pattern})$"), first)


def load(text):
    return yaml.load(text, Loader=Text)


def table():
    """(kind, spec, sentence of the refusal or None)"""
    text = (ROOT / "tests/unit/test_resource.c").read_text()
    defines = dict(re.findall(r'^#define (MUST_\w+) (".*")$', text, re.M))
    body = text.split("static const struct one table[] = {")[1].split("\n\t};")[0]
    string = r'"(?:[^"\\]|\\.)*"'
    for kind, field, sentence in re.findall(rf'\{{"(\w+)",\s*({string}),\s*(NULL|(?:{string}|MUST_\w+|\s)+)\}}', body):
        sentence = re.sub(r"MUST_\w+", lambda m: defines[m.group()], sentence)
        sentence = None if sentence == "NULL" else "".join(map(ast.literal_eval, re.findall(string, sentence)))
        spec = {**NEEDED.get(kind, {}), **load(ast.literal_eval(field).replace("\n  ", "\n"))}
        yield kind, spec, sentence


def folders():
    """(folder and number, document, refused)"""
    for folder in sorted((ROOT / "tests/data/resource").iterdir()):
        text, expected = (folder / "input").read_text(), (folder / "expected").read_text()
        refused = {int(n) for n in re.findall(r"^line (\d+):", expected, re.M)}
        parts = re.split(r"^---\n", text, flags=re.M)
        first = 1
        for i, part in enumerate(parts):
            last = first + part.count("\n")
            yield f"{folder.name}[{i}]", load(part), any(first <= n < last for n in refused)
            first = last + 1


def for_kube(doc):
    """The same as the API server has it."""
    doc = dict(doc)
    doc["apiVersion"] = "roost.io/v1"
    if doc.get("kind") == "Node":
        doc["kind"] = "RoostNode"
    return doc
