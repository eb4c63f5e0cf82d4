"""Which files of a repository make up a set: folders, filters, and the blueprints that may be rendered.

A folder that is not there and a filter that matches nothing are problems, never an empty set. The filters are part of
what a commit declares, so `Selection.mark` stands in the name of a combined commit.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from muslin.errors import BadInput, Problem
from reconciler.tree import MANIFEST_ENDINGS, folder

__all__ = ["Selection", "pattern_problems"]


@dataclass(frozen=True, slots=True)
class Selection:
    """What is read of one repository. Make it with `of`.

    Attributes:
        folders: paths, each as its names; none lies in another. `()` is the whole repository.
        include: patterns; with any, only files that one of them matches are read.
        exclude: patterns; what one of them matches, file or folder, is as if it were not there.
        blueprints: installed blueprints by which facts are rendered; with none they are only checked.

    Patterns are matched against the path in the repository: `*` and `?` do not cross a `/`, and `**`
    as a whole part is any number of folders.
    """

    folders: tuple[tuple[str, ...], ...] = ((),)
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    blueprints: frozenset[str] = frozenset()

    @classmethod
    def of(
        cls,
        paths: Iterable[str] = (".",),
        include: Iterable[str] = (),
        exclude: Iterable[str] = (),
        blueprints: Iterable[str] = (),
    ) -> Selection:
        """A checked selection. Raises BadInput with everything that is wrong."""
        problems: list[Problem] = []
        folders: list[tuple[str, ...]] = []
        for path in paths:
            try:
                parts = folder(path)
            except BadInput as error:
                problems.extend(error.problems)
                continue
            for other in folders:
                if parts[: len(other)] == other or other[: len(parts)] == parts:
                    what = f"{'/'.join(parts) or '.'} and {'/'.join(other) or '.'} overlap"
                    problems.append(Problem(what, path, "name the outer one only"))
            folders.append(parts)
        if not folders and not problems:
            problems.append(Problem("no path is read", "paths", "leave it out, or name a folder"))
        include, exclude = tuple(include), tuple(exclude)
        for pattern in (*include, *exclude):
            problems.extend(pattern_problems(pattern))
        if problems:
            raise BadInput(problems)
        return cls(tuple(sorted(folders)), include, exclude, frozenset(blueprints))

    @property
    def mark(self) -> str:
        """A short name of this selection; empty where everything is read and nothing is rendered."""
        if self == Selection():
            return ""
        spelt = (self.folders, sorted(self.include), sorted(self.exclude), sorted(self.blueprints))
        return hashlib.sha256(repr(spelt).encode()).hexdigest()[:8]

    def to_json(self) -> dict[str, list[str]]:
        """For a file, to be read by `of_json`."""
        return {
            "paths": ["/".join(names) or "." for names in self.folders],
            "include": sorted(self.include),
            "exclude": sorted(self.exclude),
            "blueprints": sorted(self.blueprints),
        }

    @classmethod
    def of_json(cls, given: Any) -> Selection:
        """What `to_json` wrote, checked anew. Raises BadInput, and KeyError or TypeError where it is nothing such."""
        paths, *rest = ([str(each) for each in given[name]] for name in ("paths", "include", "exclude", "blueprints"))
        return cls.of(paths, *rest)

    def reads(self, path: str) -> bool:
        """Whether a file at this path of the repository is read, by its name alone."""
        names = path.split("/")
        inside = [names[len(each) :] for each in self.folders if tuple(names[: len(each)]) == each]
        hidden = any(name.startswith(".") for name in (inside[0] if inside else ()))
        if not inside or hidden or not path.endswith(MANIFEST_ENDINGS):
            return False
        above = ("/".join(names[:count]) for count in range(1, len(names) + 1))
        return self.includes(path) and not any(map(self.excludes, above))

    def excludes(self, path: str) -> bool:
        """Whether a file or folder at this path is as if it were not there."""
        return any(_matches(pattern, path) for pattern in self.exclude)

    def includes(self, path: str) -> bool:
        """Whether a file at this path is read, as far as `include` says."""
        return not self.include or any(_matches(pattern, path) for pattern in self.include)


def pattern_problems(pattern: str) -> tuple[Problem, ...]:
    """What is wrong with a pattern of paths."""
    if not pattern or pattern.startswith("/") or not pattern.isprintable() or len(pattern) > 300 or "\\" in pattern:
        what = f"{pattern[:80]!a} is not a pattern of paths"
        return (Problem(what, "include, exclude", "for example clusters/*/policies/**"),)
    return ()


def _matches(pattern: str, path: str) -> bool:
    """Whether a pattern means this path. Time is the product of the lengths: no path can make it take long."""
    wanted, given = pattern.split("/"), path.split("/")
    # reached[i]: the first i parts of the path are matched by the parts of the pattern so far
    reached = [True] + [False] * len(given)
    for index, part in enumerate(wanted):
        if part == "**":
            last = index == len(wanted) - 1  # at the end it is something below, not the folder itself
            first = next((at for at, there in enumerate(reached) if there), len(given) + 1)
            reached = [at >= first + last for at in range(len(given) + 1)]
        else:
            reached = [False] + [there and _part(part, name) for there, name in zip(reached, given, strict=False)]
    return reached[-1]


def _part(pattern: str, name: str) -> bool:
    """One name against one part with `*` and `?`: as far as possible, and back to the last star where it fails."""
    at, here, star, mark = 0, 0, -1, 0
    while here < len(name):
        if at < len(pattern) and pattern[at] == "*":
            star, mark = at, here
            at += 1
        elif at < len(pattern) and pattern[at] in ("?", name[here]):
            at, here = at + 1, here + 1
        elif star >= 0:
            mark += 1
            at, here = star + 1, mark
        else:
            return False
    return not pattern[at:].strip("*")
