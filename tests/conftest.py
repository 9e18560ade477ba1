# SPDX-License-Identifier: Apache-2.0
"""Every run of pytest in this folder is on a machine of its own (world.py), as far as whoever runs it
has the power to make one; with -n each worker has mounts and a network of its own in there.

A test that needs that machine, or programs, says so by the marker `needs`, and is skipped elsewhere.
A run in which anything was skipped ends with 77: for CTest it was skipped, which CI does not allow."""
import contextlib
import os
import shutil
import sys

import pytest

sys.dont_write_bytecode = True
import world

SKIPPED = 77


def is_worker(config):
    return hasattr(config, "workerinput")


def pytest_addoption(parser):
    parser.addoption("--on-this-machine", action="store_true",
                     help="no machine of its own: for tests that install packages somewhere")
    parser.addoption("--minutes", type=float, default=1, help="how long the race for addresses goes on, of each store")
    parser.addoption("--seed", type=int, help="of a race that was seen before")
    parser.addoption("--writes", type=int, default=6, help="how long the stories of the model are")


def pytest_configure(config):
    if config.getoption("on_this_machine"):
        return
    if not is_worker(config):
        with contextlib.suppress(PermissionError):
            world.enter()
    elif world.is_inside():
        world.enter_part()


@pytest.fixture(autouse=True)
def no_namespace_is_left():
    before = set(os.listdir("/run/netns")) if world.is_inside() else None
    yield
    if before is not None:
        left = set(os.listdir("/run/netns")) - before
        assert not left, f"namespaces {left} are left"


def pytest_collection_modifyitems(items):
    items.sort(key=lambda item: item.get_closest_marker("slow") is None)


def pytest_runtest_setup(item):
    for mark in item.iter_markers("needs"):
        if not world.is_inside():
            pytest.skip("network namespaces need root")
        missing = [p for p in mark.args if not shutil.which(p)]
        if missing:
            pytest.skip(f"{', '.join(missing)} is not installed")


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session, exitstatus):
    if is_worker(session.config):
        return
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    left = world.leftovers() if world.is_inside() else []
    if left:
        reporter.write_line(f"\nexpected nothing to be left, saw {', '.join(left)}", red=True)
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
    elif exitstatus == pytest.ExitCode.OK and reporter.stats.get("skipped"):
        session.exitstatus = SKIPPED
