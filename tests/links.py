#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What the CNI executables load at start: every library costs time in every ADD."""
import os
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
BIN = pathlib.Path(os.environ.get("ROOST_BIN", ROOT / "build/release/bin"))
# libmnl may not be in roost-ipam: it knows no kernel.
ALLOWED = {
    "roost": {"libmnl", "libjansson", "liblmdb", "libc"},
    "roost-ipam": {"libjansson", "liblmdb", "libc"},
}
SANITIZERS = {"libasan", "libubsan", "libm", "libgcc_s"}


def main():
    failed = 0
    for name, allowed in ALLOWED.items():
        out = subprocess.run(["readelf", "-d", BIN / name], capture_output=True, text=True, check=True)
        needed = set(re.findall(r"NEEDED.*\[([a-zA-Z0-9_+-]+)\.so", out.stdout))
        extra = needed - allowed - (SANITIZERS if "libasan" in needed else set())
        failed += bool(extra)
        print("FAIL" if extra else "ok", f"- {name} links {', '.join(sorted(needed))}",
              f"(not allowed: {', '.join(sorted(extra))})" if extra else "")
    print(f"{len(ALLOWED) - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
