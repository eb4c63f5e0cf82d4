"""Several sources as one: what a set reads when its objects stand in more than one repository.

A commit of the whole is one text, `a@1f0c...,b@77d2...~5be01c2a`: each source's commit, and a mark of what is read of
them, so that changed folders or filters are another commit that has to pass as any other does. For one source it is
`1f0c...~5be01c2a`, and the commit's id alone where everything of it is read.

While one source has never been fetched, there is no commit of the whole: a repository that is away is never taken for
one that declares nothing. An object that two sources declare is refused with both places. A source whose newest commit
cannot be read stays at the last good one, and the others go on; it is said in `Head.problems`.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Protocol

from muslin.datastore.protocol import Json
from muslin.errors import BadInput, Problem, Unavailable
from muslin.resources.keys import Key
from reconciler.fetch_state import FetchState, Standing
from reconciler.ledger import mark_of
from reconciler.manifests import Declared, Reading
from reconciler.probe import Probe, too_many
from reconciler.rendering import FromFacts
from reconciler.selection import Selection
from reconciler.source import GitSource, Head
from reconciler.sources_file import Role, SetOf, load

__all__ = ["CombinedSource", "Part", "commits_of", "named", "of_flags", "source_of"]

_WHOLE = re.compile(r"((?:[a-z0-9.-]+@)?[0-9a-f]{40}(?:,[a-z0-9.-]+@[0-9a-f]{40})*)(?:~([0-9a-f]{8}))?")


class _Repository(Protocol):
    async def head(self) -> Head: ...
    async def read(self, commit: str) -> Reading: ...
    async def close(self) -> None: ...
    def author(self, commit: str) -> str | None: ...


@dataclass(frozen=True, slots=True)
class Part:
    """One source of a set: its name, its repository, and the mark of what is read of it.

    `select` is what is read of it, `other` gives the same repository read otherwise; None where that is not to be had.
    """

    name: str
    source: _Repository
    mark: str = ""
    select: Selection | None = None
    other: Callable[[Selection], _Repository] | None = None


def commits_of(whole: str) -> Mapping[str, str]:
    """Mapping[source, commit] of a commit of the whole; the source's name is empty where there is only one."""
    found = _WHOLE.fullmatch(whole)
    if found is None:
        return {}
    pairs = [part.rpartition("@") for part in found[1].split(",")]
    return {name: commit for name, _, commit in pairs}


def named(commit: str, select: Selection) -> str:
    """What a set of one repository calls a commit of which this is read."""
    mark = _mark([("", select.mark)])
    return f"{commit}~{mark}" if mark else commit


def _mark(marks: list[tuple[str, str]]) -> str:
    """A short name of what is read of sources, by their names; empty for one of which everything is."""
    plain = len(marks) == 1 and not marks[0][1]
    return "" if plain else hashlib.sha256(repr(marks).encode()).hexdigest()[:8]


class CombinedSource:
    """`Source` over several sources, or over one of which only a part is read.

    Args:
        parts: at least one; names are unique.
    """

    def __init__(self, parts: Sequence[Part]) -> None:
        self._parts = tuple(sorted(parts, key=lambda part: part.name))
        self._mark = _mark([(part.name if len(parts) > 1 else "", part.mark) for part in self._parts])
        self._good: dict[str, str] = {}
        self._readings: dict[str, Reading] = {}
        self._ways: dict[str, Json] = {}
        self._former: dict[str, tuple[Part, ...]] = {}

    async def head(self) -> Head:
        """See `Source.head`."""
        heads = [(part, await part.source.head()) for part in self._parts]
        fetch = self._fetch(heads)
        if any(head.commit is None for _, head in heads):
            return Head(None, fetch)
        chosen: list[str] = []
        held: list[str] = []
        problems: list[Problem] = []
        for part, head in heads:
            assert head.commit is not None
            good, commit = self._good.get(part.name), head.commit
            if len(self._parts) > 1 and good is not None and good != commit:
                reading = await part.source.read(commit)
                if reading.problems:
                    problems += [self._placed(part, each) for each in reading.problems]
                    held.append(f"{part.name}@{commit}")
                    commit = good
            chosen.append(commit)
        return Head(self._whole(chosen), fetch, ",".join(held) or None, tuple(problems))

    async def read(self, commit: str) -> Reading:
        """See `Source.read`. Raises `Unavailable` for one of other sources, folders or filters that nobody knows."""
        if commit in self._readings:
            return self._readings[commit]
        parts, wanted = self._parts, self._split(commit)
        if wanted is None:
            parts, wanted = self._as_before(commit)
        if wanted is None:
            what = f"{commit[:200]} was made of other sources, folders or filters than those of today"
            raise Unavailable(Problem(what, "sources", "nothing: the next commit that can be read comes into force"))
        found: dict[Key, Declared] = {}
        problems: list[Problem] = []
        probes: list[Probe] = []
        facts: FromFacts | None = None
        for part, id_ in zip(parts, wanted, strict=True):
            reading = await part.source.read(id_)
            facts = facts or reading.facts
            probes += (self._asked(part, each) for each in reading.probes)
            problems += [self._placed(part, each) for each in reading.problems]
            for key, each in reading.resources.items():
                mine = self._at(part, each)
                first = found.setdefault(key, mine)
                if first is not mine:
                    what = f"{key} is declared by two sources, first at {first.place}"
                    problems.append(Problem(what, str(mine.place), "remove one of them"))
        if len(self._parts) > 1:
            problems += too_many(tuple(probes))
        if not problems and parts is self._parts:
            self._good = {part.name: id_ for part, id_ in zip(self._parts, wanted, strict=True)}
        whole = Reading(commit, MappingProxyType(found), tuple(problems), tuple(probes), facts)
        self._readings = {**dict(list(self._readings.items())[-1:]), commit: whole}
        return whole

    def author(self, commit: str) -> str | None:
        """Who says that they wrote the commits of a whole that was read lately; None where nobody is known."""
        wanted = self._split(commit) or ()
        names = [part.source.author(id_) for part, id_ in zip(self._parts, wanted, strict=bool(wanted))]
        return ", ".join(sorted({name for name in names if name})) or None

    async def close(self) -> None:
        """See `Source.close`."""
        await self.recall({})
        for part in self._parts:
            await part.source.close()

    def way(self, commit: str) -> Json | None:
        """See `ReadsFormer.way`: what of each source is read."""
        mark = mark_of(commit)
        if not mark or mark != self._mark:
            return self._ways.get(mark)
        if any(part.select is None for part in self._parts):
            return None
        return {part.name: part.select.to_json() for part in self._parts if part.select is not None}

    async def recall(self, ways: Mapping[str, Json]) -> None:
        """See `ReadsFormer.recall`."""
        self._ways = dict(ways)
        for mark in set(self._former) - set(ways):
            for part in self._former.pop(mark):
                await part.source.close()

    def _as_before(self, commit: str) -> tuple[tuple[Part, ...], tuple[str, ...] | None]:
        """The parts that a commit of other settings was made of, and their commits; no commits where they are gone."""
        mark, commits = mark_of(commit), commits_of(commit)
        way = self._ways.get(mark) if mark else {"": Selection().to_json()}
        if not way or not commits or len(way) != len(commits):
            return (), None
        if len(way) == len(self._parts) == 1:
            way = dict(zip([self._parts[0].name], way.values(), strict=True))  # one repository, whatever its name
        if mark not in self._former:
            today = {part.name: part for part in self._parts}
            made = []
            for name, selected in sorted(way.items()):
                part = today.get(name)
                if part is None or part.other is None:
                    return (), None
                try:
                    select = Selection.of_json(selected)
                except (BadInput, KeyError, TypeError):
                    return (), None
                made.append(replace(part, source=part.other(select), mark=select.mark, select=select))
            self._former[mark] = tuple(made)
        parts = self._former[mark]
        names = [part.name for part in parts] if len(parts) > 1 else [""]
        return parts, tuple(commits[name] for name in names) if set(commits) == set(names) else None

    def _whole(self, ids: Sequence[str]) -> str:
        mark = f"~{self._mark}" if self._mark else ""
        if len(self._parts) == 1:
            return f"{ids[0]}{mark}"
        return ",".join(f"{part.name}@{id_}" for part, id_ in zip(self._parts, ids, strict=True)) + mark

    def _split(self, whole: str) -> tuple[str, ...] | None:
        """Each part's commit, in order; None where the text is of other sources or of another selection."""
        commits = commits_of(whole)
        names = [part.name for part in self._parts] if len(self._parts) > 1 else [""]
        if not commits or set(commits) != set(names) or whole.partition("~")[2] != self._mark:
            return None
        return tuple(commits[name] for name in names)

    def _at(self, part: Part, declared: Declared) -> Declared:
        if len(self._parts) == 1:
            return declared
        return replace(declared, place=replace(declared.place, file=f"{part.name}:{declared.place.file}"))

    def _asked(self, part: Part, probe: Probe) -> Probe:
        return probe if len(self._parts) == 1 else replace(probe, place=f"{part.name}:{probe.place}")

    def _placed(self, part: Part, problem: Problem) -> Problem:
        return problem if len(self._parts) == 1 else replace(problem, where=f"{part.name}:{problem.where}")

    def _fetch(self, heads: Sequence[tuple[Part, Head]]) -> FetchState | None:
        """How the worst of the fetches stands, and what each has to say."""
        states = [(part.name, head.fetch) for part, head in heads]
        if len(states) == 1:
            return states[0][1]
        known = [(name, state) for name, state in states if state is not None]
        if not known:
            return None
        bad = [(name, state) for name, state in known if state.standing is not Standing.CURRENT]
        said = [f"{name}: {state.standing}{': ' if state.message else ''}{state.message}" for name, state in bad]
        said += [f"{name}: no fetcher has run" for name, state in states if state is None]
        worst = bad[0][1].standing if bad else known[0][1].standing
        return FetchState(
            ", ".join(f"{name} {state.repository}" for name, state in known),
            ", ".join(f"{name} {state.branch}" for name, state in known),
            Standing.NEVER_FETCHED if len(known) < len(states) else worst,
            rewritten_from=", ".join(f"{name} {s.rewritten_from}" for name, s in known if s.rewritten_from) or None,
            message="; ".join(said),
            reverts=tuple(each for _, state in known for each in state.reverts),
        )


def source_of(file: Path, set_name: str) -> tuple[CombinedSource, SetOf]:
    """The source of one set of a file, and the set. Raises BadInput with everything that is wrong in the file."""
    wanted = load(file, Role.RECONCILER).set_named(set_name)
    if not wanted.reads:
        raise BadInput(Problem(f"set {set_name} is made of nothing", str(file), "name a source in it"))
    return CombinedSource([_part(each.source, each.mirror, each.select) for each in wanted.reads]), wanted


def of_flags(mirror: Path, select: Selection) -> CombinedSource:
    """The source that is told by options alone: one mirror."""
    return CombinedSource([_part("", mirror, select)])


def _part(name: str, mirror: Path, select: Selection) -> Part:
    return Part(name, GitSource(mirror, select), select.mark, select, lambda other: GitSource(mirror, other))
