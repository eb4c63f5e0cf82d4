"""Commits that must be signed: by whom, for which paths, and what stays in force where they are not."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from random import Random

import pytest

from muslin.errors import BadInput
from reconciler.commands import TRACKED, Git
from reconciler.fetch_state import STATE_FILE, FetchState, Standing
from reconciler.fetcher import Fetcher
from reconciler.references import reference
from reconciler.remotes import Remote
from reconciler.signatures import Kind, PathRule, Policy, Unverified, may_not, signed
from tests.reconciler.cases import policy
from tests.reconciler.repositories import bare, git

_COMMIT = b"""tree 4b825dc642cb6eb9a060e54bf8d69288fbee4904
parent 1111111111111111111111111111111111111111
author a <a@example.org> 1 +0000
committer a <a@example.org> 1 +0000
gpgsig -----BEGIN SSH SIGNATURE-----
 AAAA
 -----END SSH SIGNATURE-----
encoding UTF-8

subject

gpgsig not a header
"""


def test_a_commit_is_taken_apart_as_git_signs_it() -> None:
    """The payload is the commit without its signature; what stands in the message is no signature."""
    parts = signed(_COMMIT)

    assert parts.payload == _COMMIT.replace(_COMMIT[_COMMIT.index(b"gpgsig --") : _COMMIT.index(b"encoding")], b"")
    assert parts.signature == b"-----BEGIN SSH SIGNATURE-----\nAAAA\n-----END SSH SIGNATURE-----\n"
    assert (parts.kind, parts.parents) == (Kind.SSH, ("1" * 40,))
    assert signed(parts.payload).signature is None
    assert signed(_COMMIT.replace(b"SSH SIGNATURE", b"SIGNED MESSAGE")).kind is None


@pytest.mark.parametrize("second", [b"gpgsig -----BEGIN PGP SIGNATURE-----\n x\n", b"gpgsig-sha256 x\n"])
def test_two_signatures_are_none(second: bytes) -> None:
    """A commit with two signatures is refused: programs would not agree on which one counts."""
    with pytest.raises(ValueError, match="more than one"):
        signed(_COMMIT.replace(b"encoding", second + b"encoding"))


def test_the_longest_path_decides_who_may_change_what() -> None:
    """A rule counts for its folder and below; what no rule names anybody may change; names are told printable."""
    rules = [PathRule("a", frozenset({"x"})), PathRule("./a/b/", frozenset({"y"}))]
    for signer, path, refused in (
        ("x", b"a/c", None), ("x", b"a", None), ("x", b"a/b/c", "a/b/c"), ("y", b"a/b", None), ("y", b"a/bc", "a/bc"),
        ("z", b"ab", None), ("z", b"a/\x1b[2J", "a/\\x1b[2J"), ("x", b"a/\xff", None),
    ):  # fmt: skip
        assert may_not(rules, signer, [b"other", path]) == refused


@dataclass
class _Team:
    """People with keys, a repository, and a fetcher that asks for signatures."""

    folder: Path
    said: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.remote, self.work = bare(self.folder / "r"), self.folder / "w"
        self.work.mkdir()
        git(self.work, "init", "--quiet", "--initial-branch=main")
        self.policy = Policy(self.folder / "signers")
        lines = []
        for name in ("alice", "bob", "mallory"):
            subprocess.run(
                ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", self.folder / name],
                check=True,
                capture_output=True,
            )
            if name != "mallory":
                public = (self.folder / f"{name}.pub").read_text().strip()
                lines.append(f'{name}@example.org namespaces="git" {public}\n')
        (self.folder / "signers").write_text("".join(lines))

    def sign(self, who: str | None, path: str, *, on: str | None = None, text: str | None = None) -> str:
        """Write a file, commit it signed by somebody (None: by nobody), and push; gives the commit."""
        if on is not None:
            git(self.work, "reset", "--quiet", "--hard", on)
        (self.work / path).parent.mkdir(parents=True, exist_ok=True)
        (self.work / path).write_text(text or policy(Path(path).stem))
        git(self.work, "add", "--all")
        how = () if who is None else (f"-S{self.folder / who}",)
        git(self.work, "-c", "gpg.format=ssh", "commit", "--quiet", "--allow-empty", "-m", "x", *how)
        return self.push()

    def merge(self, who: str, branch: str) -> str:
        """Merge a branch into ours with a signed merge, and push."""
        how = f"-S{self.folder / who}"
        git(self.work, "-c", "gpg.format=ssh", "merge", "--quiet", "--no-ff", "-m", "merge", how, branch)
        return self.push()

    def push(self) -> str:
        git(self.work, "push", "--quiet", "--force", str(self.remote), "HEAD:refs/heads/main")
        return git(self.work, "rev-parse", "HEAD")

    def process(self, *options: str | Path) -> str | None:
        """What `muslin fetch --once` lets in, as a process that the kernel confines."""
        mirror = self.folder / "p"
        words = (
            "-m",
            "reconciler.fetch_process",
            "--allow-local",
            "--once",
            "--repository",
            self.remote,
            "--mirror",
            mirror,
        )
        command: list[str | Path] = [sys.executable, *words, *options]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        found = reference(mirror, TRACKED)
        assert done.returncode == (0 if found else 1), done.stderr
        return found

    def look(self, mirror: str = "m", **changes: object) -> FetchState:
        """What a fetcher that has just been started finds in one look."""

        async def scenario() -> FetchState:
            fetcher = Fetcher(
                Git(self.folder / mirror, Remote.parse(str(self.remote), "main", allow_local=True)),
                poke=None,
                interval_s=60,
                timeout_s=20,
                random=Random(0),
                now=lambda: datetime(2026, 1, 1, tzinfo=UTC),
                say=self.said.append,
                policy=replace(self.policy, **changes),  # type: ignore[arg-type]
            )
            await fetcher.open()
            try:
                await fetcher.fetch_once()
            finally:
                fetcher.close()
            assert reference(self.folder / mirror, TRACKED) == fetcher.state.commit
            return fetcher.state

        return asyncio.run(scenario())


@pytest.fixture
def team(tmp_path: Path) -> _Team:
    """Alice and Bob, whose keys are known, and Mallory."""
    if shutil.which("ssh-keygen") is None:
        pytest.skip("ssh-keygen is not installed")
    return _Team(tmp_path)


def _held(state: FetchState, good: str | None, reason: Unverified) -> None:
    assert (state.standing, state.commit) == (Standing.NOT_VERIFIED, good)
    assert state.message.startswith(f"{reason}: ")


@pytest.mark.slow
def test_what_is_not_signed_by_somebody_known_does_not_come_into_force(team: _Team) -> None:
    """Unsigned, signed by a stranger, tampered with: the last verified commit stays, and the reason is said once."""
    good = team.sign("alice", "a.yaml")
    assert (team.look().commit, team.look().standing) == (good, Standing.CURRENT)
    assert team.process("--allowed-signers", team.folder / "signers") == good
    _held((team.sign(None, "b.yaml"), team.look())[1], good, Unverified.NOT_SIGNED)
    said = len(team.said)
    _held(team.look(), good, Unverified.NOT_SIGNED)
    assert len(team.said) == said
    _held((team.sign("mallory", "c.yaml", on=good), team.look())[1], good, Unverified.UNKNOWN_SIGNER)
    raw = git(team.work, "cat-file", "commit", team.sign("bob", "d.yaml", on=good)) + "\n"
    forged = git(
        team.work, "hash-object", "-w", "-t", "commit", "--stdin", stdin=raw.replace("\nx\n", "\ny\n").encode()
    )
    git(team.work, "reset", "--quiet", "--hard", forged)
    team.push()
    _held(team.look(), good, Unverified.BAD_SIGNATURE)
    better = team.sign("bob", "e.yaml", on=good)
    state = team.look()
    assert (state.commit, state.standing, state.verified) == (better, Standing.CURRENT, better)


@pytest.mark.slow
def test_every_commit_on_the_way_answers_for_what_it_changes(team: _Team) -> None:
    """Signers are held to their paths commit by commit; whoever merges answers for what the merge brings."""
    rules = (PathRule("a", frozenset({"alice@example.org"})), PathRule("b", frozenset({"bob@example.org"})))
    team.policy = replace(team.policy, rules=rules)
    start = team.sign("mallory", "README")
    team.policy = replace(team.policy, anchor=start)
    team.sign("alice", "a/1.yaml")
    both = team.sign("bob", "b/1.yaml")
    assert team.look().commit == both
    team.sign("bob", "a/2.yaml")
    _held((team.sign("alice", "a/3.yaml"), team.look())[1], both, Unverified.SIGNER_MAY_NOT)
    assert "bob@example.org, who may not change a/2.yaml" in team.look().message
    git(team.work, "reset", "--quiet", "--hard", both)
    git(team.work, "branch", "feature", team.sign("mallory", "a/4.yaml", on=both))
    team.sign("alice", "a/5.yaml", on=both)
    git(team.work, "branch", "ours")
    _held((team.merge("bob", "feature"), team.look())[1], both, Unverified.SIGNER_MAY_NOT)
    git(team.work, "reset", "--quiet", "--hard", "ours")
    merged = team.merge("alice", "feature")
    assert team.look().commit == merged


@pytest.mark.slow
def test_a_branch_that_was_moved_back_or_rewritten_is_not_followed(team: _Team) -> None:
    """Old and abandoned commits are signed too: without leave, only what goes on from the verified one comes in."""
    old = team.sign("alice", "a.yaml")
    now = team.sign("alice", "b.yaml")
    assert team.look().commit == now
    git(team.work, "reset", "--quiet", "--hard", old)
    team.push()
    _held(team.look(), now, Unverified.REWRITTEN)
    other = team.sign("alice", "c.yaml", on=old)
    _held(team.look(), now, Unverified.REWRITTEN)
    state = team.look(rewrites=True)
    assert (state.commit, state.rewritten_from) == (other, now)


@pytest.mark.slow
def test_what_was_followed_before_signatures_were_asked_for_is_followed_no_more(team: _Team) -> None:
    """A commit that was never verified is let go of, kept for whoever has it in force, and a signed one takes over."""
    unsigned = team.sign(None, "a.yaml")
    policy_before, team.policy = team.policy, Policy()

    async def unverified() -> None:
        remote = Remote.parse(str(team.remote), "main", allow_local=True)
        fetcher = Fetcher(
            Git(team.folder / "m", remote), poke=None, interval_s=60, timeout_s=20, random=Random(0),
            now=lambda: datetime(2026, 1, 1, tzinfo=UTC), say=team.said.append,
        )  # fmt: skip
        await fetcher.open()
        await fetcher.fetch_once()
        fetcher.close()

    asyncio.run(unverified())
    assert reference(team.folder / "m", TRACKED) == unsigned
    team.policy = policy_before
    _held(team.look(), None, Unverified.NOT_SIGNED)
    assert git(team.folder / "m", "cat-file", "-t", unsigned) == "commit"
    good = team.sign("alice", "b.yaml")
    assert team.look().commit == good


@pytest.mark.slow
def test_a_revoked_or_removed_key_counts_no_more(team: _Team) -> None:
    """The next commit of a key that was taken out or revoked is refused; new keys are asked for at once."""
    good = team.sign("alice", "a.yaml")
    assert team.look().commit == good
    (team.folder / "revoked").write_text((team.folder / "bob.pub").read_text())
    team.policy = replace(team.policy, revoked=team.folder / "revoked")
    byb = team.sign("bob", "b.yaml")
    _held(team.look(), good, Unverified.BAD_SIGNATURE)
    (team.folder / "revoked").write_text("")
    assert team.look().commit == byb
    lines = (team.folder / "signers").read_text().splitlines(keepends=True)
    (team.folder / "signers").write_text(lines[0])
    _held((team.sign("bob", "c.yaml"), team.look())[1], byb, Unverified.UNKNOWN_SIGNER)


@pytest.mark.slow
def test_without_the_program_nothing_is_taken_for_signed(team: _Team, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine without ssh-keygen, a policy without keys and a keyring without gpgv are refused when they start."""
    team.sign("alice", "a.yaml")
    (team.folder / "bin").mkdir()
    (team.folder / "bin" / "git").symlink_to(shutil.which("git") or "git")
    (team.folder / "bin" / "sh").symlink_to("/bin/sh")
    with pytest.raises(BadInput, match="nobody's key"):
        team.look(allowed_signers=None)
    monkeypatch.setenv("PATH", str(team.folder / "bin"))
    with pytest.raises(BadInput, match="ssh-keygen is not installed"):
        team.look()
    with pytest.raises(BadInput, match="gpgv is not installed"):
        team.look(allowed_signers=None, keyring=team.folder / "signers")
    assert not (team.folder / "m").exists()


@pytest.mark.slow
@pytest.mark.parametrize("armour", [(), ("--armor",)], ids=["binary", "armoured"])
def test_openpgp_signatures_count_by_their_keyring(armour: tuple[str, ...], team: _Team) -> None:
    """A key of the keyring is let in, named by its fingerprint; one outside, or an ssh signature, is not."""
    for program in ("gpg", "gpgv"):
        if shutil.which(program) is None:
            pytest.skip(f"{program} is not installed")
    home = team.folder / "g"
    home.mkdir(mode=0o700)
    environment = os.environ | {"GNUPGHOME": str(home)}

    def gpg(*arguments: str) -> bytes:
        command = ["gpg", "--batch", "--quiet", "--pinentry-mode", "loopback", "--passphrase", "", *arguments]
        return subprocess.run(command, env=environment, check=True, capture_output=True).stdout

    try:
        for name in ("carol", "dave"):
            gpg("--quick-generate-key", f"{name}@example.org", "ed25519", "sign", "never")
        fingerprint = gpg("--list-keys", "--with-colons", "carol@example.org").split(b"\nfpr:::::::::")[1][:40].decode()
        (team.folder / "keyring").write_bytes(gpg(*armour, "--export", "carol@example.org"))
        rules = (PathRule("c", frozenset({fingerprint})),)
        team.policy = Policy(keyring=team.folder / "keyring", rules=rules)

        def by(who: str, path: str) -> str:
            (team.work / path).parent.mkdir(parents=True, exist_ok=True)
            (team.work / path).write_text(policy("x"))
            git(team.work, "add", "--all")
            command = ["git", "commit", "--quiet", "-m", "x", f"-S{who}@example.org"]
            who_else = {
                f"GIT_{role}_{what}": "c@example.org" for role in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")
            }
            subprocess.run(command, cwd=team.work, env=environment | who_else, check=True, capture_output=True)
            return team.push()

        good = by("carol", "c/1.yaml")
        assert team.look().commit == good
        assert team.process("--keyring", team.folder / "keyring") == good
        _held((by("dave", "c/2.yaml"), team.look())[1], good, Unverified.UNKNOWN_SIGNER)
        _held((team.sign("alice", "c/3.yaml", on=good), team.look())[1], good, Unverified.UNKNOWN_SIGNER)
        _held((team.sign(None, "c/4.yaml", on=good), team.look())[1], good, Unverified.NOT_SIGNED)
    finally:
        subprocess.run(["gpgconf", "--kill", "all"], env=environment, check=False, capture_output=True)


@pytest.mark.slow
def test_a_fetcher_that_died_between_two_writes_and_a_lost_mirror_go_on_where_they_were(team: _Team) -> None:
    """Whichever of reference and state was written last, the next look has both; so with lost objects."""
    team.sign("alice", "a.yaml")
    team.look()
    mirror = team.folder / "m"
    before = (mirror / STATE_FILE).read_text()
    second = team.sign("bob", "b.yaml")
    team.look()
    after = (mirror / STATE_FILE).read_text()
    (mirror / STATE_FILE).write_text(before)
    state = team.look()
    assert (state.commit, state.verified, state.standing) == (second, second, Standing.CURRENT)
    git(mirror, "update-ref", TRACKED, f"{second}^")
    (mirror / STATE_FILE).write_text(after)
    assert team.look().commit == second
    shutil.rmtree(mirror / "objects")
    third = team.sign("alice", "c.yaml")
    assert team.look().commit == third
    shutil.rmtree(mirror / "objects")
    _held((team.sign("mallory", "d.yaml"), team.look())[1], third, Unverified.UNKNOWN_SIGNER)
    assert git(mirror, "cat-file", "-t", f"{third}^{{tree}}") == "tree"
