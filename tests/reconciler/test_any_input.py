"""Whatever people and strangers write: settings, patterns, commits, references and proofs get an answer, no fault."""

from __future__ import annotations

import contextlib
import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from muslin.errors import BadInput, Problem
from reconciler.combined import commits_of
from reconciler.remotes import Remote, redacted
from reconciler.reverts import Because, RevertAsked, changes_back, requested, reverts_what, written
from reconciler.selection import Selection
from reconciler.signatures import may_not, signed
from reconciler.sources_file import Role, load
from reconciler.webhook import Provider, Secret

pytestmark = pytest.mark.slow

_PAGE = (Path(__file__).parents[2] / "docs" / "gitops.md").read_text("utf-8")
_FILE = _PAGE.partition("```yaml\n")[2].partition("```")[0]
_PARTS = st.sampled_from(["a", "b", "ab", "*", "**", "a*", "*b", "?", "a?b", "**a"])


def _slowly(pattern: str) -> re.Pattern[str]:
    """The same meaning by a regular expression, which may take long and so is not what we use."""
    text = "".join(
        "(?:[^/]+/)*" if part == "**/" else "[^/]+(?:/[^/]+)*" if part == "**" else "".join(
            {"*": "[^/]*", "?": "[^/]"}.get(c, re.escape(c)) for c in part
        )
        for part in (f"{each}/" if more else each for each, more in _with_more(pattern.split("/")))
    )  # fmt: skip
    return re.compile(text)


def _with_more(parts: list[str]) -> list[tuple[str, bool]]:
    return [(part, index < len(parts) - 1) for index, part in enumerate(parts)]


@settings(max_examples=300, deadline=None)
@given(
    st.lists(_PARTS, min_size=1, max_size=4), st.lists(st.sampled_from(["a", "b", "ab", "aab"]), min_size=1, max_size=5)
)
def test_patterns_mean_what_a_regular_expression_would(pattern: list[str], path: list[str]) -> None:
    """Ours, whose time is bounded, agrees with the obvious one on every pattern and path."""
    written, asked = "/".join(pattern), "/".join(path)

    assert Selection(include=(written,)).includes(asked) is bool(_slowly(written).fullmatch(asked))


_ASKED = written([RevertAsked("a", "", "b" * 40, "a" * 40, Selection(), Because.ASKED, "x", "2026-01-01T00:00:00Z")])


@settings(max_examples=300, deadline=None)
@given(st.integers(0, len(_ASKED)), st.integers(0, 9), st.binary(max_size=9), st.binary(max_size=200))
def test_a_request_for_a_revert_of_any_octets_is_checked_or_refused(
    at: int, gone: int, put: bytes, other: bytes
) -> None:
    """What another process wrote is either a request with real ids, or a sentence; lists of changes likewise."""
    for text in (_ASKED[:at] + put + _ASKED[at + gone :], other):
        try:
            found = requested(text)
        except ValueError:
            continue
        assert all(re.fullmatch("[0-9a-f]{40}", id_) for each in found for id_ in (each.commit, each.back_to))
    reverts_what(other)
    with contextlib.suppress(ValueError):
        list(changes_back(other, [Selection()]))


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=300), st.binary(max_size=60), st.integers(0, 5))
def test_a_commit_of_any_octets_is_taken_apart_or_refused(body: bytes, signature: bytes, place: int) -> None:
    """Parts of a commit never come from somewhere else: without a signature the payload is the commit itself."""
    lines = [b"tree " + b"1" * 40, b"author a", b"committer a", b"", body]
    lines.insert(min(place, 3), b"gpgsig " + signature.replace(b"\n", b"\n "))
    for text in (body, b"\n".join(lines)):
        try:
            parts = signed(text)
        except ValueError:  # it carries two signatures
            continue
        assert parts.signature is not None or parts.payload == text
        assert may_not((), "x", [body]) is None


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_any_change_to_a_good_file_of_sources_is_read_or_told_with_a_place(
    data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Lines that are lost, doubled, moved or garbled give a file that is good, or problems with file and line."""
    lines = _FILE.splitlines()
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(lines) - 1))
        other = data.draw(
            st.sampled_from(["", "- a", "  x: [", "\t", "name: 1", "sets: {}", "  - {}", "\x00", "url: ::"])
        )
        how = data.draw(st.sampled_from(["drop", "double", "garble", "swap"]))
        if how == "drop" and len(lines) > 1:
            del lines[at]
        elif how == "double":
            lines.insert(at, lines[at])
        elif how == "garble":
            lines[at] = other
        else:
            lines[at], lines[0] = lines[0], lines[at]
    path = tmp_path_factory.getbasetemp() / "any-sources.yaml"
    path.write_text("\n".join(lines))
    problems: tuple[Problem, ...] = ()
    try:
        assert load(path, Role.RECONCILER).sets
    except BadInput as error:
        problems = error.problems
    assert [each for each in problems if not (each.where.startswith(str(path)) and each.fix)] == []


@settings(max_examples=300, deadline=None)
@given(st.text(max_size=60), st.text(max_size=20))
def test_addresses_and_references_of_any_text_are_refused_or_harmless(url: str, name: str) -> None:
    """What passes has a known transport and no octet that an option, a refspec or a second line could begin with."""
    redacted(url)
    for given_url in (url, f"https://{url}", f"ssh://{url}"):
        try:
            remote = Remote.parse(given_url, name)
        except BadInput:
            continue
        assert re.fullmatch(r"(https|ssh)://[^-\s\\][^\s\\]*", remote.url)
        assert re.fullmatch(r"refs/heads/[A-Za-z0-9_][A-Za-z0-9_.+/-]*", remote.reference)


@settings(max_examples=200, deadline=None)
@given(
    st.sampled_from(Provider),
    st.binary(min_size=16, max_size=40),
    st.one_of(st.none(), st.text()),
    st.binary(max_size=50),
)
def test_no_text_but_the_proof_proves(provider: Provider, secret: bytes, told: str | None, body: bytes) -> None:
    """Any other text, also one that no encoding has, is refused without a fault."""
    if told is None or told.encode("utf-8", "replace") != secret:
        assert not Secret(provider, secret).proves(told, body)


@settings(max_examples=200, deadline=None)
@given(st.text(alphabet="abc0123456789@,~.-f", max_size=120))
def test_a_commit_of_the_whole_is_read_back_or_nothing(text: str) -> None:
    """Only what we wrote is taken for one: every part is a commit's id."""
    assert all(re.fullmatch("[0-9a-f]{40}", commit) for commit in commits_of(text).values())
