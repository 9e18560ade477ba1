# SPDX-License-Identifier: Apache-2.0
"""The layering test: which room may include which, no circle of modules, where each library has its
one home, and the form that a reader relies on. A module is one header and its sources; a cut goes along
a meaning; ground functions go down. No number bounds a source; a header has 120 lines at most."""
import pathlib
import re

import pytest

ROOT = pathlib.Path(__file__).resolve().parent.parent
# A room and the rooms whose headers it may include; a path belongs to the longest room that it starts with.
MAY_INCLUDE = {
    "lib": {"lib"},
    "store": {"lib", "store", "store/kube"},
    "store/kube": {"lib", "store", "store/kube"},
    "ipam": {"lib", "ipam"},
    "plugins": {"lib", "ipam", "plugins"},
    "cluster": {"lib", "ipam", "store", "policy", "cluster"},
    "policy": {"lib", "policy"},
    "agent/policy": {"lib", "ipam", "store", "store/kube", "cluster", "policy", "agent/policy"},
    "agent": {"lib", "ipam", "store", "cluster", "policy", "agent", "agent/policy", "agent/desired", "agent/bird", "agent/kernel",
              "agent/filter", "agent/kube", "agent/services", "store/kube"},
    # It makes the values that the other rooms put into effect (their want.h) from those that they found
    # out (facts, settings, the replica): hence their names here. PURE says that nothing else comes along.
    "agent/desired": {"lib", "ipam", "cluster", "agent", "agent/desired", "agent/bird", "agent/kernel",
                      "agent/filter", "agent/services"},
    "agent/services": {"lib", "ipam", "store/kube", "cluster", "agent/services"},
    "agent/bird": {"lib", "cluster", "agent/bird"},
    "agent/kernel": {"lib", "agent/kernel"},
    "agent/filter": {"lib", "agent/filter"},
    "agent/kube": {"lib", "ipam", "store", "store/kube", "cluster", "agent", "agent/kube", "agent/policy", "agent/services",
                   "policy"},
    "cli": {"lib", "ipam", "store", "store/kube", "cluster", "policy", "cli"},
    "cli/conform": {"lib", "cluster", "cli", "cli/conform"},  # it knows probes by their lines alone: cli/line.h
    "cli/policy": {"lib", "store/kube", "cluster", "policy", "cli", "cli/policy"},
    "cli/probe": {"lib", "cli", "cli/probe"},
}
# Headers of something that has a descriptor: a file, a socket, a process. What is pure includes none
# of them, not even through another header.
PURE = {"agent/desired", "policy"}
DESCRIPTORS = {"store/store.h", "store/kube/kube.h", "agent/kernel/kernel.h", "agent/bird/bird.h", "agent/bird/ctl.h",
               "lib/nft.h", "agent/server.h", "agent/listener.h", "lib/net.h", "lib/file.h",
               "lib/ns.h", "lib/exec.h", "ipam/node.h", "ipam/agent_lock.h"}
# A third-party header and the only files that may include it. jansson is part of the public
# interface where a document is passed.
HOMES = {
    "lmdb.h": {"ipam/db.c", "ipam/db.h", "store/store_lmdb.h"},
    "xxhash.h": {"lib/hash.c"},
    "curl/": {"store/http.c"},
    "yaml.h": {"lib/yaml.c"},
    "netlink/": {"agent/kernel/kernel.c", "agent/kernel/linkcache.c", "agent/kernel/vxlan_device.c"},
    "libnftnl/": {"lib/nft_build.c", "lib/nft_inspect.c", "lib/nft_read.c", "lib/nft_rule.c",
                  "lib/nft_table.c"},
    "systemd/": {"agent/roostd.c"},
}
SETNS = {"lib/ns.c"}
FORK = {"lib/exec.c"}
GETENV = {"lib/cni_env.c", "lib/exec.c", "cli/roostctl.c", "cli/options.c", "cli/output.c",
          "agent/arguments.c"}


def room(name):
    return max((r for r in MAY_INCLUDE if name.startswith(r + "/")), key=len, default=None)


def includes(text):
    return re.findall(r'^#include "([^"]+)"', text, flags=re.M)


def code_of(text):
    """Without comments and strings."""
    return re.sub(r"/\*.*?\*/|//[^\n]*|\"(\\.|[^\"\\])*\"", "", text, flags=re.S)


def wrong_arrows(name, text):
    for include in includes(text):
        if room(include) not in MAY_INCLUDE[room(name)]:
            yield f"{name} includes {include}: {room(name)} may not know {room(include)}"


def libraries_outside_their_home(name, text):
    for include in re.findall(r"^#include <([^>]+)>", text, flags=re.M):
        for header, homes in HOMES.items():
            if include.startswith(header) and name not in homes:
                yield f"{name} includes <{include}>, whose home is {sorted(homes) or 'nowhere'}"


def calls_outside_their_home(name, text):
    for words, homes in (("setns", SETNS), ("fork|execve|posix_spawn", FORK), ("getenv", GETENV)):
        if re.search(rf"\b({words})\(", code_of(text)) and name not in homes:
            yield f"{name} calls {words}: only {sorted(homes)} may"


def forbidden_calls(name, text):
    if re.search(r"\b(system|popen|strcpy|strcat|sprintf|alloca|sleep|usleep|vfork)\(", code_of(text)):
        yield f"{name} calls something that the conventions forbid"
    if re.search(r"\bpoll\(NULL, 0,", code_of(text)):
        yield f"{name} sleeps by poll()"


def faults_of_form(name, text):
    if name.endswith(".h") and text.count("\n") > 120:
        yield f"{name} has {text.count(chr(10))} lines: more than one module, perhaps"
    if not text.startswith("/* SPDX-License-Identifier: Apache-2.0 */\n"):
        yield f"{name} does not begin with its SPDX line"
    if name.endswith(".h") and "#pragma once" not in text:
        yield f"{name} lacks #pragma once"


def reached(start, graph):
    """What start includes, and what that includes, and so on."""
    seen, todo = set(), [start]
    while todo:
        for target in graph.get(todo.pop(), ()):
            if target not in seen:
                seen.add(target)
                todo.append(target)
    return seen


def impure(texts):
    graph = {name: includes(text) for name, text in texts.items()}
    for name in texts:
        if room(name) in PURE:
            for header in sorted(reached(name, graph) & DESCRIPTORS):
                yield f"{name} reaches {header}: {room(name)} is pure"


def defined(text):
    """Names of functions with external linkage that a source defines."""
    return {m.group(1) for m in re.finditer(
        r"^(?!static\b|typedef\b|extern\b|__attribute__\b|#|\})[A-Za-z_][^\n;{}=#]*?\b(\w+)\((?:[^;{}]*)\)\n\{", text, flags=re.M)}


def circles(texts):
    """Sources that need each other's functions. A source is a node; an arrow is a call (or the address of a function)."""
    code = {n: re.sub(r"/\*.*?\*/|\"(\\.|[^\"\\\n])*\"", "", t, flags=re.S)
            for n, t in texts.items() if n.endswith(".c")}
    home = {function: name for name, text in code.items() for function in defined(text)}
    graph = {}
    why = {}
    for name, text in code.items():
        graph[name] = set()
        for word in set(re.findall(r"\b[a-z_]\w*\b", text)):
            if word in home and home[word] != name and room(home[word]) in MAY_INCLUDE[room(name)]:
                graph[name].add(home[word])
                why.setdefault((name, home[word]), word)
    return strong(graph), graph, why


def strong(graph):
    """Sets of more than one node that reach each other (Tarjan's algorithm)."""
    index, low, stack, found = {}, {}, [], []

    def visit(node):
        index[node] = low[node] = len(index)
        stack.append(node)
        for target in sorted(graph[node]):
            if target not in index:
                visit(target)
                low[node] = min(low[node], low[target])
            elif target in stack:
                low[node] = min(low[node], index[target])
        if low[node] == index[node]:
            at = stack.index(node)
            if len(stack) - at > 1:
                found.append(sorted(stack[at:]))
            del stack[at:]

    for node in sorted(graph):
        if node not in index:
            visit(node)
    return found


@pytest.fixture(scope="module")
def texts():
    layers = sorted({r.split("/")[0] for r in MAY_INCLUDE})
    files = [p for layer in layers for p in sorted((ROOT / layer).rglob("*.[ch]"))]
    assert files
    return {str(p.relative_to(ROOT)): p.read_text() for p in files}


@pytest.mark.parametrize("check", [wrong_arrows, libraries_outside_their_home, calls_outside_their_home,
                                   forbidden_calls, faults_of_form], ids=lambda check: check.__name__)
def test_sources_have_no(check, texts):
    found = [complaint for name, text in texts.items() for complaint in check(name, text)]
    assert not found, "\n".join(found)


def test_what_is_pure_reaches_nothing_that_has_a_descriptor(texts):
    found = list(impure(texts))
    assert not found, "\n".join(found)


def test_no_sources_need_each_other(texts):
    found, graph, why = circles(texts)
    arrows = [[f"{a} -> {b} ({why[a, b]})" for a in circle for b in sorted(graph[a]) if b in circle]
              for circle in found]
    assert not found, "\n".join("; ".join(a) for a in arrows)
