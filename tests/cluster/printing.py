# SPDX-License-Identifier: Apache-2.0
"""How demonstrations print: numbered sections, and below a `$` what that command printed."""
import os
import sys

TERMINAL = sys.stdout.isatty() and not os.environ.get("NO_COLOR")
BOLD, DIM, GREEN, RED, OFF = ("\033[1m", "\033[2m", "\033[32m", "\033[31m", "\033[0m") \
    if TERMINAL else ("",) * 5

_section = 0


def section(title, *lines):
    global _section
    _section += 1
    print(f"\n{BOLD}{_section}. {title}{OFF}", flush=True)
    for line in lines:
        print(f"   {line}", flush=True)


def indented(text):
    for line in text.rstrip("\n").splitlines():
        print(f"    {line}", flush=True)


def prompt(where, command):
    print(f"\n{DIM}{where}$ {command}{OFF}", flush=True)
