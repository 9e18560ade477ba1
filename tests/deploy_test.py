# SPDX-License-Identifier: Apache-2.0
"""The files of deploy/ that can be judged without a Kubernetes; tests/kube/ holds them against one."""
import pathlib
import subprocess

ROOT = pathlib.Path(__file__).resolve().parent.parent


def test_the_definitions_are_what_their_program_writes():
    done = subprocess.run(["/usr/bin/python3", "-B", f"{ROOT}/deploy/crds.py", "--check"], capture_output=True, text=True)
    assert done.returncode == 0, f"{done.stderr}run deploy/crds.py"
