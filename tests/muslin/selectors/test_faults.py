"""Texts that are no selectors: the column of the fault, and no way to exhaust the stack."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from muslin.selectors import SelectorError, parse

FAULTS = [
    ("a = 'b'", 3, "write =="),
    ("a == b", 6, "write 'b'"),
    ("a == 'b", 6, "close it with '"),
    ("a == 'b' and c == 'd'", 10, "join terms with"),
    ("a == 'b' &", 10, "write &&"),
    ("(a == 'b'", 10, "add a ')'"),
    ("a == 'b')", 9, "remove it"),
    ("a in ('b')", 6, "write it as {'a', 'b'}"),
    ("a in {'b' 'c'}", 11, "commas"),
    ("a in {'b'", 10, "close the set"),
    ("a\n== 'b'", 2, "one line"),
    ("\na == 'b'", 1, "one line"),
    ("has(a b)", 7, "write has(a)"),
    ("has()", 5, "without quotes"),
    ("all(x)", 5, "write all()"),
    ("all ()", 5, "write all( without a blank"),
    ("ü == 'x'", 1, "label keys consist"),
    ("app", 4, "has(app)"),
    ("!", 2, "has(app)"),
    ("a == 'b' || ", 13, "has(app)"),
    ("'\ud800' == 'b'", 2, "the character itself"),
    (f"{'k' * 513} == 'x'", 1, "shorten"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "column", "fix"), FAULTS)
def test_a_fault_is_told_with_its_column_and_a_fix(text: str, column: int, fix: str) -> None:
    """The column counts from 1 and points at the fault; the fix says what to write."""
    with pytest.raises(SelectorError) as caught:
        parse(text)

    assert caught.value.column == column
    assert fix in caught.value.fix


def test_the_caret_stands_below_the_fault() -> None:
    """People see the fault in its line, also far inside a long one."""
    with pytest.raises(SelectorError) as short:
        parse("app == web")
    with pytest.raises(SelectorError) as far:
        parse("has(a) && " * 100 + "%")

    assert short.value.pointed() == "app == web\n       ^"
    line, caret = far.value.pointed().split("\n")
    assert line[len(caret) - 1] == "%"
    assert "column 8" in short.value.as_problem("spec.selector").where


@pytest.mark.parametrize("depth", [101, 1_000, 80_000])
@pytest.mark.parametrize("opening", ["(", "!(", "a in{}&&("])
def test_too_deep_nesting_is_refused_not_crashed_on(opening: str, depth: int) -> None:
    """Whatever the depth, the answer is a SelectorError."""
    with pytest.raises(SelectorError, match="nest deeper"):
        parse(opening * depth + "has(a)" + ")" * depth)


def test_the_deepest_allowed_nesting_works_in_every_way() -> None:
    """Parsing, printing and matching hold at the bound."""
    text = "!(has(b) || " * 100 + "has(a)" + ")" * 100

    selector = parse(text)

    assert selector.matches({"a": ""})
    assert parse(selector.canonical[1:-1] if selector.canonical.startswith("(") else selector.canonical) == selector


@pytest.mark.slow
def test_long_runs_are_no_depth() -> None:
    """Any number of terms, values and negations is fine below the length bound."""
    assert parse("!" * 100_001 + "has(a)").canonical == "!has(a)"
    assert parse(" || ".join(["has(a)"] * 20_000)).matches({"a": "x"})
    assert parse("a in {" + ",".join(f"'{i}'" for i in range(50_000)) + "}").matches({"a": "49999"})
    with pytest.raises(SelectorError, match="characters"):
        parse("has(a) || " * 200_000)


@given(st.text(st.sampled_from("ab =!&|(){},'\"\t\nhasinot./€") | st.characters(), max_size=40))
def test_any_text_is_a_selector_or_a_told_fault(text: str) -> None:
    """No other exception leaves the parser, and the column lies in the text or just behind it."""
    try:
        parse(text)
    except SelectorError as error:
        fault = error
    else:
        return

    assert 1 <= fault.column <= len(text) + 1
    assert fault.pointed().endswith("^")
