# SPDX-License-Identifier: Apache-2.0
"""A machine that has nothing: a Debian 12 root made by debootstrap, with the repository inside, on which the
README's commands are run as they are written. They install what they need.

The root is a folder; commands run in it with mount and process namespaces of their own, so that nothing of
this machine's is touched, and nothing is left when the test ends."""
import os
import pathlib
import re
import shutil
import subprocess

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
# The root becomes that of a mount namespace, as a machine's is: mount and process namespaces are made in it.
INSIDE = """set -e
mount --rbind {root} {root}
cd {root}
mount -t proc proc proc
mount --rbind /sys sys
mount --rbind /dev dev
mount -t tmpfs tmpfs run
mount -t tmpfs tmpfs tmp
mkdir -p run/outside
pivot_root . run/outside
umount -l run/outside
cd /src/roost
exec env -i HOME=/root TERM=dumb LC_ALL=C.UTF-8 \\
	PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin "$@"
"""


def mirror():
    """Where this machine has its own packages from."""
    text = "\n".join(p.read_text() for p in pathlib.Path("/etc/apt").rglob("*")
                     if p.suffix in (".list", ".sources"))
    found = re.search(r"https?://\S*debian\b/?(?=\s|$)", text)
    return found.group() if found else "http://deb.debian.org/debian"


class Machine:
    def __init__(self, root):
        self.root = root

    def argv(self, *command):
        return ["unshare", "--mount", "--pid", "--fork", "--kill-child=KILL", "sh", "-c",
                INSIDE.format(root=self.root), "sh", *command]

    def run(self, *command, ok=True):
        done = subprocess.run(self.argv(*command), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, timeout=900)
        if ok:
            assert done.returncode == 0, f"{' '.join(command)}: {done.stdout[-3000:]}"
        return done


@pytest.fixture(scope="module")
def machine(request, tmp_path_factory):
    if os.geteuid() != 0 or not request.config.getoption("on_this_machine"):
        pytest.skip("needs root and --on-this-machine, as packages come through this machine's network")
    root = tmp_path_factory.mktemp("fresh") / "root"
    subprocess.run(["debootstrap", "--variant=minbase", "bookworm", root, mirror()], check=True,
                   stdout=subprocess.DEVNULL)
    shutil.copytree("/etc/apt/apt.conf.d", root / "etc/apt/apt.conf.d", dirs_exist_ok=True)
    source = root / "src/roost"
    source.mkdir(parents=True)
    names = subprocess.run(["git", "-C", ROOT, "ls-files", "-z", "--cached", "--others",
                            "--exclude-standard"], check=True, capture_output=True).stdout
    subprocess.run(["tar", "-C", ROOT, "--null", "-T", "-", "--ignore-failed-read", "-cf",
                    root / "src.tar"], input=names, check=True)
    subprocess.run(["tar", "-C", source, "-xf", root / "src.tar"], check=True)
    yield Machine(root)
    shutil.rmtree(root, ignore_errors=True)


def readme(pattern):
    """A command of the README."""
    found = re.search(pattern, (ROOT / "README.md").read_text(), flags=re.M)
    assert found, f"README.md has no {pattern}"
    return found.group()


def test_demo_installs_builds_and_runs(machine):
    done = machine.run(*readme(r"^scripts/demo\b").split())
    assert "done: every process ended, every namespace gone" in done.stdout
    assert not (machine.root / "usr/include/cmocka.h").exists(), "the demo needs no tests"


def test_build_of_the_readme(machine):
    command = readme(r"cmake --preset release && cmake --build build/release")
    shutil.rmtree(machine.root / "src/roost/build")
    machine.run("sh", "-c", command)
    for name in ("roost", "roost-ipam", "roostd", "roostctl"):
        assert os.access(machine.root / "src/roost/build/release/bin" / name, os.X_OK)


def test_a_step_that_fails_shows_its_words(machine):
    source = machine.root / "src/roost/lib/err.c"
    text = source.read_text()
    source.write_text(text + "\nthis is not C\n")
    try:
        done = machine.run("scripts/demo", ok=False)
    finally:
        source.write_text(text)
    assert done.returncode != 0
    assert "lib/err.c" in done.stdout and "error:" in done.stdout and "failed with status" in done.stdout


def test_the_kept_demo_gives_a_shell_that_works(machine):
    with subprocess.Popen(machine.argv("scripts/demo", "--keep"), stdin=subprocess.PIPE,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as demo:
        said = ""
        while not said.endswith("/run/conformance.json\n") and (line := demo.stdout.readline()):
            said += line
        _, _, hint = said.partition("--keep: ")
        shell = re.search(r"nsenter -a .* (/run/node1)$", hint, flags=re.M).group(1)
        commands = [line.strip() for line in hint.partition("for example:")[2].splitlines() if line.strip()]
        answers = {}
        for command in commands:
            # The hint's numbers are those of processes as the fresh machine sees them.
            done = subprocess.run(["nsenter", "-a", "-t", innermost(demo.pid), shell, *command.split()],
                                  stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120)
            answers[command] = done
        rest, _ = demo.communicate("\n", timeout=120)
    assert demo.returncode == 0, rest[-800:]
    for command, done in answers.items():
        assert done.returncode == 0, f"{command}: {done.stdout[-800:]}{done.stderr[-800:]}"
    assert "roostd" in answers["ps ax"].stdout
    assert "node1-a" in answers["roostctl ipam list"].stdout


def innermost(pid):
    """The first process of the deepest process namespace below pid, as text."""
    children = pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    for child in children:
        if os.readlink(f"/proc/{child}/ns/pid") != os.readlink("/proc/self/ns/pid"):
            deeper = innermost(child)
            status = pathlib.Path(f"/proc/{child}/status").read_text()
            is_first = re.search(r"^NSpid:.*\t1$", status, flags=re.M)
            return deeper if deeper != child or not is_first else child
    return str(pid)
