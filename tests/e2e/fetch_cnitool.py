#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Builds cnitool of libcni 1.3 from its Go module into build/cnitool, unless it is there.

libcni_test.py runs it. Debian's packaged libcni is older than STATUS and GC. The module is asked for
by its version, and the checksum database of Go vouches for it. Exit status 77: there is no Go that
can compile it."""
import os
import re
import shutil
import subprocess
import sys

VERSION = "1.3.0"
NEEDS = (1, 20)  # of Go
ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
CNITOOL = f"{ROOT}/build/cnitool/{VERSION}/cnitool"


def version_of(go):
    said = subprocess.run([go, "env", "GOVERSION"], capture_output=True, text=True).stdout
    found = re.match(r"go(\d+)\.(\d+)", said)
    return (int(found[1]), int(found[2])) if found else (0, 0)


def find_go():
    """The first Go that is new enough: the one in PATH, or beside Debian's."""
    for go in (shutil.which("go"), "/usr/local/go/bin/go"):
        if go and os.access(go, os.X_OK) and version_of(go) >= NEEDS:
            return go
    return None


def main():
    if os.access(CNITOOL, os.X_OK):
        return 0
    go = find_go()
    if not go:
        print(f"cnitool {VERSION} needs Go {NEEDS[0]}.{NEEDS[1]} or newer, in PATH or /usr/local/go")
        return 77
    fresh = f"{CNITOOL}.{os.getpid()}"
    package = f"github.com/containernetworking/cni/cnitool@v{VERSION}"
    # Go keeps its cache at home; a service may have none.
    env = dict({"HOME": os.path.expanduser("~"), **os.environ}, GOBIN=fresh, GOFLAGS="", GO111MODULE="on",
               GOTOOLCHAIN="local", CGO_ENABLED="0")
    try:
        subprocess.run([go, "install", package], env=env, check=True)
        os.rename(f"{fresh}/cnitool", CNITOOL)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
