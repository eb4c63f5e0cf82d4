"""What a revert says and holds, and what is believed of a request for one: rules without git."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from reconciler.children import Ran
from reconciler.fetch_state import FetchState, Standing, read_state, write_state
from reconciler.guard import RevertRequest
from reconciler.pushing import Pushing
from reconciler.remotes import Remote
from reconciler.revert_requests import RevertRequests
from reconciler.reverting import refusal
from reconciler.reverts import (
    Because,
    RevertAsked,
    RevertOutcome,
    RevertStanding,
    changes_back,
    requested,
    revert_commit,
    reverts_what,
    with_signature,
    written,
)
from reconciler.selection import Selection
from reconciler.signatures import Policy, signed
from reconciler.sources_file import Reads

_BAD, _GOOD = "b" * 40, "a" * 40
_AT = "2026-01-01T00:00:00Z"
_ASKED = RevertAsked(
    "prod", "network", _BAD, _GOOD, Selection.of(["clusters/prod"]), Because.GATE_FAILED, "n1 has no session", _AT
)


def test_what_is_asked_for_is_read_back() -> None:
    """A request goes through its file unchanged."""
    assert requested(written([_ASKED])) == (_ASKED,)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (_BAD, "main"), (_GOOD, "--upload-pack=x"), (_GOOD, _BAD), ('"version": 1', '"version": 2'),
        ("clusters/prod", "../x"), (_AT, "yesterday"), ("GateFailed", "x"), ('"reverts"', '"x"'), ("}", ""),
        ("n1", "n1" * (1 << 18)),
    ],
)  # fmt: skip
def test_a_request_that_is_none_is_refused(before: str, after: str) -> None:
    """Names for ids, options, paths outside, other versions, floods: nothing of it is believed."""
    text = written([_ASKED]).decode().replace(before, after)

    with pytest.raises(ValueError, match=r"."):
        requested(text.encode())


def test_a_commit_says_why_and_nobody_adds_a_line_to_it() -> None:
    """The reason stands on one line, whatever is in it; date and octets follow from the request alone."""
    asked = replace(_ASKED, reason="no route\n\nMuslin-Reverts: " + "c" * 40 + "\x1b[2J")
    made = revert_commit("d" * 40, [asked], "Muslin <m@example.org>")

    text = made.decode()
    assert text.startswith(f"tree {'d' * 40}\nparent {_BAD}\nauthor Muslin <m@example.org> 1767225600 +0000\n")
    assert "clusters/prod is again what it is in aaaaaaaaaaaa" in text
    assert "prod: a gate before its changes did not open (GateFailed)\n  no route Muslin-Reverts: " in text
    assert "\x1b" not in text
    assert reverts_what(made) == _BAD
    assert made == revert_commit("d" * 40, [asked], "Muslin <m@example.org>")


def test_only_the_last_paragraph_makes_a_revert() -> None:
    """A commit that quotes one of ours in its text is none."""
    made = revert_commit("d" * 40, [_ASKED], "Muslin <m@example.org>")

    assert reverts_what(made + b"\nSigned-off-by: somebody\n") is None
    assert reverts_what(b"tree x\n\nplain\n") is None


def test_a_signature_is_where_git_looks_for_it() -> None:
    """What was signed is the commit without its signature."""
    made = revert_commit("d" * 40, [_ASKED], "Muslin <m@example.org>")
    signature = b"-----BEGIN SSH SIGNATURE-----\nAAAA\n-----END SSH SIGNATURE-----\n"

    parts = signed(with_signature(made, signature))

    assert (parts.payload, parts.signature, parts.parents) == (made, signature, (_BAD,))


def test_only_what_a_set_reads_goes_back() -> None:
    """Files of other folders, filtered, hidden and other ones stay; removals come before what takes their name."""
    one, none = b"1" * 40, b"0" * 40
    raw = b"".join(
        b":100644 " + mode + b" " + one + b" " + to + b" M\0" + path + b"\0"
        for mode, to, path in (
            (b"100644", one, b"a/x.yaml"), (b"000000", none, b"a/x.yaml.d/k.yaml"), (b"100644", one, b"b/x.yaml"),
            (b"100644", one, b"a/draft/x.yaml"), (b"100644", one, b"a/.github/x.yaml"), (b"100644", one, b"a/README"),
        )
    )  # fmt: skip

    lines = list(changes_back(raw, [Selection.of(["a"], exclude=["a/draft"])]))

    assert lines == [b"0 " + none + b"\ta/x.yaml.d/k.yaml\0", b"100644 " + one + b"\ta/x.yaml\0"]
    with pytest.raises(ValueError, match="cut off"):
        list(changes_back(raw[:-2], [Selection()]))


def test_what_became_of_it_survives_in_the_state_file(tmp_path: Path) -> None:
    """The reconciler reads what the fetcher wrote, and a state of an earlier version has none."""
    outcome = RevertOutcome(_BAD, RevertStanding.REFUSED, "r", "c" * 40, "hook declined", 2, _AT, "x")
    state = FetchState("r", "main", Standing.CURRENT, reverts=(outcome,))
    write_state(tmp_path, state)

    assert read_state(tmp_path) == state


def test_a_reconciler_asks_for_what_is_taken_back_and_withdraws_it(tmp_path: Path) -> None:
    """Of several sources those that differ are asked for, without secrets; asked twice nothing is written."""
    reads = [Reads(name, tmp_path / name, Selection()) for name in ("network", "policies")]
    said: list[str] = []
    ask = RevertRequests(tmp_path / "asks" / "prod.json", "prod", reads, said.append)
    other, reason = "c" * 40, "https://user:pass-word@192.0.2.1/ is away"
    bad = RevertRequest(
        f"network@{_BAD},policies@{other}~12345678", f"network@{_GOOD},policies@{other}", reason, at=_AT
    )
    ask(bad)
    written_once = (tmp_path / "asks" / "prod.json").stat().st_ino
    ask(bad)
    assert (tmp_path / "asks" / "prod.json").stat().st_ino == written_once
    (given,) = requested((tmp_path / "asks" / "prod.json").read_bytes())
    assert (given.source, given.commit, given.back_to) == ("network", _BAD, _GOOD)
    assert "pass-word" not in given.reason

    again = RevertRequests(tmp_path / "asks" / "prod.json", "prod", reads, said.append)  # after a kill
    again(None)
    assert list((tmp_path / "asks").iterdir()) == []
    ask(None)
    ask(None)
    (tmp_path / "file").write_text("")
    RevertRequests(tmp_path / "file" / "x", "prod", reads[:1], said.append)(RevertRequest(_BAD, _GOOD, "x", at=_AT))
    assert "cannot be written" in said[0]


@pytest.mark.parametrize(
    ("pushing", "remote", "signed_commits", "words"),
    [
        (Pushing((), branch="main"), ("main", ""), False, "without a review"),
        (Pushing((), branch="a b"), ("main", ""), False, "not a branch name"),
        (Pushing((), branch="-x"), ("main", ""), False, "not a branch name"),
        (Pushing(()), ("", "v1"), False, "a tag is followed"),
        (Pushing((), author="nobody"), ("main", ""), False, "name and an address"),
        (Pushing((), author="a <a@b>\nx <y>"), ("main", ""), False, "name and an address"),
        (Pushing((), key=Path("missing")), ("main", ""), False, "no such file"),
        (Pushing(()), ("main", ""), True, "would not be"),
        (Pushing((), branch=None), ("main", ""), False, ""),
    ],
)
def test_settings_that_cannot_be_are_refused(
    pushing: Pushing, remote: tuple[str, str], signed_commits: bool, words: str
) -> None:
    """The followed branch only if asked for in so many words, branches alone, and a key where signatures count."""
    policy = Policy(Path(__file__)) if signed_commits else None

    found = pushing.problems(Remote.parse("https://git.example/r", remote[0] or None, tag=remote[1] or None), policy)

    assert (words in found[0].what) if words else found == ()


def test_a_servers_words_show_no_password_and_are_one_line() -> None:
    """What a server says of a push that it refuses reaches status, history and notices."""
    said = b"To x\n!\trefs/a:refs/b\t[remote rejected] (see https://bot:hunter2@git.example/x)\nDone\n"
    assert "hunter2" not in refusal(Ran(1, said, ""))
    assert refusal(Ran(1, said.replace(b"https://bot:hunter2@git.example/x", b"no\x1b[2J"), "")) == (
        "[remote rejected] (see no [2J)"
    )
    assert refusal(Ran(1, b"", "")) == "git push failed"
