"""DESIGN.md and its pages say what is there: rooms, index, layers, and every file that they name."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

_ROOT = Path(__file__).parents[2]
_SHIPPED = ("muslin", "blueprints", "reconciler", "runtime")
_DESIGN = (_ROOT / "DESIGN.md").read_text("utf-8")
_PAGES = tuple(sorted((_ROOT / "design").glob("*.md")))
_PATH = re.compile(r"`((?:muslin|blueprints|reconciler|runtime|tests|design|docs|scripts|requirements)/[\w./*{},-]*)`")


def _section(title: str) -> str:
    return _DESIGN.partition(f"## {title}\n")[2].partition("\n## ")[0]


def _index() -> Iterator[tuple[list[str], list[str]]]:
    """Each row of the index: globs, and linked pages."""
    for line in _section("Index").splitlines():
        cells = line.split("|")
        globs = re.findall(r"`([^`]+)`", cells[1]) if len(cells) == 4 else []
        if globs:
            yield [each for text in globs for each in _expanded(text)], re.findall(r"\]\(([^)]+)\)", cells[2])


def _expanded(glob: str) -> Iterator[str]:
    """A glob without its braces: `a/{b,c}/**` is `a/b/**` and `a/c/**`."""
    head, brace, rest = glob.partition("{")
    if not brace:
        yield glob
        return
    choices, _, tail = rest.partition("}")
    for choice in choices.split(","):
        yield from _expanded(f"{head}{choice}{tail}")


def _files(glob: str) -> set[Path]:
    """The files that a glob of the index means; `**` is everything below."""
    pattern = f"{glob}/*" if glob.endswith("**") else glob
    return {path for path in _ROOT.glob(pattern) if path.is_file() and "__pycache__" not in path.parts}


def test_every_glob_of_the_index_matches_and_every_page_is_there() -> None:
    """The index names files and pages that exist."""
    empty = [glob for globs, _ in _index() for glob in globs if not _files(glob)]
    missing = [page for _, pages in _index() for page in pages if not (_ROOT / page).is_file()]

    assert (empty, missing) == ([], [])


def test_every_page_is_in_the_index() -> None:
    """No page is out of the index's sight."""
    linked = {_ROOT / page for _, pages in _index() for page in pages}

    assert set(_PAGES) == linked


def test_every_shipped_file_has_a_page() -> None:
    """Whatever is shipped is covered by a row of the index."""
    covered = {path for globs, _ in _index() for glob in globs for path in _files(glob)}
    shipped = {path for package in _SHIPPED for path in (_ROOT / package).rglob("*.py")}

    assert sorted(str(path.relative_to(_ROOT)) for path in shipped - covered if path.name != "__init__.py") == []


def test_every_room_is_named() -> None:
    """The table of rooms names every package and every module beside them, and nothing that is not there."""
    named = {text.rstrip("/") for text in re.findall(r"^\| ((?:`[^`]+` ?)+)\|", _section("The rooms"), re.MULTILINE)}
    rooms = {room.rstrip("/") for cell in named for room in re.findall(r"`([^`]+)`", cell)}
    packages = {
        f"{top}/{each.parent.name}" for top in ("muslin", "runtime") for each in (_ROOT / top).glob("*/__init__.py")
    }
    modules = {f"muslin/{each.name}" for each in (_ROOT / "muslin").glob("*.py") if each.name != "__init__.py"}

    assert set() == (packages | modules | {"blueprints", "reconciler", "tests"}) - rooms
    assert sorted(room for room in rooms if not (_ROOT / room).exists()) == []


def test_layers_are_those_that_are_held() -> None:
    """The line of layers is the contract of import-linter, word for word."""
    contracts = tomllib.loads((_ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["importlinter"]["contracts"]
    held = next(contract["layers"] for contract in contracts if contract["type"] == "layers")
    told = _section("The rooms").partition("holds it:")[2].partition("Pure modules")[0]

    assert held == re.findall(r"`([^`]+)`", told)


@pytest.mark.parametrize("page", [_ROOT / "DESIGN.md", *_PAGES], ids=lambda path: path.name)
def test_every_file_that_a_page_names_is_there(page: Path) -> None:
    """A page that names a file or folder names one that exists."""
    named = {each for text in _PATH.findall(page.read_text("utf-8")) for each in _expanded(text)}

    assert sorted(each for each in named if not ((_ROOT / each).exists() or _files(each))) == []


@pytest.mark.parametrize("page", _PAGES, ids=lambda path: path.name)
def test_every_page_ends_in_review_notes(page: Path) -> None:
    """Each page says which tests hold its invariants, its limits, and ends with four to eight questions."""
    text = page.read_text("utf-8")
    headings = re.findall(r"^## (.*)$", text, re.MULTILINE)
    questions = re.findall(r"^- ", text.partition("## Review notes\n")[2], re.MULTILINE)

    assert {"Invariants, and what holds them", "Decisions", "Limits of today"} <= set(headings)
    assert headings[-1] == "Review notes"
    assert 4 <= len(questions) <= 8
