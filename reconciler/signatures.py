"""What must be signed by whom: the policy of one source, and the signature inside a commit. Nothing runs here.

Who signs answers for a *difference*. From the last verified commit the newest one is reached over first parents; every
commit on that way must carry a good signature of somebody who may change every path that it changes against its first
parent, so that whoever merges answers for what the merge brings. The differences on the way add up to the whole
difference, so nothing gets in unsigned. Where the way is not such a line (over a second parent, or more than
`MOST_COMMITS` commits long), the newest commit's signer alone answers for the whole difference.

A branch that was rewritten or moved back is not followed, unless the policy says so: signatures do not say of which
branch a commit is, so whoever has the server could put an old or abandoned signed state in force.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final

from muslin.errors import Problem
from reconciler.remotes import is_object_id

__all__ = ["MOST_COMMITS", "Kind", "PathRule", "Policy", "Signed", "Unverified", "Verdict", "may_not", "signed"]

MOST_COMMITS: Final = 1000
"""Commits between two looks that are verified one by one."""

_HEADERS: Final = (b"gpgsig", b"gpgsig-sha256")


class Kind(StrEnum):
    """Which program made the signature, and so which one can check it."""

    SSH = "ssh"
    OPENPGP = "openpgp"


class Unverified(StrEnum):
    """Why a commit does not come into force."""

    NOT_SIGNED = "NotSigned"
    BAD_SIGNATURE = "BadSignature"
    UNKNOWN_SIGNER = "UnknownSigner"
    SIGNER_MAY_NOT = "SignerMayNot"
    REWRITTEN = "Rewritten"
    CANNOT_CHECK = "CannotCheck"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a check found. `reason` is None where the commit is fit; else `message` says which commit and why."""

    reason: Unverified | None = None
    message: str = ""


@dataclass(frozen=True, slots=True)
class PathRule:
    """Who may change what is at and below a path: principals of ssh, or OpenPGP fingerprints."""

    path: str
    signers: frozenset[str]


@dataclass(frozen=True, slots=True)
class Policy:
    """Whose signatures count for one source.

    Attributes:
        allowed_signers: file of `ssh-keygen`: principals and their keys.
        revoked: file of keys that count no more, as `ssh-keygen -Y verify -r` takes it.
        keyring: exported OpenPGP public keys.
        rules: who may change which paths; of several the one with the longest path decides, and what no rule names
            anybody with a good signature may change.
        anchor: a commit that a person has looked at, from which the check begins. Without it the first commit's signer
            answers for everything that is in it.
        rewrites: whether a branch that does not go on from the last verified commit is followed if its newest commit is
            signed.
    """

    allowed_signers: Path | None = None
    revoked: Path | None = None
    keyring: Path | None = None
    rules: tuple[PathRule, ...] = ()
    anchor: str | None = None
    rewrites: bool = False

    def problems(self) -> tuple[Problem, ...]:
        """What cannot be checked by this policy."""
        found = []
        if self.allowed_signers is None and self.keyring is None:
            what = "signatures are required, and nobody's key is given"
            found.append(Problem(what, "signatures", "name a file with allowedSigners or keyring"))
        if self.anchor is not None and not is_object_id(self.anchor):
            what = f"{self.anchor[:80]!r} is not the id of a commit"
            found.append(Problem(what, "anchor", "give all 40 hexadecimal digits of a commit that you have looked at"))
        if self.revoked is not None and self.allowed_signers is None:
            found.append(Problem("revoked keys are of ssh, and no ssh keys are allowed", "signatures", "leave it out"))
        found.extend(
            Problem("there is no such file", str(path), "give the path of a file that is there")
            for path in (self.allowed_signers, self.revoked, self.keyring)
            if path is not None and not path.is_file()
        )
        return tuple(found)

    def identity(self) -> str:
        """A name of these rules and of the content of their files: other rules ask for another look."""
        digest = hashlib.sha256(repr((sorted(map(_spelt, self.rules)), self.anchor, self.rewrites)).encode())
        for path in (self.allowed_signers, self.revoked, self.keyring):
            try:
                content = b"-" if path is None else path.read_bytes()
            except OSError:
                content = b"?"
            digest.update(hashlib.sha256(content).digest())
        return digest.hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class Signed:
    """A commit taken apart: what was signed, and the signature over it (None where there is none)."""

    payload: bytes
    signature: bytes | None
    kind: Kind | None
    parents: tuple[str, ...]


def signed(commit: bytes) -> Signed:
    """The parts of a raw commit, as git signs them. Raises ValueError where it carries two signatures."""
    head, separator, body = commit.partition(b"\n\n")
    kept: list[bytes] = []
    signatures: list[list[bytes]] = []
    inside = False
    for line in head.split(b"\n"):
        if line.startswith(b" "):
            (signatures[-1] if inside else kept).append(line[1:] if inside else line)
            continue
        name, _, value = line.partition(b" ")
        inside = name in _HEADERS
        if inside:
            signatures.append([value])
        else:
            kept.append(line)
    if len(signatures) > 1:
        raise ValueError("it carries more than one signature")
    parents = tuple(line[7:].decode("ascii", "replace") for line in kept if line.startswith(b"parent "))
    signature = b"\n".join(signatures[0]) + b"\n" if signatures else None
    return Signed(b"\n".join(kept) + separator + body, signature, _kind(signature), parents)


def may_not(rules: Iterable[PathRule], signer: str, paths: Iterable[bytes]) -> str | None:
    """The first path that this signer may not change, printable; None where all are fine."""
    known = [(tuple(part for part in rule.path.split("/") if part not in ("", ".")), rule.signers) for rule in rules]
    for path in paths:
        parts = tuple(path.decode("utf-8", "replace").split("/"))
        deciding = [(folder, signers) for folder, signers in known if parts[: len(folder)] == folder]
        if deciding:
            _, signers = max(deciding, key=lambda rule: len(rule[0]))
            if signer not in signers:
                return ascii("/".join(parts)[:300])[1:-1]
    return None


def _kind(signature: bytes | None) -> Kind | None:
    if signature is None:
        return None
    if signature.startswith(b"-----BEGIN SSH SIGNATURE-----\n"):
        return Kind.SSH
    return Kind.OPENPGP if signature.startswith(b"-----BEGIN PGP SIGNATURE-----\n") else None


def _spelt(rule: PathRule) -> tuple[str, list[str]]:
    return rule.path, sorted(rule.signers)
