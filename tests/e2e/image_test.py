# SPDX-License-Identifier: Apache-2.0
"""scripts/image: what is in the image is complete, nothing else is, and runtimes take it."""
import contextlib
import json
import os
import pathlib
import re
import subprocess
import sys
import tarfile
import tempfile

import pytest

from e2e import Failed, attempt, eventually, expect, expect_in, run

pytestmark = pytest.mark.needs("bird", "ldd", "chroot", "containerd", "ctr", "podman")

ROOT = pathlib.Path(__file__).resolve().parents[2]
BIN = os.path.abspath(os.environ.get("ROOST_BIN", f"{ROOT}/build/release/bin"))
NAME = "localhost/roost:test"
PROGRAMS = {"usr/sbin/roostd", "usr/bin/roostctl", "usr/sbin/bird", "usr/sbin/birdcl", "opt/cni/bin/roost",
            "opt/cni/bin/roost-ipam"}
MAY_BE = (r"usr/lib/[a-z0-9_-]+/[\w.+-]+\.so[\w.]*", r"usr/lib64/ld-linux[\w.-]+", r"usr/share/doc/[\w.+-]+/copyright",
          r"usr/share/doc/roost/LICEN[CS]ES?(\.md)?", r"usr/share/common-licenses/[\w.-]+",
          r"etc/(passwd|group|nsswitch\.conf)", r"etc/ssl/certs/ca-certificates\.crt")


def make(path, **env):
    run(sys.executable, f"{ROOT}/scripts/image", "--bin", BIN, "--out", str(path), "--name", NAME, env=env)
    return path


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    return make(tmp_path_factory.mktemp("image") / "roost.tar")


def layer_of(archive):
    with tarfile.open(archive) as tar:
        layer = json.load(tar.extractfile("manifest.json"))[0]["Layers"][0]
        return tarfile.open(fileobj=tar.extractfile(layer), mode="r:").getmembers()


@pytest.fixture(scope="module")
def root(archive, tmp_path_factory):
    """The image's file system, as a folder."""
    folder = tmp_path_factory.mktemp("root")
    with tarfile.open(archive) as tar:
        layer = json.load(tar.extractfile("manifest.json"))[0]["Layers"][0]
        with tarfile.open(fileobj=tar.extractfile(layer), mode="r:") as files:
            files.extractall(folder)
    return folder


def test_the_same_files_make_the_same_bytes(archive, tmp_path):
    again = make(tmp_path / "again.tar")
    expect("the image made again is the same", True, archive.read_bytes() == again.read_bytes())
    later = make(tmp_path / "later.tar", SOURCE_DATE_EPOCH="1700000000")
    expect("another time is another image", False, archive.read_bytes() == later.read_bytes())


def test_nothing_foreign_is_in_it(archive):
    members = layer_of(archive)
    files = {m.name for m in members if m.isfile()}
    expect("its programs", PROGRAMS, {f for f in files if re.search("/s?bin/", f)})
    strange = {f for f in files - PROGRAMS if not any(re.fullmatch(p, f) for p in MAY_BE)}
    expect("files that have no business there", set(), strange)
    expect("everything is root's, nobody else may write, and no bit of SUID", [],
           [m.name for m in members if m.uid or m.gid or (m.mode & 0o7022 and not m.issym())])
    expect("links", {"lib": "usr/lib", "lib64": "usr/lib64"}, {m.name: m.linkname for m in members if m.issym()})


def test_its_programs_run_with_nothing_else(root):
    for program, words in (("/usr/sbin/roostd", "roostd 0."), ("/usr/bin/roostctl", "roostctl 0."),
                           ("/usr/sbin/bird", "BIRD version 2.")):
        done = attempt("chroot", str(root), program, "--version")
        expect(f"{program} --version ends well", 0, done.returncode)
        expect_in(program, words, done.stdout + done.stderr)
    done = attempt("chroot", str(root), "/usr/sbin/birdcl", "-s", "/nowhere", "show", "status")
    expect_in("birdcl runs", "Unable to connect", done.stdout + done.stderr)
    for plugin in ("roost", "roost-ipam"):
        answer = run("chroot", str(root), f"/opt/cni/bin/{plugin}", env={"CNI_COMMAND": "VERSION"},
                     stdin='{"cniVersion": "1.0.0"}')
        expect_in(f"{plugin} VERSION", "1.0.0", json.loads(answer)["supportedVersions"])


def test_the_licences_of_what_is_in_it_are_with_it(root):
    for package in ("bird2", "libc6", "libcurl4", "libnftnl11", "libjansson-dev", "liblmdb-dev", "libssl3"):
        text = (root / f"usr/share/doc/{package}/copyright").read_text(errors="replace")
        expect_in(f"the copyright file of {package}", "opyright", text)
    expect_in("the licence of roostd", "Version 3", (root / "usr/share/common-licenses/GPL-3").read_text())


@contextlib.contextmanager
def containerd(folder):
    """One without its CRI part: it only keeps images."""
    (folder / "config.toml").write_text(
        f'version = 2\nroot = "{folder}/root"\nstate = "{folder}/state"\ndisabled_plugins = ["io.containerd.grpc.v1.cri"]\n'
        f'[grpc]\naddress = "{folder}/sock"\n')
    with open(folder / "log", "w") as log:
        daemon = subprocess.Popen(["containerd", "-c", str(folder / "config.toml")], stdout=log, stderr=log)
    try:
        ctr = ("ctr", "-a", f"{folder}/sock", "-n", "k8s.io")
        eventually("containerd answers", lambda: attempt(*ctr, "version").returncode == 0)
        yield ctr
    finally:
        daemon.kill()
        daemon.wait()


def test_containerd_imports_it_as_it_is(archive, tmp_path):
    with containerd(tmp_path) as ctr:
        run(*ctr, "images", "import", "--no-unpack", str(archive))
        expect("its name", [NAME], run(*ctr, "images", "ls", "-q").split())
        expect_in("all of it is there", "complete", run(*ctr, "images", "check"))


def test_podman_loads_it_as_it_is(archive):
    folder = tempfile.mkdtemp()  # podman takes a short path only
    podman = ("podman", "--root", f"{folder}/storage", "--runroot", f"{folder}/run", "--tmpdir", f"{folder}/tmp")
    expect_in("its name", NAME, run(*podman, "load", "-i", str(archive)))


def test_what_is_missing_is_named(tmp_path):
    done = attempt(sys.executable, f"{ROOT}/scripts/image", "--bin", str(tmp_path), "--out", str(tmp_path / "x.tar"))
    if done.returncode != 1:
        raise Failed(f"expected a refusal, saw {done}")
    expect_in("the sentence", f"{tmp_path}/roostd is not there: cmake --preset release", done.stderr)
    expect("no image is left", [], list(tmp_path.iterdir()))
