"""Checks signatures of commits by running `ssh-keygen -Y verify` and `gpgv`, which check and do nothing else.

Git's own `verify-commit` is not used: it starts whatever programs its configuration names, and `gpg` with a keyring
and an agent. Here the argument lists are fixed, and files of the repository are never named in them: payload and
signature lie in a folder of the mirror under our names. A program that is missing is a refusal, as is everything that
is not understood.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import re
import shutil
import tempfile
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from muslin.errors import BadInput, Problem
from reconciler.children import Ran, run
from reconciler.commands import Git
from reconciler.signatures import MOST_COMMITS, Kind, Policy, Signed, Unverified, Verdict, may_not, signed

__all__ = ["Verification"]

_PROGRAMS: Final = {Kind.SSH: "ssh-keygen", Kind.OPENPGP: "gpgv"}
_LARGEST_COMMIT: Final = 1 << 20
_MOST_PATHS: Final = 32 << 20
_EMPTY_TREE: Final = "4b825dc642cb6eb9a060e54bf8d69288fbee4904"
_GOOD_PGP = re.compile(r"^\[GNUPG:\] VALIDSIG ([0-9A-F]{40}) .* ([0-9A-F]{40})$", re.MULTILINE)
_BAD_PGP = re.compile(r"^\[GNUPG:\] (BADSIG|ERRSIG|EXPSIG|EXPKEYSIG|REVKEYSIG|NO_PUBKEY)\b", re.MULTILINE)
_TRIES_S: Final = 20.0


@dataclass(frozen=True, slots=True)
class _Found:
    """Who signed, or why that is not known."""

    signer: str = ""
    reason: Unverified | None = None
    message: str = ""


class Verification:
    """One source's policy, and how to check commits of its mirror against it.

    Args:
        policy: whose signatures count.
        git: argument lists for the mirror.
        call: runs one of them; gives how it ended. The second argument is how much output to keep.
        path: where programs are looked for.
    """

    def __init__(
        self,
        policy: Policy,
        git: Git,
        call: Callable[[tuple[str, ...], int], Awaitable[Ran]],
        *,
        path: str | None = None,
    ) -> None:
        self._policy = policy
        self._git = git
        self._call = call
        self._path = path

    @property
    def identity(self) -> str:
        """Names the rules and keys that are in force now."""
        return self._policy.identity()

    @property
    def anchor(self) -> str | None:
        """Where the check begins, None where the first commit's signer answers for all."""
        return self._policy.anchor

    def demand(self) -> None:
        """Raises BadInput where the policy cannot be checked on this machine at all."""
        problems = list(self._policy.problems())
        for kind, keys in ((Kind.SSH, self._policy.allowed_signers), (Kind.OPENPGP, self._policy.keyring)):
            if keys is not None and self._program(kind) is None:
                what = f"{_PROGRAMS[kind]} is not installed, and signatures are required"
                problems.append(Problem(what, str(keys), f"install {_PROGRAMS[kind]}, or leave these keys out"))
        if problems:
            raise BadInput(problems)

    async def check(self, tip: str, since: str | None) -> Verdict:
        """Whether `tip` may come into force after `since`, the last commit that was verified (None: none yet)."""
        start = since or self._policy.anchor
        if start == tip:
            return Verdict()
        if start is not None and not self._policy.rewrites:
            forward = await self._call(self._git.is_ancestor(start, tip), 1024)
            if forward.status != 0:
                what = f"commit {tip} does not go on from {start}, the last verified one; revert instead of rewriting"
                return Verdict(Unverified.REWRITTEN, what)
        for newer, older in await self._way(start, tip):
            verdict = await self._one(newer, older)
            if verdict.reason is not None:
                return verdict
        return Verdict()

    async def _way(self, start: str | None, tip: str) -> list[tuple[str, str]]:
        """Pairs of (commit, what its signer starts from), newest first."""
        if start is None:
            return [(tip, _EMPTY_TREE)]
        ran = await self._call(self._git.first_parents(start, tip, MOST_COMMITS + 1), (MOST_COMMITS + 1) * 41 + 1)
        commits = ran.text.split()
        if ran.status != 0 or not ran.whole or not 0 < len(commits) <= MOST_COMMITS:
            return [(tip, start)]
        oldest = await self._call(self._git.raw_commit(commits[-1]), _LARGEST_COMMIT)
        try:
            reaches = oldest.status == 0 and oldest.whole and signed(oldest.output).parents[:1] == (start,)
        except ValueError:
            reaches = False
        if not reaches:
            return [(tip, start)]
        return list(zip(commits, [*commits[1:], start], strict=True))

    async def _one(self, commit: str, older: str) -> Verdict:
        raw = await self._call(self._git.raw_commit(commit), _LARGEST_COMMIT)
        if raw.status != 0 or not raw.whole:
            return Verdict(Unverified.CANNOT_CHECK, f"commit {commit} cannot be read, or is too long to be checked")
        try:
            parts = signed(raw.output)
        except ValueError as error:
            return Verdict(Unverified.BAD_SIGNATURE, f"commit {commit}: {error}")
        found = await self._signer(parts)
        if found.reason is not None:
            return Verdict(found.reason, f"commit {commit} {found.message}")
        if not self._policy.rules:
            return Verdict()
        changed = await self._call(self._git.changed_paths(older, commit), _MOST_PATHS)
        if changed.status != 0 or not changed.whole:
            return Verdict(Unverified.CANNOT_CHECK, f"what commit {commit} changes cannot be listed: {changed.told}")
        path = may_not(self._policy.rules, found.signer, (each for each in changed.output.split(b"\0") if each))
        if path is not None:
            what = f"commit {commit} is signed by {found.signer}, who may not change {path}"
            return Verdict(Unverified.SIGNER_MAY_NOT, what)
        return Verdict()

    async def _signer(self, parts: Signed) -> _Found:
        if parts.signature is None:
            return _Found(reason=Unverified.NOT_SIGNED, message="is not signed")
        keys = {Kind.SSH: self._policy.allowed_signers, Kind.OPENPGP: self._policy.keyring}
        if parts.kind is None or keys[parts.kind] is None:
            what = f"carries a signature of a kind for which no keys are given ({parts.kind or 'unknown'})"
            return _Found(reason=Unverified.UNKNOWN_SIGNER, message=what)
        program = self._program(parts.kind)
        if program is None:
            what = f"cannot be checked: {_PROGRAMS[parts.kind]} is not installed"
            return _Found(reason=Unverified.CANNOT_CHECK, message=what)
        with tempfile.TemporaryDirectory(dir=self._git.mirror, prefix="muslin-check-") as folder:
            payload, signature = Path(folder, "payload"), Path(folder, "signature")
            await asyncio.to_thread(payload.write_bytes, parts.payload)
            await asyncio.to_thread(signature.write_bytes, parts.signature)
            check = self._ssh if parts.kind is Kind.SSH else self._openpgp
            return await check(program, Path(folder), payload, signature)

    async def _ssh(self, program: str, folder: Path, payload: Path, signature: Path) -> _Found:
        allowed = str(self._absolute(self._policy.allowed_signers))
        asked = await self._run((program, "-Y", "find-principals", "-s", str(signature), "-f", allowed), folder)
        principals = [line for line in asked.text.splitlines() if line]
        if asked.status != 0 or not principals:
            return _Found(reason=Unverified.UNKNOWN_SIGNER, message=f"is signed by nobody we know: {asked.told}")
        revoked = () if self._policy.revoked is None else ("-r", str(self._absolute(self._policy.revoked)))
        last = asked
        for principal in principals:
            if principal.startswith("-"):
                continue
            last = await self._run(
                (program, "-Y", "verify", "-n", "git", "-f", allowed, "-I", principal, "-s", str(signature), *revoked),
                folder,
                stdin=payload,
            )
            if last.status == 0:
                return _Found(principal)
        return _Found(reason=Unverified.BAD_SIGNATURE, message=f"has a signature that does not hold: {last.told}")

    async def _openpgp(self, program: str, folder: Path, payload: Path, signature: Path) -> _Found:
        keyring = folder / "keyring.gpg"
        try:
            keys = await asyncio.to_thread(self._absolute(self._policy.keyring).read_bytes)
            await asyncio.to_thread(keyring.write_bytes, _without_armour(keys))
        except (OSError, ValueError) as error:
            return _Found(reason=Unverified.CANNOT_CHECK, message=f"cannot be checked: the keyring: {error}")
        ran = await self._run(
            (program, "--homedir", str(folder), "--keyring", str(keyring), "--weak-digest", "SHA1", "--status-fd", "1",
             str(signature), str(payload)),
            folder,
        )  # fmt: skip
        bad, good = _BAD_PGP.search(ran.text), _GOOD_PGP.findall(ran.text)
        if ran.status == 0 and bad is None and len(good) == 1 and ran.text.count("[GNUPG:] GOODSIG ") == 1:
            return _Found(good[0][1])
        unknown = "NO_PUBKEY" in ran.text
        reason = Unverified.UNKNOWN_SIGNER if unknown else Unverified.BAD_SIGNATURE
        said = "is signed by nobody we know" if unknown else "has a signature that does not hold"
        return _Found(reason=reason, message=f"{said}: {bad[1] if bad else ran.told}")

    async def _run(self, command: tuple[str, ...], folder: Path, stdin: Path | None = None) -> Ran:
        environment = {"PATH": self._path or "", "HOME": str(folder), "LC_ALL": "C"}
        return await run(command, environment=environment, folder=folder, timeout_s=_TRIES_S, stdin=stdin)

    def _program(self, kind: Kind) -> str | None:
        return shutil.which(_PROGRAMS[kind], path=self._path)

    @staticmethod
    def _absolute(path: Path | None) -> Path:
        assert path is not None
        return path.absolute()


def _without_armour(keys: bytes) -> bytes:
    """OpenPGP packets: of `gpg --export` as they are, of `gpg --export --armor` decoded. Raises ValueError."""
    if b"-----BEGIN PGP" not in keys:
        return keys
    packets = b""
    for block in keys.replace(b"\r\n", b"\n").split(b"-----BEGIN PGP PUBLIC KEY BLOCK-----\n")[1:]:
        _, _, body = (b"\n" + block).partition(b"\n\n")  # headers, if any, end with an empty line
        lines = [line for line in body.partition(b"-----END")[0].split(b"\n") if not line.startswith(b"=")]
        try:
            packets += base64.b64decode(b"".join(lines), validate=True)
        except binascii.Error as error:
            raise ValueError(f"it is damaged: {error}") from error
    if not packets:
        raise ValueError("it holds no public key")
    return packets
