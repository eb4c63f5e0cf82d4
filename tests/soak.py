"""Live through as many seeds as there is time for: `python -m tests.soak --seeds N --minutes M`.

Every third seed is also a story of writers and watchers on a datastore in memory or in a file, whose recorded history
is judged. `--datastores etcd,kubernetes` tells nothing but such stories, on the servers that are named. `--reconciler`
lives nothing but the lives of a reconciler alone (tests/reconciler/lives.py), twelve times as quick.

At the first failure it prints the end of the trace and how to see it again, and ends with 1; put the seed into
tests/simulation/seeds.txt, where it stays a case of the tests.
"""

from __future__ import annotations

import argparse
import multiprocessing
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from random import Random

from tests.muslin.datastore.suite.by_chance import fault_by_chance
from tests.reconciler import lives
from tests.simulation.assassin import ROLES, Deed, steps_of, tell
from tests.simulation.histories import live

__all__ = ["main"]

_LAST_LINES = 40
_HERE = ("memory", "embedded")
"""Datastores without a server."""


@dataclass(frozen=True, slots=True)
class _Result:
    seed: int
    digest: str
    failure: str | None
    last: tuple[str, ...]


def _one(seed: int, deeds: int) -> _Result:
    """A life, and for every third seed the short story with a murder as well."""
    try:
        ended = live(seed, deeds=deeds)
        if ended.failure is None and seed % 3 == 0:
            ended = tell(_deed(seed))
        if ended.failure is None and seed % 3 == 1:
            about, fault = fault_by_chance(seed, _HERE)
            if fault is not None:
                return _Result(seed, ended.digest, f"{about}: {fault}", ())
        if ended.failure is None and seed % 3 == 2:
            alone = _reconciler(seed)
            if alone.failure is not None:
                return replace(alone, failure=f"reconciler (--reconciler): {alone.failure}")
    except Exception as error:
        return _Result(seed, "-", f"{type(error).__name__}: {error}", ())
    return _Result(seed, ended.digest, ended.failure, ended.trace[-_LAST_LINES:])


def _reconciler(seed: int) -> _Result:
    """A life of a reconciler alone."""
    ended = lives.live(seed)
    return _Result(seed, ended.digest, ended.failure, ended.trace[-_LAST_LINES:])


def _deed(seed: int) -> Deed:
    random = Random(seed)
    role = random.choice(ROLES)
    if role.endswith("agent") and random.random() < 0.5:
        return Deed(role, random.randint(1, 40), call=True)
    return Deed(role, random.randint(1, steps_of()[role]))


def _job(pair: tuple[int, int]) -> _Result:
    return _one(*pair)


def _alone(pair: tuple[int, int]) -> _Result:
    return _reconciler(pair[0])


def _stories(seeds: range, datastores: Sequence[str]) -> Iterator[_Result]:
    """In this process, which ends the servers."""
    for seed in seeds:
        about, fault = fault_by_chance(seed, datastores)
        yield _Result(seed, "-", None if fault is None else f"{about}: {fault}", ())


def _results(seeds: range, deeds: int, jobs: int, *, reconciler: bool) -> Iterator[_Result]:
    job = _alone if reconciler else _job
    work = [(seed, deeds) for seed in seeds]
    if jobs == 1:
        yield from map(job, work)
        return
    with multiprocessing.get_context("spawn").Pool(jobs) as pool:
        yield from pool.imap_unordered(job, work)


def main(argv: Sequence[str] | None = None) -> int:
    """Run. Gives the exit status: 0 nothing found, 1 a seed failed."""
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description="Simulate clusters, seed after seed.")
    parser.add_argument("--seeds", type=int, default=1000, help="how many at most (1000)")
    parser.add_argument("--minutes", type=float, default=5.0, help="stop after so many minutes (5)")
    parser.add_argument("--first", type=int, help="the first seed (by chance)")
    parser.add_argument("--seed", type=int, help="only this one, with its whole trace")
    parser.add_argument("--deeds", type=int, default=14, help="deeds of people in each half of a life (14)")
    parser.add_argument("--jobs", type=int, default=2, help="processes at once (2)")
    parser.add_argument("--datastores", help="only stories of these: memory,embedded,etcd,kubernetes,kubernetes-v1")
    parser.add_argument("--reconciler", action="store_true", help="only lives of a reconciler alone")
    options = parser.parse_args(argv)
    datastores = options.datastores.split(",") if options.datastores else ()
    if options.seed is not None and datastores:
        about, fault = fault_by_chance(options.seed, datastores)
        print(f"seed {options.seed}: {about}: {fault or 'held'}")
        return 0 if fault is None else 1
    if options.seed is not None and options.reconciler:
        alone = lives.live(options.seed)
        print("\n".join(alone.trace))
        print(f"seed {options.seed}: trace {alone.digest}: {alone.failure or 'held'}")
        return 0 if alone.failure is None else 1
    if options.seed is not None:
        ended = live(options.seed, deeds=options.deeds)
        if ended.failure is None and options.seed % 3 == 0:
            ended = tell(_deed(options.seed))
        if ended.failure is None and options.seed % 3 == 1:
            about, fault = fault_by_chance(options.seed, _HERE)
            print(f"datastore {about}: {fault or 'held'}")
            if fault is not None:
                return 1
        print("\n".join(ended.trace))
        print(f"seed {options.seed}: trace {ended.digest}: {ended.failure or 'held'}")
        return 0 if ended.failure is None else 1
    first = Random().randrange(1_000, 1_000_000_000) if options.first is None else options.first
    began, lived = time.monotonic(), 0
    seeds = range(first, first + options.seeds)
    found = (
        _stories(seeds, datastores)
        if datastores
        else _results(seeds, options.deeds, options.jobs, reconciler=options.reconciler)
    )
    for result in found:
        lived += 1
        if result.failure is not None:
            print("\n".join(result.last))
            print(f"seed {result.seed} failed: {result.failure}")
            again = f"--datastores {options.datastores}" if datastores else f"--deeds {options.deeds}"
            again = "--reconciler" if options.reconciler else again
            print(f"repeat: python -m tests.soak --seed {result.seed} {again}")
            return 1
        if time.monotonic() - began > options.minutes * 60:
            break
    seconds = time.monotonic() - began
    print(f"{lived} seeds from {first} held, {seconds:.0f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
