#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Every golden text of tests/data/bird is read by the BIRD that is installed (bird -p), included by
the main configuration that bird_config_main() prints. That the texts are what bird_config_text() makes is
test_bird_config's part. Skips without a BIRD. ROOST_BIRDTOOL: the executable."""
import os
import shutil
import subprocess
import sys
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
TOOL = os.environ.get("ROOST_BIRDTOOL") or f"{ROOT}/build/release/tests/bird/birdtool"
CASES = f"{ROOT}/tests/data/bird"
DESIRED = f"{ROOT}/tests/data/desired"  # what the agent makes of a cluster ends with BIRD's text


def read_by_bird(folder, text, own=None):
    """What BIRD complains of; "" nothing. own: text of the operator's."""
    shutil.rmtree(folder, ignore_errors=True)
    os.makedirs(f"{folder}/own")
    if text is not None:
        with open(f"{folder}/ours.conf", "w") as f:
            f.write(text)
    if own is not None:
        with open(f"{folder}/own/a.conf", "w") as f:
            f.write(own)
    main = subprocess.run([TOOL, "main", f"{folder}/ours.conf", f"{folder}/own"], check=True,
                          capture_output=True, text=True).stdout
    with open(f"{folder}/main.conf", "w") as f:
        f.write(main)
    done = subprocess.run(["bird", "-p", "-c", f"{folder}/main.conf"], capture_output=True, text=True)
    return "" if done.returncode == 0 and not done.stderr else done.stderr or "failed"


def main():
    if not shutil.which("bird"):
        print("skipped: bird is not installed")
        sys.exit(77)
    failed = 0

    def judge(name, fine, seen=""):
        nonlocal failed
        failed += not fine
        print(f"ok - {name}" if fine else f"FAIL - {name}: {seen}")

    with tempfile.TemporaryDirectory() as temporary:
        folder = f"{temporary}/x.d"
        for case in sorted(os.listdir(CASES)):
            with open(f"{CASES}/{case}/expected") as f:
                complaint = read_by_bird(folder, f.read())
            judge(f"BIRD reads {case}", complaint == "", complaint)
        for case in sorted(os.listdir(DESIRED)):
            with open(f"{DESIRED}/{case}/expected") as f:
                text = f.read()
            complaint = read_by_bird(folder, text[text.index("# Written by roostd"):])
            judge(f"BIRD reads what the agent wants for {case}", complaint == "", complaint)
        complaint = read_by_bird(folder, None)
        judge("BIRD reads a main configuration without our file", complaint == "", complaint)
        complaint = read_by_bird(f"{temporary}/[odd] *?'name", "router id 10.0.0.1;\n")
        judge("BIRD reads a file in a folder of an odd name", complaint == "", complaint)
        complaint = read_by_bird(f"{temporary}/[odd] *?'name", "nonsense\n")
        judge("and it is our file that it reads", "ours.conf:1:" in complaint, complaint)
        complaint = read_by_bird(folder, None, "nonsense\n")
        judge("BIRD reads the operator's folder", "own/a.conf:1:" in complaint, complaint)
        shutil.rmtree(folder)
        with open(f"{temporary}/main.conf", "w") as f:
            f.write(subprocess.run([TOOL, "main", f"{folder}/a/ours.conf", f"{folder}/own"], check=True,
                                   capture_output=True, text=True).stdout)
        done = subprocess.run(["bird", "-p", "-c", f"{temporary}/main.conf"], capture_output=True,
                              text=True)
        judge("BIRD comes up when the folders are not there", done.returncode == 0, done.stderr)
    with open(f"{ROOT}/scripts/bird.conf") as f:
        model = f.read()
    ours = subprocess.run([TOOL, "main", "/run/roost/bird.conf", "/etc/bird/roost.d"], check=True,
                          capture_output=True, text=True).stdout
    judge("scripts/bird.conf is the model with a log", model.endswith("log syslog all;\n\n" + ours))
    sys.exit(failed > 0)


if __name__ == "__main__":
    main()
