#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What each executable loads at start: every library costs time in every ADD, and brings its licence along.
docs/LICENCES.md has the list; here it is compared with what was built."""
import os
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
BIN = pathlib.Path(os.environ.get("ROOST_BIN", ROOT / "build/release/bin"))
# These are slow to load, or under a licence that the executable shall not come under. libmnl may not be in
# roost-ipam: it knows no kernel.
NEVER = {"roost": {"libcurl", "libnftnl", "libyaml", "libsystemd"},
         "roost-ipam": {"libcurl", "libnftnl", "libyaml", "libsystemd", "libmnl"},
         "roostctl": {"libnftnl"}, "roostd": set()}
# In some builds inside of the executable, in others loaded.
EITHER = {"libjansson", "liblmdb"}
SANITIZERS = {"libasan", "libubsan", "libm", "libgcc_s"}
NAMES = {"libnl-3": "libnl", "libnl-route-3": "libnl-route", "libyaml-0": "libyaml"}


def rows(text, heading):
    """The cells of the table below a heading, by the first one."""
    table = text.split(heading, 1)[1].split("\n## ", 1)[0]
    cells = [[c.strip().strip("`") for c in line.strip("|").split("|")]
             for line in table.splitlines() if line.startswith("|")]
    return {row[0]: row[1:] for row in cells[2:]}


def loaded(executable):
    out = subprocess.run(["readelf", "-d", BIN / executable], capture_output=True, text=True, check=True)
    needed = set(re.findall(r"NEEDED.*\[([a-zA-Z0-9_+-]+)\.so", out.stdout))
    needed -= SANITIZERS if "libasan" in needed else set()
    return {NAMES.get(n, n) for n in needed} - EITHER


def complaints():
    text = (ROOT / "docs/LICENCES.md").read_text()
    said = rows(text, "## What each executable loads")
    licences = rows(text, "## The libraries")
    if set(said) != set(NEVER):
        yield f"docs/LICENCES.md is about {sorted(said)}, not {sorted(NEVER)}"
    for name in NEVER:
        libraries = set(said[name][0].split())
        if loaded(name) != libraries:
            yield f"{name} loads {sorted(loaded(name))}, docs/LICENCES.md says {sorted(libraries)}"
        if loaded(name) & NEVER[name]:
            yield f"{name} loads {sorted(loaded(name) & NEVER[name])}"
        for library in libraries - set(licences):
            yield f"docs/LICENCES.md has no licence of {library}"
        gpl = any(licences[library][1].startswith("GPL") for library in libraries & set(licences))
        if gpl != said[name][2].startswith("GPL-3"):
            yield f"docs/LICENCES.md: the terms of {name} do not follow from its libraries"


def main():
    found = list(complaints())
    for complaint in found:
        print("FAIL -", complaint)
    print(f"{len(NEVER)} executables, {len(found)} failed")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
