# SPDX-License-Identifier: Apache-2.0
"""The models of who owns a block (tests/model/blocks.pml), of pools that overlap (pools.pml) and of single addresses
of another node's block (loans.pml): Spin finds nothing
against them, whoever takes part, and finds each of the faults that can be planted in them. With --writes N the
stories of the first are longer, which takes minutes."""
import pathlib
import re
import subprocess

import pytest

MODELS = pathlib.Path(__file__).resolve().parent / "model"
DELETER, REMOVER, SECOND, LATE = 1, 2, 4, 8

# Which part of the story shows the fault.
FAULTS = {1: DELETER, 2: REMOVER, 3: DELETER, 4: REMOVER, 5: REMOVER, 6: LATE, 7: REMOVER, 8: REMOVER | SECOND}


def verify(folder, model="blocks", **defines):
    """How many errors Spin finds, and how many states it looked at."""
    flags = [f"-D{name}={value}" for name, value in {"FAILURES": 1, **defines}.items()]
    for command in (["spin", *flags, "-a", MODELS / f"{model}.pml"],
                    ["gcc", "-w", "-O2", "-DSAFETY", "-DCOLLAPSE", "-o", "pan", "pan.c"]):
        subprocess.run(command, cwd=folder, check=True, capture_output=True, timeout=120)
    done = subprocess.run(["./pan", "-E", "-m1000000"], cwd=folder, capture_output=True, text=True, timeout=3600)
    assert "max search depth too small" not in done.stdout, done.stdout
    return (int(re.search(r"errors: (\d+)", done.stdout)[1]),
            int(re.search(r"(\d+) states, stored", done.stdout)[1]))


@pytest.mark.parametrize("parts", [DELETER | REMOVER, REMOVER | SECOND, REMOVER | LATE])
def test_no_block_has_two_users(tmp_path, parts, request):
    errors, states = verify(tmp_path, PARTS=parts, WRITES=request.config.getoption("writes"))
    assert errors == 0 and states > 100_000, f"{errors} errors in {states} states"


@pytest.mark.parametrize("fault", FAULTS)
def test_a_planted_fault_is_found(tmp_path, fault):
    errors, states = verify(tmp_path, PARTS=FAULTS[fault], WRITES=7, FAULT=fault)
    assert errors == 1, f"fault {fault} was not found in {states} states"


def test_pools_that_overlap_never_give_an_address_twice(tmp_path):
    errors, states = verify(tmp_path, "pools")
    assert errors == 0 and states > 100_000, f"{errors} errors in {states} states"


@pytest.mark.parametrize("fault", [1, 2, 3])
def test_a_fault_of_pools_that_overlap_is_found(tmp_path, fault):
    errors, states = verify(tmp_path, "pools", FAULT=fault)
    assert errors == 1, f"fault {fault} was not found in {states} states"


# Of loans.pml: 1 the second borrower, 2 and 4 the removals of a borrower and of the lender, 8 late writes.
LOAN_FAULTS = {1: 0, 2: 0, 3: 0, 4: 2, 5: 2, 6: 4, 7: 0, 8: 1, 9: 4}


@pytest.mark.parametrize("parts,writes", [(1, 5), (8 | 4, 6), (8 | 2, 6)])
def test_a_single_address_of_another_nodes_block_never_has_two_users(tmp_path, parts, writes):
    errors, states = verify(tmp_path, "loans", PARTS=parts, WRITES=writes)
    assert errors == 0 and states > 100_000, f"{errors} errors in {states} states"


@pytest.mark.parametrize("fault", LOAN_FAULTS)
def test_a_fault_of_loans_is_found(tmp_path, fault):
    errors, states = verify(tmp_path, "loans", PARTS=LOAN_FAULTS[fault], WRITES=7, FAULT=fault)
    assert errors == 1, f"fault {fault} was not found in {states} states"
