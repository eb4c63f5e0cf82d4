"""The reader of the bare mirror: a commit's id in, declared resources out.

GitPython opens the mirror with its default object database: one `git cat-file --batch` and one `--batch-check` are
kept open and are asked for ids that came out of objects, and nothing else of git is executed (`git version` once,
when the library is imported). The parts of GitPython that build command lines from names are not used.

All of it, and the parsing of what was read, is done by one thread from which the kernel has taken every right to start
another program than git, or to write a file: what it starts inherits that.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, Protocol, TypeVar, runtime_checkable

from muslin.datastore.protocol import Json
from muslin.errors import Problem, Unavailable
from reconciler.commands import TRACKED
from reconciler.commit_text import CommitText, commit_text
from reconciler.confinement import confine, reading
from reconciler.fetch_state import FetchState, read_state
from reconciler.ledger import Ledger
from reconciler.manifests import Manifests, Reading
from reconciler.references import reference
from reconciler.remotes import is_object_id
from reconciler.selection import Selection
from reconciler.tree import Entry, Limits, walk

__all__ = ["GitSource", "Head", "ReadsFormer", "Source", "recall"]

_T = TypeVar("_T")

_AUTHORS: Final = 20
"""So many commits' authors are remembered, for the history."""
_TAGS: Final = 5
"""So many tags of tags are followed."""
_PROBLEMS: Final = 1_000
"""So many problems of one commit are told; of more it is said how many there are: each is a line in a log."""


@dataclass(frozen=True, slots=True)
class Head:
    """Where the branch is: the commit that the mirror holds (None before the first fetch), and how the fetch stands.

    Of several sources `commit` is one text for all of them. `held` is what some of them have that is newer and cannot
    be read, with the `problems` of it: `commit` then is what the others have with the last good one of these.
    """

    commit: str | None
    fetch: FetchState | None = None
    held: str | None = None
    problems: tuple[Problem, ...] = ()


class Source(Protocol):
    """What the controller needs of a repository; a simulation gives one in memory."""

    async def head(self) -> Head:
        """Where the branch is now. Raises `Unavailable`."""
        ...

    async def read(self, commit: str) -> Reading:
        """What a commit declares. Raises `Unavailable` where it cannot be had now."""
        ...

    async def close(self) -> None:
        """Let go of processes."""
        ...


@runtime_checkable
class ReadsFormer(Protocol):
    """A source that can still read a commit as it was read under other settings, if it is told which."""

    def way(self, commit: str) -> Json | None:
        """How this commit is read, for `recall`; None where its text says all."""
        ...

    async def recall(self, ways: Mapping[str, Json]) -> None:
        """From now on commits with these marks, and no other former ones, are read as they were."""
        ...


async def recall(source: Source, ledger: Ledger) -> None:
    """Let a source read the commits of a ledger as they were read, if it can."""
    if isinstance(source, ReadsFormer):
        await source.recall(ledger.ways)


class GitSource:
    """`Source` over the fetcher's mirror. One reader at a time; blocking work is done in a thread.

    Args:
        mirror: the fetcher's folder. It need not exist yet.
        select: what of the repository is read; a text is one folder, `.` for all.
        limits: what a commit may cost.
    """

    def __init__(self, mirror: Path, select: Selection | str = ".", limits: Limits | None = None) -> None:
        self._mirror = mirror.absolute()
        self._select = Selection.of((select,)) if isinstance(select, str) else select
        self._limits = limits or Limits()
        self._manifests = Manifests(self._select.blueprints)
        self._objects: _GitObjects | None = None
        self._readings: dict[str, Reading] = {}
        self._authors: dict[str, str | None] = {}
        self._thread = ThreadPoolExecutor(1, "muslin-reader", initializer=_confine)
        self._one_at_a_time = asyncio.Lock()

    @property
    def parses(self) -> int:
        """How many files have been parsed so far."""
        return self._manifests.parses

    async def head(self) -> Head:
        """See `Source.head`."""
        return await self._apart(self._head)

    async def read(self, commit: str) -> Reading:
        """See `Source.read`."""
        known = self._readings.get(commit)
        if known is not None:
            return known
        async with self._one_at_a_time:
            reading = await self._apart(self._read, commit)
        self._readings = {**dict(list(self._readings.items())[-1:]), commit: reading}
        return reading

    async def commit_of(self, object_id: str) -> str:
        """The commit that an annotated tag names; any other id as it is. Raises `Unavailable`."""
        async with self._one_at_a_time:
            return await self._apart(self._commit_of, object_id)

    def author(self, commit: str) -> str | None:
        """Who says that they wrote a commit that was read lately; None of others."""
        return self._authors.get(commit)

    async def close(self) -> None:
        """See `Source.close`."""
        if self._objects is not None:
            self._objects.close()
            self._objects = None
        self._thread.shutdown(wait=False)

    async def _apart(self, deed: Callable[..., _T], *arguments: object) -> _T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, deed, *arguments)

    def _head(self) -> Head:
        state = read_state(self._mirror)
        return Head(reference(self._mirror, TRACKED), state)

    def _commit_of(self, object_id: str) -> str:
        if self._objects is None:
            self._objects = _GitObjects(self._mirror)
        return self._objects.peeled(object_id)

    def _read(self, commit: str) -> Reading:
        if self._objects is None:
            self._objects = _GitObjects(self._mirror)
        objects = self._objects
        try:
            try:
                said = objects.commit(commit)
            except ValueError as error:
                return Reading(commit, {}, (Problem(str(error), commit, "point the branch to a commit"),))
            self._authors = {**dict(list(self._authors.items())[-_AUTHORS:]), commit: said.author}
            found = walk(objects, said.tree, self._select.folders, self._limits, self._select)
            if self._select.include and not found.files and not found.problems:
                what = f"no manifest matches {', '.join(self._select.include)}"
                found.problems.append(Problem(what, commit, "correct the patterns, or the names of the files"))
            return _told(self._manifests.read(commit, found.files, lambda file: objects.blob(file.id), found.problems))
        except Unavailable:
            # a git that was killed answers no more: the next look starts another
            self._objects.close()
            self._objects = None
            raise


def _told(reading: Reading) -> Reading:
    """With the first of very many problems, and how many there are besides."""
    left = len(reading.problems) - _PROBLEMS
    if left <= 0:
        return reading
    more = Problem(f"{left:,} more problems are not told", reading.commit, "mend first what is told")
    return replace(reading, problems=(*reading.problems[:_PROBLEMS], more))


class _GitObjects:
    """Objects of the mirror by id, through GitPython's database."""

    def __init__(self, mirror: Path) -> None:
        try:
            import git  # noqa: PLC0415  not above: importing GitPython executes `git version`
        except ImportError as error:
            raise _away(f"git cannot be started: {str(error).splitlines()[0]}", mirror) from error

        try:
            self._repository = git.Repo(mirror, search_parent_directories=False, expand_vars=False)
        except (git.InvalidGitRepositoryError, git.NoSuchPathError) as error:
            raise _away(f"the mirror cannot be opened: {error}", mirror) from error
        self._mirror = mirror
        self._database = self._repository.odb
        self._repository.git.update_environment(
            GIT_DIR=str(mirror),
            GIT_CONFIG_NOSYSTEM="1",
            GIT_CONFIG_GLOBAL="/dev/null",
            GIT_ALLOW_PROTOCOL="",
            GIT_NO_LAZY_FETCH="1",
            GIT_NO_REPLACE_OBJECTS="1",
            GIT_TERMINAL_PROMPT="0",
        )

    def commit(self, commit: str) -> CommitText:
        """What a commit says of itself. Raises ValueError with a sentence where this is none."""
        return commit_text(self._data(commit, b"commit", 1 << 20))

    def peeled(self, object_id: str) -> str:
        """What a tag object names, through tags of tags; where that is nothing to be followed, the last id."""
        for _ in range(_TAGS):
            if self._header(object_id)[0] != b"tag":
                break
            first = self._data(object_id, b"tag", 1 << 20).partition(b"\n")[0].decode("ascii", "replace")
            if not is_object_id(first.removeprefix("object ")):
                break
            object_id = first.removeprefix("object ")
        return object_id

    def tree(self, tree_id: str, limit: int) -> Sequence[Entry]:
        """See `Objects.tree`."""
        from git.objects.fun import tree_entries_from_data  # noqa: PLC0415  as above

        return [
            Entry(mode, name, binary.hex())
            for binary, mode, name in tree_entries_from_data(self._data(tree_id, b"tree", limit))
        ]

    def size(self, blob_id: str) -> int:
        """See `Objects.size`."""
        kind, size = self._header(blob_id)
        if kind != b"blob":
            raise ValueError(f"it is a {kind.decode()}, not a file")
        return size

    def blob(self, blob_id: str) -> bytes:
        """The content of a blob whose size was looked at before."""
        return self._data(blob_id, b"blob", 1 << 40)

    def close(self) -> None:
        """End the processes that are kept open."""
        self._repository.git.clear_cache()
        self._repository.close()

    def _header(self, object_id: str) -> tuple[bytes, int]:
        try:
            info: Any = self._database.info(bytes.fromhex(object_id))
        except (ValueError, OSError) as error:
            raise _away(f"git does not give object {object_id[:40]}: {error}", self._mirror) from error
        return bytes(info.type) if isinstance(info.type, bytes) else str(info.type).encode(), int(info.size)

    def _data(self, object_id: str, kind: bytes, limit: int) -> bytes:
        found, size = self._header(object_id)
        if found != kind:
            raise ValueError(f"object {object_id} is a {found.decode()}, not a {kind.decode()}")
        if size > limit:
            raise ValueError(f"it has {size} bytes, {limit} is the limit")
        try:
            content: bytes = self._database.stream(bytes.fromhex(object_id)).read()
        except (ValueError, OSError) as error:
            raise _away(f"git does not give object {object_id}: {error}", self._mirror) from error
        return content


def _confine() -> None:
    """Give up rights of this thread for ever. A kernel that cannot take them is said by the fetcher."""
    confine(programs=reading(os.environ.get("PATH")), writes=())


def _away(what: str, mirror: Path) -> Unavailable:
    return Unavailable(Problem(what, str(mirror), "see whether `muslin fetch` runs and keeps this folder"))
