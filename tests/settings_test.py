# SPDX-License-Identifier: Apache-2.0
"""How roostd ends when its settings are wrong, which is what the service manager sees, and its --check."""
import os
import pathlib
import subprocess

import pytest

ROOT = pathlib.Path(__file__).resolve().parent.parent
BIN = pathlib.Path(os.environ.get("ROOST_BIN", ROOT / "build/release/bin"))
TYPO = '{"node": "n1", "stroe": "file:/nowhere"}'


def roostd(*words, **variables):
    return subprocess.run([BIN / "roostd", *words], capture_output=True, text=True, timeout=20,
                          env={"ROOST_NODE": "n1", **variables})


@pytest.fixture
def file(tmp_path):
    """Writes the file of settings, all of whose paths are in a folder, and names it."""
    def write(text=None):
        path = tmp_path / "roostd.json"
        path.write_text(text or f'{{"dataDir": "{tmp_path}/data", "stateDirs": ["{tmp_path}/state"], '
                                f'"socket": "{tmp_path}/socket", "log": {{"file": "{tmp_path}/log"}}}}')
        return str(path)
    return write


@pytest.mark.parametrize("text", [TYPO, "{", '{"headroom": -1}', '{"etcd": {"user": "u"}}'])
def test_wrong_settings_end_the_agent_with_a_status_that_prevents_restarts(file, text):
    for words in (["--config", file(text)], ["--check", file(text)], ["--check", "--config", file(text)]):
        done = roostd(*words)
        assert done.returncode == 2, done
        assert done.stderr.count("\n") == 1 and not done.stdout
    unit = (ROOT / "scripts/systemd/roostd.service").read_text()
    assert "\nRestartPreventExitStatus=2\n" in unit


def test_the_sentence_names_file_and_key(file):
    path = file(TYPO)
    assert f'{path}: unknown key "stroe"' in roostd("--check", path).stderr


def test_a_file_that_is_named_must_be_there(tmp_path):
    for words in (["--config", f"{tmp_path}/x"], ["--check", f"{tmp_path}/x"]):
        done = roostd(*words)
        assert done.returncode == 2 and f"cannot open {tmp_path}/x" in done.stderr


def test_right_settings_are_fine_and_nothing_is_touched(file, tmp_path):
    path = file()
    for words in (["--check", path], [path, "--check"], ["--check", f"--config={path}"], ["--config", path, "--check"]):
        done = roostd(*words)
        assert (done.returncode, done.stdout, done.stderr) == (0, f"{path} is fine\n", "")
    assert roostd("--check", ROOST_CONFIG=path).stdout == f"{path} is fine\n"
    assert [p.name for p in tmp_path.iterdir()] == ["roostd.json"]


def test_options_and_variables_are_checked_too(file):
    done = roostd("--check", file(), ROOST_SOCKET="x")
    assert done.returncode == 2 and 'ROOST_SOCKET: "x" is not an absolute path' in done.stderr
    assert roostd("--check", "--log-level=loud", file()).returncode == 2
    assert roostd("--check", file(), file()).returncode == 2
    assert roostd(file()).returncode == 2


def test_an_agent_that_cannot_run_yet_may_be_started_again(file, tmp_path):
    path = file()
    (tmp_path / "data").write_text("not a folder")
    assert roostd("--config", path).returncode == 1
