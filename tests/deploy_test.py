# SPDX-License-Identifier: Apache-2.0
"""deploy/: roost.yaml is its pieces, and the settings in it are settings that roostd takes."""
import json
import os
import pathlib
import re
import subprocess
import sys
import textwrap

ROOT = pathlib.Path(__file__).resolve().parent.parent
BIN = os.environ.get("ROOST_BIN") or ROOT / "build/release/bin"
CONFIG = (ROOT / "deploy/config.yaml").read_text()
DAEMONSET = (ROOT / "deploy/daemonset.yaml").read_text()


def value_of(key):
    """A block text of the ConfigMap."""
    found = re.search(rf"^  {re.escape(key)}: \|\n((?:    .*\n|\n)+)", CONFIG, flags=re.M)
    return textwrap.dedent(found.group(1))


def test_roost_yaml_is_its_pieces():
    done = subprocess.run([sys.executable, ROOT / "scripts/deploy", "--check"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_a_changed_piece_is_noticed(tmp_path):
    copy = tmp_path / "copy"
    for name in ("scripts", "deploy"):
        subprocess.run(["cp", "-r", ROOT / name, copy / name] if copy.exists() else
                       ["sh", "-c", f"mkdir {copy} && cp -r {ROOT / name} {copy / name}"], check=True)
    (copy / "CMakeLists.txt").write_text("project(roost VERSION 9.9.9 LANGUAGES C)\n")
    done = subprocess.run([sys.executable, copy / "scripts/deploy", "--check"], capture_output=True, text=True)
    assert done.returncode == 1 and "daemonset.yaml, uninstall.yaml, roost.yaml is not what" in done.stderr, done
    subprocess.run([sys.executable, copy / "scripts/deploy"], check=True, capture_output=True)
    assert "image: localhost/roost:9.9.9" in (copy / "deploy/roost.yaml").read_text()
    (copy / "deploy/crds/strangers.yaml").write_text("a: b\n")
    done = subprocess.run([sys.executable, copy / "scripts/deploy", "--check"], capture_output=True, text=True)
    assert done.returncode == 1 and "lacks crds/strangers.yaml" in done.stderr, done


def test_the_settings_are_ones_that_roostd_takes(tmp_path):
    conf = json.loads(value_of("roostd.json"))
    assert conf["store"] == "kube:"
    (tmp_path / "roostd.json").write_text(json.dumps(conf | {"store": "file:/nowhere"}))
    done = subprocess.run([f"{BIN}/roostd", "--check", tmp_path / "roostd.json"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert conf["conflist"]["template"] == "/etc/roost/10-roost.conflist"


def test_the_network_configuration_is_one_plugin():
    conf = json.loads(value_of("10-roost.conflist"))
    assert [p["type"] for p in conf["plugins"]] == ["roost"]
    assert conf["cniVersion"] in conf["cniVersions"]


def test_bird_reads_what_roostd_writes():
    conf = json.loads(value_of("roostd.json"))
    main = value_of("bird.conf")
    assert "/ru[n]/roos[t]/bird.con[f]" in main and "/et[c]/bir[d]/roost.[d]/*.conf" in main
    assert conf["bird"]["include"] == "/etc/bird/roost.d"
    assert DAEMONSET.count(conf["bird"]["socket"]) == 2  # of BIRD, and of what ends it


def test_nothing_is_privileged():
    for text in (DAEMONSET, (ROOT / "deploy/uninstall.yaml").read_text()):
        assert "privileged: true" not in text
        assert text.count("drop: [ALL]") == text.count("image: ") > 0
