"""The file that names repositories and sets: what the fetcher, the webhook and the reconcilers of a machine share.

A *source* is one reference of one repository, with its own mirror. A *set* is what one reconciler keeps in line, with
its own ledger: folders of one source or of several. Several sets may read one source, so a repository may serve several
clusters, and a cluster several repositories.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final

from pydantic import ValidationError

from muslin import yaml
from muslin.errors import BadInput, Problem
from muslin.resources.base import SUBDOMAIN_NAME
from muslin.resources.places import Places, place_of
from muslin.resources.problems import problems_of
from reconciler.credentials import Credentials
from reconciler.pushing import BRANCH, Pushing
from reconciler.remotes import Remote
from reconciler.selection import Selection
from reconciler.signatures import PathRule, Policy
from reconciler.sources_form import (
    FileFields,
    ListenFields,
    RevertFields,
    SetFields,
    SignatureFields,
    SourceFields,
)
from reconciler.webhook import Secret

__all__ = ["KIND", "Listen", "Origin", "Reads", "Role", "SetOf", "Sources", "load"]

KIND: Final = "Sources"
_LARGEST: Final = 1 << 20
_FIELDS: Final = {
    "repository": "url",
    "branch": "branch",
    "tag": "tag",
    "commit": "commit",
    "path": "paths",
    "anchor": "anchor",
    "revert": "revert",
}
"""Mapping[where a part says that it is wrong, the field of this file]."""


class Role(StrEnum):
    """Which process reads the file."""

    FETCHER = "fetcher"
    RECONCILER = "reconciler"
    WEBHOOK = "webhook"


@dataclass(frozen=True, slots=True)
class Origin:
    """One source, ready to be fetched."""

    name: str
    remote: Remote
    mirror: Path
    credentials: Credentials
    policy: Policy | None
    interval_s: float
    timeout_s: float
    pokes: tuple[Path, ...]
    secret: Secret | None
    pushing: Pushing | None = None


@dataclass(frozen=True, slots=True)
class Reads:
    """One part of a set: a source's mirror, and what of it is read."""

    source: str
    mirror: Path
    select: Selection


@dataclass(frozen=True, slots=True)
class SetOf:
    """One set. `reverted` are the sources that it may ask to revert, by the file `asks`."""

    name: str
    reads: tuple[Reads, ...]
    wake: Path | None
    asks: Path | None = None
    reverted: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Listen:
    """Where the webhook listens. Without a certificate only on this machine's own address."""

    host: str
    port: int
    certificate: Path | None
    key: Path | None


@dataclass(frozen=True, slots=True)
class Sources:
    """The whole file, checked."""

    origins: tuple[Origin, ...]
    sets: tuple[SetOf, ...]
    listen: Listen | None
    max_bytes: int

    def set_named(self, name: str) -> SetOf:
        """The set of this name. Raises BadInput."""
        for each in self.sets:
            if each.name == name:
                return each
        known = ", ".join(each.name for each in self.sets)
        raise BadInput(Problem(f"there is no set {name!r}", "--set", f"use one of {known}"))


def load(path: Path, role: Role) -> Sources:
    """Read the file. Paths in it are relative to its folder. Raises BadInput with everything that is wrong.

    Files that it names are looked at only for the role that needs them: no process has to read another's secrets.
    """
    try:
        with path.open("rb") as file:
            text = file.read(_LARGEST + 1)
    except OSError as error:
        raise BadInput(Problem(f"the file can't be read: {error.strerror}", str(path), "give its path")) from error
    if len(text) > _LARGEST:
        raise BadInput(Problem(f"the file has more than {_LARGEST} bytes", str(path), "use several files"))
    documents = yaml.load(text, str(path))
    if len(documents) != 1:
        raise BadInput(Problem(f"there are {len(documents)} documents where one is meant", str(path), "write one"))
    value, places = documents[0].value, documents[0].places
    try:
        given = FileFields.model_validate(
            dict(value) if isinstance(value, dict) else value, by_alias=True, by_name=False
        )
    except ValidationError as error:
        raise BadInput(problems_of(error, FileFields, places, str(path))) from None
    return _Checked(given, path, places, role).result()


class _Checked:
    """One file being checked: every problem is noted with its place."""

    def __init__(self, given: FileFields, file: Path, places: Places, role: Role) -> None:
        self._given = given
        self._role = role
        self._file = file
        self._places = places
        self._problems: list[Problem] = []

    def result(self) -> Sources:
        mirrors = self._path(self._given.mirrors)
        self._names("sources", [each.name for each in self._given.sources])
        self._names("sets", [each.name for each in self._given.sets])
        reads = {each.name: each for each in self._given.sources}
        sets = tuple(self._set(index, each, mirrors, reads) for index, each in enumerate(self._given.sets))
        origins = tuple(self._origin(index, each, mirrors, sets) for index, each in enumerate(self._given.sources))
        listen = None if self._given.webhook is None else self._listen(self._given.webhook)
        if self._problems:
            raise BadInput(self._problems)
        found = tuple(each for each in origins if each is not None)
        return Sources(found, sets, listen, self._given.max_bytes)

    def _set(self, index: int, given: SetFields, mirrors: Path, sources: dict[str, SourceFields]) -> SetOf:
        reads: list[Reads] = []
        if not given.from_:
            self._problem("the set is made of nothing", ("sets", index, "from"), "name a source")
        for at, part in enumerate(given.from_):
            where = ("sets", index, "from", at)
            if part.source not in sources:
                fix = f"use one of {', '.join(sources)}"
                self._problem(f"there is no source {part.source!r}", (*where, "source"), fix)
            if any(part.source == other.source for other in reads):
                self._problem(f"{part.source} is named twice", (*where, "source"), "join the two, with several paths")
            self._blueprints(part.blueprints, (*where, "blueprints"))
            try:
                select = Selection.of(part.paths, part.include, part.exclude, part.blueprints)
            except BadInput as error:
                self._all(error.problems, where)
                continue
            reads.append(Reads(part.source, mirrors / part.source, select))
        asking = {name for name, each in sources.items() if each.revert is not None}
        reverted = frozenset(each.source for each in reads if each.source in asking)
        wake = None if given.wake is None else self._path(given.wake)
        return SetOf(given.name, tuple(reads), wake, self._asks(given.name) if reverted else None, reverted)

    def _asks(self, set_name: str) -> Path | None:
        """Where a set asks for reverts."""
        return None if self._given.reverts is None else self._path(self._given.reverts) / f"{set_name}.json"

    def _origin(self, index: int, given: SourceFields, mirrors: Path, sets: tuple[SetOf, ...]) -> Origin | None:
        where = ("sources", index)
        branch = "main" if given.branch is None and given.tag is None and given.commit is None else given.branch
        try:
            remote = Remote.parse(given.url, branch, tag=given.tag, commit=given.commit, allow_local=given.allow_local)
        except BadInput as error:
            self._all(error.problems, where)
            return None
        fields = given.credentials
        credentials = Credentials(
            self._optional(fields.ssh_key),
            self._optional(fields.known_hosts),
            fields.user,
            self._optional(fields.token_file),
            self._optional(fields.certificate),
            self._optional(fields.key),
            self._optional(fields.authority),
            fields.pinned_key,
        )
        if remote.transport == "ssh" and (credentials.ssh_key is None or credentials.known_hosts is None):
            self._problem("ssh needs sshKey and knownHosts", (*where, "credentials"), "name both files")
        if self._role is Role.FETCHER:
            self._all(credentials.problems(remote.transport), (*where, "credentials"))
        policy = None if given.signatures is None else self._policy(given.signatures, (*where, "signatures"))
        pushing = None
        if given.revert is not None:
            pushing = self._pushing(given.name, given.revert, sets, (*where, "revert"))
            if self._role is Role.FETCHER:
                self._all(pushing.problems(remote, policy), where)
        return Origin(
            given.name,
            remote,
            mirrors / given.name,
            credentials,
            policy,
            30.0 if given.interval is None else given.interval.seconds,
            60.0 if given.timeout is None else given.timeout.seconds,
            tuple(each.wake for each in sets if each.wake and any(part.source == given.name for part in each.reads)),
            self._secret(given, (*where, "webhook")),
            pushing,
        )

    def _pushing(
        self, name: str, given: RevertFields, sets: tuple[SetOf, ...], where: tuple[str | int, ...]
    ) -> Pushing:
        if self._given.reverts is None:
            what = "there is no folder in which reconcilers ask for reverts"
            self._problem(what, where, "name one at the file's top: reverts, which they write and the fetcher reads")
        if given.tracked and given.branch is not None:
            self._problem("tracked and branch are two places for one commit", where, "give one of the two")
        asks = tuple(each.asks for each in sets if name in each.reverted and each.asks is not None)
        branch = None if given.tracked else given.branch or BRANCH
        return Pushing(asks, name, branch, self._optional(given.signing_key), given.author)

    def _policy(self, given: SignatureFields, where: tuple[str | int, ...]) -> Policy:
        policy = Policy(
            self._optional(given.allowed_signers),
            self._optional(given.revoked),
            self._optional(given.keyring),
            tuple(PathRule(each.path, frozenset(each.signers)) for each in given.paths),
            given.anchor,
            given.rewrites,
        )
        if self._role is Role.FETCHER:
            self._all(policy.problems(), where)
        return policy

    def _secret(self, given: SourceFields, where: tuple[str | int, ...]) -> Secret | None:
        if given.webhook is None:
            return None
        if self._given.webhook is None:
            self._problem("no webhook listens", where, "say at the file's top where it does: webhook.listen")
        if self._role is not Role.WEBHOOK:
            return None
        try:
            return Secret.read(given.webhook.provider, self._path(given.webhook.secret_file))
        except BadInput as error:
            self._all(error.problems, where)
            return None

    def _listen(self, given: ListenFields) -> Listen:
        host, _, port = given.listen.rpartition(":")
        host = host.removeprefix("[").removesuffix("]")
        if not host or not port.isdecimal() or not 0 <= int(port) < 1 << 16:
            self._problem(
                f"{given.listen!r} is no address and port", ("webhook", "listen"), "for example 127.0.0.1:8443"
            )
            port = "0"
        if (given.certificate is None) is not (given.key is None):
            self._problem("certificate and key belong together", ("webhook",), "give both, or none")
        if given.certificate is None and host not in ("127.0.0.1", "::1", "localhost"):
            what = "without a certificate secrets could be read on the way"
            self._problem(what, ("webhook", "listen"), "give certificate and key, or listen on 127.0.0.1")
        return Listen(host, int(port), self._optional(given.certificate), self._optional(given.key))

    def _blueprints(self, names: tuple[str, ...], where: tuple[str | int, ...]) -> None:
        from blueprints import catalogue  # noqa: PLC0415 - the fetcher, which reads this file too, renders nothing

        for name in names:
            if name not in catalogue.BLUEPRINTS:
                fix = f"use one of {', '.join(catalogue.BLUEPRINTS)}"
                self._problem(f"there is no blueprint {name!r}", where, fix)

    def _names(self, of: str, names: list[str]) -> None:
        if not names:
            self._problem(f"no {of} are named", (of,), "name at least one")
        for index, name in enumerate(names):
            if not SUBDOMAIN_NAME.allows(name):
                fix = "use lower case letters, digits, '-' and '.'"
                self._problem(f"{name!r} can't be a name", (of, index, "name"), fix)
            if name in names[:index]:
                self._problem(f"{name!r} is named twice", (of, index, "name"), "give another name")

    def _path(self, text: str) -> Path:
        return (self._file.parent / text).absolute()

    def _optional(self, text: str | None) -> Path | None:
        return None if text is None else self._path(text)

    def _problem(self, what: str, path: tuple[str | int, ...], fix: str) -> None:
        self._problems.append(Problem(what, str(place_of(path, self._places, str(self._file))), fix))

    def _all(self, problems: tuple[Problem, ...], path: tuple[str | int, ...]) -> None:
        """Problems of a part, at the nearest place in the file that they name."""
        for problem in problems:
            at = (*path, _FIELDS[problem.where]) if problem.where in _FIELDS else path
            extra = f" ({problem.where})" if "/" in problem.where else ""
            place = str(place_of(at, self._places, str(self._file)))
            self._problems.append(Problem(f"{problem.what}{extra}", place, problem.fix, problem.source))
