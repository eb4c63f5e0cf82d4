"""Regular expressions as Go reads them: what it takes, what it refuses, what they find."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from muslin.resources.felix_patterns import parse_pattern


@pytest.mark.parametrize(
    ("text", "found", "not_found"),
    [
        ("eth", "myeth0", "en0"),
        ("^kube-ipvs0$", "kube-ipvs0", "kube-ipvs01"),
        ("^((en|wl|ww|sl|ib)[Pcopsvx].*|(eth|wlan|wwan).*)", "enp0s3", "cali123"),
        ("a(?i)b|c", "C", "AB"),
        ("(?i-s:A)b", "ab", "aB"),
        ("^[[:alpha:][:digit:]:]$", "x", "-"),
        (r"^\pL+$", "abc", "ab1"),
        (r"^\p{Nd}$", "7", "x"),
        (r"^[^\d]$", "x", "7"),
        (r"^[\D]$", "x", "7"),
        (r"^\W$", "-", "_"),
        (r"^\S$", "a", " "),
        (r"\Qa.b\E", "xa.b", "axb"),
        (r"^\x41\x{42}\103$", "ABC", "abc"),
        (r"a\z", "ba", "ab"),
        ("a$", "a", "a\n"),
        ("(?m)a$", "a\nb", "b\na\x0b"),
        ("^a{2,3}?$", "aaa", "a"),
        ("a{,3}", "a{,3}", "aaa"),
        ("^*a", "a", "b"),
        ("[]a]", "]", "b"),
        ("[a-]", "-", "b"),
        ("[&&]", "&", "b"),
        ("(?P<name>a)(?<other>b)", "ab", "a"),
        ("(?U)^a+$", "aa", "b"),
        (r"\/\.", "/.", "a"),
    ],
)
def test_patterns_find_what_go_finds(text: str, found: str, not_found: str) -> None:
    """What Python writes otherwise means the same."""
    pattern = parse_pattern(text)

    assert (pattern.matches(found), pattern.matches(not_found)) == (True, False)


@pytest.mark.parametrize(
    "text",
    [
        "[",
        "*",
        "+a",
        "(*)",
        "a|*",
        "a**",
        "a*+",
        "a{2}{3}",
        "a{1001}",
        "a{3,2}",
        "(",
        "a)",
        "(?=a)",
        "(?<=a)",
        "(?!a)",
        "(?>a)",
        "(?#c)",
        "(?x)a",
        r"\1",
        r"\K",
        r"\Z",
        r"\C",
        r"\e",
        "\\",
        "[z-a]",
        "[]",
        "[^]",
        "[[:foo:]]",
        r"\p{Foo}",
        r"\x{110000}",
        r"\xg",
        "(" * 300 + ")" * 300,
        "(a{1000}){2}",
        "((a{10}){10}){11}",
        "(?:x|b{500}){3,}",
        "(a{2,1000}c)*(b{3}d{400}){1,3}",
    ],
)
def test_what_go_refuses_is_refused(text: str) -> None:
    """No lookaround, no references back, no possessive repeats, nothing left open."""
    with pytest.raises(ValueError, match="not a regular expression"):
        parse_pattern(text)


@pytest.mark.parametrize(
    "text",
    ["(a{500}){2}", "(a{1000}){0}", "((a{1000}){0}){1000}", "(a{1000}){0,1}", "(a{1000}b{1000}){1}", "(a{1000})*",
     "((a{10}){10}){10}", "(a{1000}|b)c{1000}", "(x{0,1000})+"],
)  # fmt: skip
def test_repeats_inside_each_other_are_counted_as_go_does(text: str) -> None:
    """Their product counts, along one way inwards, and not that of neighbours."""
    assert parse_pattern(text).text == text


@pytest.mark.slow
@given(st.text(alphabet="ab(|)*+?[]{}1,^$.\\-:ids", max_size=12))
def test_any_text_is_a_pattern_or_refused(text: str) -> None:
    """No text gives another error, and what is taken can be looked for."""
    try:
        pattern = parse_pattern(text)
    except ValueError:
        return
    assert pattern.matches("ab") in (True, False)


@given(st.text(max_size=12), st.text(max_size=12))
def test_quoted_text_means_itself(text: str, around: str) -> None:
    """A text between Q and E finds that text and nothing less."""
    literal = text.replace("\\E", "")

    assert parse_pattern(rf"\Q{literal}\E").matches(around + literal)


@given(st.from_regex(r"[a-z]{1,3}(\.\*|[0-9]\+?)?", fullmatch=True), st.text(alphabet="abc019", max_size=6))
def test_plain_patterns_are_those_of_python(text: str, name: str) -> None:
    """Where both write alike, both find alike."""
    assert (re.search(text, name) is not None) == parse_pattern(text).matches(name)
