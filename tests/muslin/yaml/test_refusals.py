"""Texts that are refused: each with a place and a fix, all faults of meaning at once."""

from __future__ import annotations

import pytest

from muslin.errors import BadInput
from muslin.yaml import Limits, load
from muslin.yaml.events import ParserFactory, fastest_parser, python_parser

pytestmark = pytest.mark.slow

BOTH = pytest.mark.parametrize("parser", [fastest_parser, python_parser])
BOMB = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{after}: &{after} [{','.join([f'*{before}'] * 9)}]\n"
    for before, after in zip("abcdefghi", "bcdefghij", strict=True)
)
HOSTILE: dict[str, tuple[bytes | str, str, str]] = {
    "flow nesting": ("[" * 100_000, "f.yaml:1:65", "flatter"),
    "mapping nesting": ("{a: " * 100_000, "f.yaml:1:257", "flatter"),
    "dashes": ("- " * 100_000, "f.yaml:1:129", "flatter"),
    "block nesting": ("".join(f"{' ' * depth}a:\n" for depth in range(1_000)), "f.yaml:65:65", "flatter"),
    "keys of keys": ("? " * 100_000, "f.yaml:1:3", "as text"),
    "alias bomb": (BOMB, "f.yaml:6:", "split|write"),
    "alias in itself": ("a: &a [*a]", "f.yaml:1:8", "write it out"),
    "unknown alias": ("a: *b", "f.yaml:1:4", "define it"),
    "NUL": ("a: 1\nb: \0", "f.yaml:2:4", "remove it"),
    "byte order mark inside": ("a: 1\n\ufeffb: 2", "f.yaml:2:1", "remove it"),
    "UTF-16": ("a: 1".encode("utf-16"), "f.yaml:1:1", "UTF-8"),
    "UTF-16 without mark": ("a: 1".encode("utf-16-be"), "f.yaml:1:1", "remove it"),
    "UTF-32": ("a: 1".encode("utf-32"), "f.yaml:1:1", "UTF-8"),
    "no UTF-8": (b"a: 1\nb: \xff", "f.yaml:2:4", "UTF-8"),
    "tab": ("a:\n\tb: 1", "f.yaml:2:1", "spaces"),
    "unclosed quote": ("a: 'b\nc: d\n", "f.yaml:3:1", "close the quote"),
    "wrong indentation": ("a:\n   b: 1\n  c: 2\n", "f.yaml:3:3", "indent"),
    "colon in a value": ("a: b: c", "f.yaml:1:5", "quotes"),
    "unclosed bracket": ("a: [1, 2\nb: 3\n", "f.yaml:2:2", "bracket"),
    "key twice": ("a: 1\nb:\n  c: 1\n  c: 2\n", "f.yaml:4:3  b.c", "keep one"),
    "key twice as JSON": ("yes: 1\n'true': 2\n", "f.yaml:2:1  true", "keep one"),
    "custom tag": ("a: !!python/object:os.system x", "f.yaml:1:4  a", "remove the tag"),
    "binary": ("a: !!binary aGVsbG8=", "f.yaml:1:4  a", "remove the tag"),
    "infinity": ("a: .inf", "f.yaml:1:4  a", "quotes"),
    "null key": ("~: 1", "f.yaml:1:1", "quotes"),
    "list as key": ("[a]: 1", "f.yaml:1:1", "as text"),
    "merge of no mapping": ("a:\n  <<: 1\n", "f.yaml:2:7  a", "quotes"),
    "half a character": ('a: "\\ud83d"', "f.yaml:1:", ""),
    "directive": ("%", "f.yaml:1:2", "%"),
}  # fmt: skip


@BOTH
@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_text_is_refused_with_place_and_fix(name: str, parser: ParserFactory) -> None:
    """No crash, no hang, no half-read result."""
    text, where, fix = HOSTILE[name]

    with pytest.raises(BadInput) as caught:
        load(text, "f.yaml", parser=parser)

    problem = caught.value.problems[0]
    assert problem.where.startswith(where)
    assert any(part in problem.fix for part in fix.split("|"))


@pytest.mark.parametrize(
    ("limits", "text", "what"),
    [
        (Limits(text_bytes=10), "a: 1234567890", "at most 10 are read"),
        (Limits(documents=2), "a: 1\n---\na: 1\n---\na: 1\n", "more than 2 documents"),
        (Limits(depth=2), "[[[1]]]", "deeper than 2"),
        (Limits(depth=3), "a: &a [[1]]\nb: [*a]\n", "deeper than 3"),
        (Limits(aliases=2), "a: &a 1\nb: [*a, *a, *a]\n", "more than 2 aliases"),
        (Limits(nodes=10), "a: &a [1, 2, 3]\nb: *a\n", "more than 10 values"),
        (Limits(scalar_characters=3), "a: abcd", "at most 3 are read"),
    ],
)
def test_each_limit_is_held(limits: Limits, text: str, what: str) -> None:
    """One more than allowed is refused; what is allowed by the defaults is read."""
    with pytest.raises(BadInput, match=what):
        load(text, limits=limits)

    assert load(text)


def test_a_million_keys_are_refused_by_their_number() -> None:
    """Many small values are bounded like a large text is."""
    text = "{" + ",".join(str(number) for number in range(1_000_000)) + "}"

    with pytest.raises(BadInput, match="more than 300000 values"):
        load(text)


def test_all_faults_of_meaning_are_told_at_once() -> None:
    """One reading tells every duplicate key, tag and number that is none."""
    with pytest.raises(BadInput) as caught:
        load("a: .nan\na: !x 1\nb: *c\n---\nd: !y [1]\n")

    assert [problem.where.split()[1] for problem in caught.value.problems] == ["1:4", "2:1", "2:4", "3:4", "5:4"]


def test_no_more_than_twenty_faults_are_told() -> None:
    """A file of another kind does not fill the screen."""
    with pytest.raises(BadInput) as caught:
        load("a: 1\n" * 1_000)

    assert len(caught.value.problems) == 20
