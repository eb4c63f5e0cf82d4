"""What the README tells people to type exists, and what it shows is what comes out."""

from __future__ import annotations

import ast
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from blueprints.emit import render
from muslin import resources, yaml
from muslin.cli.blueprint import decide
from muslin.cli.main import _muslin
from muslin.errors import BadInput
from muslin.lab.demo.steps import STEPS

_ROOT = Path(__file__).parents[2]
_README = (_ROOT / "README.md").read_text("utf-8")
_TEXTS = (
    *(_ROOT / name for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md", "DESIGN.md")),
    *sorted((_ROOT / "design").glob("*.md")),
    *sorted(path for path in (_ROOT / "docs").rglob("*") if path.is_file()),
)
_SPAN = re.compile(r"`((?:muslin|make) [^`]+)`")


def _typed(text: str) -> Iterator[str]:
    """Every command line of our own that a text shows: in console blocks, after `$`, in spans."""
    for block in re.findall(r"^```console\n(.*?)^```", text, re.MULTILINE | re.DOTALL):
        for line in re.sub(r"<<EOF\n.*?^EOF$", "", block, flags=re.MULTILINE | re.DOTALL).splitlines():
            yield from line.split("&&")
    yield from re.findall(r"^\$ (.*)$", text, re.MULTILINE)
    yield from re.findall(r"^#? *(muslin .*)$", text, re.MULTILINE)
    yield from _SPAN.findall(text)


def _commands(text: str) -> list[str]:
    """Those that begin with `muslin`, without comments; of `up|down` the first."""
    lines = (re.sub(r"(\s#| {3,}| \| ).*", "", line.strip()) for line in _typed(text))
    return [re.sub(r"\|\S*", "", line) for line in lines if line.startswith("muslin ")]


def _complaint(line: str) -> str | None:
    """Why this command line can't be typed; None where it can."""
    command: click.Command = _muslin
    context = click.Context(_muslin)
    words = shlex.split(line)[1:]
    while words and isinstance(command, click.Group) and not words[0].startswith("-"):
        found = command.get_command(context, words.pop(0))
        if found is None:
            return "there is no such verb"
        command = found
    if command.context_settings.get("ignore_unknown_options") and command.name in (
        "fetch",
        "reconcile",
        "speaker",
        "webhook",
    ):
        return None  # they read their arguments themselves
    known = {option for parameter in command.params for option in parameter.opts}
    given = [word for word in _before(words, "--") if word.startswith("-") and not word[1:].isdigit()]
    unknown = [word for word in given if word.partition("=")[0] not in known | {"-h", "--help", "--version"}]
    return f"{command.name} has no {', '.join(unknown)}" if unknown else None


def _before(words: list[str], end: str) -> list[str]:
    return words[: words.index(end)] if end in words else words


@pytest.mark.parametrize("path", _TEXTS, ids=lambda path: str(path.relative_to(_ROOT)))
def test_every_command_that_a_text_shows_exists(path: Path) -> None:
    """Verbs and options that people read about are there."""
    complaints = {line: _complaint(line) for line in _commands(path.read_text("utf-8"))}

    assert {line: complaint for line, complaint in complaints.items() if complaint} == {}


def test_the_readme_shows_the_commands_of_a_lab() -> None:
    """The reader of commands above finds them: a README without any would pass otherwise."""
    assert {"muslin lab up --nodes 3", "muslin plan .", "muslin lab down"} <= set(_commands(_README))


def test_what_does_not_exist_is_noticed() -> None:
    """The check above refuses verbs and options that are not there."""
    assert _complaint("muslin laboratory up") == "there is no such verb"
    assert _complaint("muslin lab up --knots 3") == "up has no --knots"
    assert _complaint("muslin lab exec node1 -- ip -4 route") is None


@pytest.mark.parametrize("path", _TEXTS, ids=lambda path: str(path.relative_to(_ROOT)))
def test_every_make_target_that_a_text_shows_exists(path: Path) -> None:
    """Targets that people read about are in the Makefile."""
    targets = set(re.findall(r"^([a-z]+):", (_ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))
    shown = set(re.findall(r"(?:^|`)make ([a-z]+)", path.read_text("utf-8"), re.MULTILINE))

    assert set() == shown - targets


def test_nothing_is_left_to_fill_in() -> None:
    """No placeholder stands in what people read."""
    assert [path.name for path in _TEXTS if "@@" in path.read_text("utf-8")] == []


def test_links_lead_somewhere() -> None:
    """Files that the texts link or name as Markdown are there."""
    texts = [path for path in _TEXTS if path.suffix == ".md"]
    links = {
        (path.parent / link).resolve()
        for path in texts
        for link in re.findall(r"\]\(([^)#:]+)\)", path.read_text("utf-8"))
    }
    named = {_ROOT / name for name in re.findall(r"`([A-Z]+\.md|docs/[\w.]+)`", _README)}

    assert sorted(str(path) for path in links | named if not path.exists()) == []


def test_manifests_in_the_readme_are_right() -> None:
    """What the README has people write is read without a problem."""
    written = re.findall(r"<<EOF\n(.*?)^EOF$", _README, re.MULTILINE | re.DOTALL)
    objects = [document.value for text in written for document in yaml.load(text)]

    assert [f"{each.kind} {each.metadata.name}" for each in map(resources.load, objects)] == ["NetworkPolicy closed"]


def test_the_decision_that_the_readme_shows_is_the_decision() -> None:
    """`explain --why encapsulation` gives the answer and reasons that stand in the README."""
    decision = decide(str(_ROOT / "docs/cluster.yaml"), None).decision("encapsulation")
    told = [decision.chosen, decision.rule, decision.consequence, decision.source]
    told += [f"{each.name}: {each.against}" for each in decision.alternatives]

    assert [text for text in told if text not in _README] == []


def test_the_refusal_that_the_readme_shows_is_the_refusal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With `plannedNodes: 80` the blueprint says no, in the README's words and place."""
    monkeypatch.chdir(tmp_path)
    facts = (_ROOT / "docs/cluster.yaml").read_text("utf-8")
    Path("cluster.yaml").write_text(facts.replace("plannedNodes: 40", "plannedNodes: 80"), "utf-8")

    with pytest.raises(BadInput) as refusal:
        decide("cluster.yaml", None)
    assert f"error: {refusal.value}" in _README


def test_the_example_renders_what_the_readme_has_people_push() -> None:
    """The group `network` of docs/cluster.yaml is what the README's lab begins with."""
    decided = decide(str(_ROOT / "docs/cluster.yaml"), None)

    assert {"DECISIONS.md", "network/ip-pools.yaml", "network/bgp.yaml"} == set(render(decided, ["network"]))


def test_the_demo_that_the_readme_shows_is_the_demo() -> None:
    """Titles and claims of the steps stand in the README as `muslin lab demo` prints them."""
    shown = re.search(r"^```text\n(1\. .*?)^```", _README, re.MULTILINE | re.DOTALL)
    assert shown is not None
    titles = [f"{number}. {step.title}" for number, step in enumerate(STEPS, 1)]
    sources = sorted((_ROOT / "muslin/lab/demo").glob("*.py"))
    parts = [node for path in sources for node in ast.walk(ast.parse(path.read_text("utf-8")))]
    said = {part.value for part in parts if isinstance(part, ast.Constant) and isinstance(part.value, str)}
    claims = set(re.findall(r"^  ok   (.*): [^:]*$", shown[1], re.MULTILINE))

    assert titles == [line for line in shown[1].splitlines() if re.match(r"\d\. ", line)][: len(titles)]
    assert claims
    assert claims - said == set()
