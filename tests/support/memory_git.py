"""A repository in memory: the `Source` of simulations and of the reconciler's own tests."""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import sha1

from muslin.errors import Problem, Unavailable
from reconciler.manifests import Manifests, Reading
from reconciler.source import Head
from reconciler.tree import MANIFEST_ENDINGS, File

__all__ = ["MemorySource"]


class MemorySource:
    """Commits are mappings from path to text. `away` makes every call raise `Unavailable`.

    Args:
        blueprints: by which facts are rendered.
    """

    def __init__(self, blueprints: frozenset[str] = frozenset()) -> None:
        self._commits: dict[str, Mapping[str, str]] = {}
        self._head: str | None = None
        self._manifests = Manifests(blueprints)
        self.away = False

    @property
    def parses(self) -> int:
        """How many files have been parsed so far."""
        return self._manifests.parses

    def push(self, files: Mapping[str, str]) -> str:
        """Make a commit of these files the head; gives its id."""
        commit = sha1(repr((self._head, sorted(files.items()))).encode()).hexdigest()
        self._commits[commit] = dict(files)
        self._head = commit
        return commit

    async def head(self) -> Head:
        """See `Source.head`."""
        self._check()
        return Head(self._head)

    async def read(self, commit: str) -> Reading:
        """See `Source.read`."""
        self._check()
        if commit not in self._commits:
            raise Unavailable(Problem("the mirror has no such commit", commit, "nothing"))
        return self.reading(commit)

    def reading(self, commit: str) -> Reading:
        """What a commit declares, whether away or not."""
        files = self._commits[commit]
        listed = [
            File(path, sha1(text.encode()).hexdigest(), len(text))
            for path, text in sorted(files.items())
            if path.endswith(MANIFEST_ENDINGS)
        ]
        return self._manifests.read(commit, listed, lambda file: files[file.path].encode())

    async def close(self) -> None:
        """See `Source.close`."""

    def _check(self) -> None:
        if self.away:
            raise Unavailable(Problem("the repository in memory is away", "memory", "set away to False"))
