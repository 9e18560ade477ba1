# SPDX-License-Identifier: Apache-2.0
"""Every golden text of tests/data/bird is read by the BIRD that is installed (bird -p), included by
the main configuration that bird_config_main() prints. That the texts are what bird_config_text() makes
is test_bird_config's part."""
import pathlib
import shutil
import subprocess

import pytest

from birdlab import TOOL
from roostlab import ROOT

pytestmark = pytest.mark.skipif(not shutil.which("bird"), reason="bird is not installed")

DATA = pathlib.Path(ROOT, "tests/data")
DESIRED = DATA / "desired"  # what the agent makes of a cluster ends with BIRD's text


def main_text(ours, own):
    return subprocess.run([TOOL, "main", ours, own], check=True, capture_output=True, text=True).stdout


def complaint(folder, text, own=None, make=True):
    """What BIRD complains of; "" nothing. own: text of the operator's."""
    if make:
        (folder / "own").mkdir(parents=True)
    if text is not None:
        (folder / "ours.conf").write_text(text)
    if own is not None:
        (folder / "own/a.conf").write_text(own)
    main = folder.parent / "main.conf"
    main.write_text(main_text(folder / "ours.conf", folder / "own"))
    done = subprocess.run(["bird", "-p", "-c", main], capture_output=True, text=True)
    return "" if done.returncode == 0 and not done.stderr else done.stderr or "failed"


@pytest.mark.parametrize("case", sorted(p.name for p in (DATA / "bird").iterdir()))
def test_bird_reads_a_golden_text(tmp_path, case):
    assert complaint(tmp_path / "x.d", (DATA / "bird" / case / "expected").read_text()) == ""


@pytest.mark.parametrize("case", sorted(p.name for p in DESIRED.iterdir()))
def test_bird_reads_what_the_agent_wants(tmp_path, case):
    text = (DESIRED / case / "expected").read_text()
    assert complaint(tmp_path / "x.d", text[text.index("# Written by roostd"):]) == ""


def test_bird_reads_a_main_configuration_without_our_file(tmp_path):
    assert complaint(tmp_path / "x.d", None) == ""


def test_bird_reads_our_file_in_a_folder_of_an_odd_name(tmp_path):
    assert complaint(tmp_path / "1[odd] *?'name", "router id 10.0.0.1;\n") == ""
    assert "ours.conf:1:" in complaint(tmp_path / "2[odd] *?'name", "nonsense\n")


def test_bird_reads_the_operators_folder(tmp_path):
    assert "own/a.conf:1:" in complaint(tmp_path / "x.d", None, "nonsense\n")


def test_bird_comes_up_when_the_folders_are_not_there(tmp_path):
    assert complaint(tmp_path / "x.d", None, make=False) == ""


def test_the_installed_bird_conf_is_the_model_with_a_log():
    model = pathlib.Path(ROOT, "scripts/bird.conf").read_text()
    ours = main_text("/run/roost/bird.conf", "/etc/bird/roost.d")
    assert model.endswith("log syslog all;\n\n" + ours)
