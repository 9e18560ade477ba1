# SPDX-License-Identifier: Apache-2.0
"""What each executable loads at start: every library costs time in every ADD, and brings its licence along.
docs/LICENCES.md has the list; here it is compared with what was built."""
import os
import pathlib
import re
import subprocess

import pytest

ROOT = pathlib.Path(__file__).resolve().parent.parent
BIN = pathlib.Path(os.environ.get("ROOST_BIN", ROOT / "build/release/bin"))
# These are slow to load, or under a licence that the executable shall not come under.
NEVER = {"roost": {"libcurl", "libnftnl", "libyaml", "libsystemd"},
         "roost-ipam": {"libcurl", "libnftnl", "libyaml", "libsystemd"},
         "roostctl": {"libnftnl"}, "roostd": set()}
# In some builds inside of the executable, in others loaded; the same for libc in what is started for every pod.
EITHER = {"libjansson", "liblmdb"}
STATIC = {"roost", "roost-ipam"}
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
    return {NAMES.get(n, n) for n in needed} - EITHER - ({"libc"} if executable in STATIC else set())


def is_static_build():
    cache = (BIN.parent / "CMakeCache.txt").read_text()
    return "ROOST_STATIC:BOOL=ON" in cache


@pytest.fixture(scope="module")
def page():
    return (ROOT / "docs/LICENCES.md").read_text()


def test_the_page_is_about_these_executables(page):
    assert set(rows(page, "## What each executable loads")) == set(NEVER)


@pytest.mark.parametrize("name", NEVER)
def test_an_executable_loads_what_the_page_says_under_these_terms(page, name):
    said = rows(page, "## What each executable loads")[name]
    licences = rows(page, "## The libraries")
    libraries = set(said[0].split()) - {"none"}
    assert loaded(name) == libraries
    assert not loaded(name) & NEVER[name]
    assert libraries <= set(licences), "libraries without a licence"
    gpl = any(licences[library][1].startswith("GPL") for library in libraries)
    assert gpl == said[2].startswith("GPL-3"), "the terms follow from the libraries"


@pytest.mark.parametrize("name", sorted(STATIC))
def test_what_is_started_for_every_pod_is_static_in_a_release_and_at_a_random_address(name):
    out = subprocess.run(["readelf", "-hlW", BIN / name], capture_output=True, text=True, check=True).stdout
    assert ("INTERP" not in out) == is_static_build(), "whether it asks for the dynamic linker"
    assert re.search(r"Type: +DYN", out), "it is linked to one address"
    assert re.search(r"GNU_STACK.* RW ", out) and "GNU_RELRO" in out
