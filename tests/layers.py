#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The layering test: which folder may include which, where each library has its one home, and the
bounds of form that a reader relies on (headers of 120 lines, sources of 500, no shell, no sleep)."""
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
MAY_INCLUDE = {
    "lib": {"lib"},
    "ipam": {"lib", "ipam"},
    "plugins": {"lib", "ipam", "plugins"},
    "cluster": {"lib", "ipam", "cluster"},
    "agent": {"lib", "ipam", "cluster", "agent"},
    "cli": {"lib", "ipam", "cluster", "cli"},
}
# A third-party header and the only files that may include it. jansson is part of the public
# interface where a document is passed.
HOMES = {
    "libmnl/": {"lib/net_queue.h", "lib/antispoof.c"},
    "lmdb.h": {"ipam/db.c", "ipam/db.h", "lib/store_lmdb.h"},
    "xxhash.h": {"lib/hash.c"},
    "curl/": {"lib/etcd_http.c"},
    "yaml.h": {"lib/yaml.c"},
    "netlink/": {"agent/kernel.c", "agent/linkcache.c", "agent/vxlan_device.c"},
    "nftables/": {"agent/nft.c"},
    "systemd/": {"agent/roostd.c"},
}
SETNS = {"lib/ns.c"}
FORK = {"lib/exec.c"}
GETENV = {"lib/cni_env.c", "lib/exec.c", "cli/roostctl.c", "cli/options.c", "cli/output.c",
          "agent/conf.c"}


def complaints(path):
    name = str(path.relative_to(ROOT))
    layer = name.split("/")[0]
    text = path.read_text()
    code = re.sub(r"/\*.*?\*/|//[^\n]*|\"(\\.|[^\"\\])*\"", "", text, flags=re.S)
    for include in re.findall(r'^#include "([^"]+)"', text, flags=re.M):
        target = include.split("/")[0]
        if target not in MAY_INCLUDE[layer]:
            yield f"{name} includes {include}: {layer} may not know {target}"
    for include in re.findall(r"^#include <([^>]+)>", text, flags=re.M):
        for header, homes in HOMES.items():
            if include.startswith(header) and name not in homes:
                yield f"{name} includes <{include}>, whose home is {sorted(homes) or 'nowhere'}"
    for words, homes in (("setns", SETNS), ("fork|execve|posix_spawn", FORK), ("getenv", GETENV)):
        if re.search(rf"\b({words})\(", code) and name not in homes:
            yield f"{name} calls {words}: only {sorted(homes)} may"
    if re.search(r"\b(system|popen|strcpy|strcat|sprintf|alloca|sleep|usleep|vfork)\(", code):
        yield f"{name} calls something that the conventions forbid"
    lines = text.count("\n")
    if lines > (120 if name.endswith(".h") else 500):
        yield f"{name} has {lines} lines"
    if not text.startswith("/* SPDX-License-Identifier: Apache-2.0 */\n"):
        yield f"{name} does not begin with its SPDX line"
    if name.endswith(".h") and "#pragma once" not in text:
        yield f"{name} lacks #pragma once"


def main():
    files = [p for layer in MAY_INCLUDE for p in sorted((ROOT / layer).rglob("*.[ch]"))]
    found = [c for p in files for c in complaints(p)]
    for complaint in found:
        print("FAIL -", complaint)
    print(f"{len(files) - len(found) if len(found) < len(files) else 0} passed, {len(found)} failed")
    return 1 if found or not files else 0


if __name__ == "__main__":
    sys.exit(main())
