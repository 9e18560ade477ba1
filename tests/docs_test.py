# SPDX-License-Identifier: Apache-2.0
"""The form of README.md and docs/: one sentence a line that can be read at once, no cell of a table that is
a paragraph, links that lead somewhere, names of files that exist."""
import pathlib
import re

import pytest

ROOT = pathlib.Path(__file__).resolve().parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
CELL = 200
SENTENCE = 240
FILES = r"(?:agent|cli|cluster|ipam|lib|plugins|scripts|store|tests)/[\w./-]*\w\.(?:c|h|py|txt|sh|service)"


def text_lines(page):
    """The lines that are not code, with their numbers."""
    fence = False
    for number, line in enumerate(page.read_text().split("\n"), 1):
        if line.lstrip().startswith("```"):
            fence = not fence
        elif not fence:
            yield number, line


def cells(line):
    return [cell.strip() for cell in re.split(r"(?<!\\)\|", line.strip()[1:-1])]


def sentences(line):
    """A line of prose as its sentences; code and what is in parentheses ends none."""
    plain = re.sub(r"`[^`]*`|\([^()]*\)|\[[^\]]*\]", lambda m: "x" * len(m.group()), line)
    return [s for s in re.split(r"(?<=[a-z0-9x*)][.?!]) +(?=[A-Z])", plain) if len(s) > 3]


def anchor(heading):
    return re.sub(r"[^\w\- ]", "", re.sub(r"`", "", heading).strip().lower()).replace(" ", "-")


def anchors(page):
    return {anchor(line.lstrip("#")) for _, line in text_lines(page) if line.startswith("#")}


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(ROOT)))
def test_cells_and_sentences_are_short(page):
    long = []
    for number, line in text_lines(page):
        if line.startswith("|"):
            long += [f"{number}: a cell of {len(c)} characters: {c[:60]}" for c in cells(line) if len(c) > CELL]
        elif len(line) > SENTENCE:
            long.append(f"{number}: a sentence of {len(line)} characters: {line[:60]}")
    assert not long, "\n".join(long)


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(ROOT)))
def test_one_sentence_a_line(page):
    several = [f"{number}: {line[:80]}" for number, line in text_lines(page)
               if not line.startswith(("|", "#", "<")) and len(sentences(line)) > 1]
    assert not several, "\n".join(several)


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(ROOT)))
def test_links_lead_somewhere(page):
    dead = []
    for number, line in text_lines(page):
        for target in re.findall(r"\]\(([^)\s]+)\)", line):
            if re.match(r"[a-z]+:", target):
                continue
            path, _, fragment = target.partition("#")
            other = (page.parent / path).resolve() if path else page
            if not other.exists():
                dead.append(f"{number}: {target}: no such file")
            elif fragment and fragment not in anchors(other):
                dead.append(f"{number}: {target}: no such heading")
    assert not dead, "\n".join(dead)


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(ROOT)))
def test_files_that_are_named_exist(page):
    gone = [f"{number}: {name}" for number, line in text_lines(page)
            for name in re.findall(rf"(?<![\w./-]){FILES}\b", line)
            if "NAME" not in name and not (ROOT / name).exists()]
    assert not gone, "\n".join(gone)


def test_every_page_is_reached_from_the_readme():
    seen, todo = set(), [PAGES[0]]
    while todo:
        page = todo.pop()
        for target in re.findall(r"\]\(([^)#\s]+\.md)[)#]", page.read_text()):
            other = (page.parent / target).resolve()
            if not re.match(r"[a-z]+:", target) and other.exists() and other not in seen:
                seen.add(other)
                todo.append(other)
    assert set(PAGES) - seen - {PAGES[0]} == set()


def test_a_file_that_names_its_interpreter_can_be_run():
    folders = [".ci", "scripts", "tests", "deploy"]
    files = [f for folder in folders for f in (ROOT / folder).rglob("*") if f.is_file() and f.read_bytes()[:2] == b"#!"]
    assert files
    assert [str(f.relative_to(ROOT)) for f in files if not f.stat().st_mode & 0o100] == []
