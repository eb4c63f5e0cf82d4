"""From the end of a `git push` to applied: hook, fetcher and reconciler as processes, one changed object among many."""

from __future__ import annotations

import asyncio
import signal
import sys
import tempfile
import time
from collections.abc import Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from muslin.datastore.configuration import Asked, settings_of
from muslin.datastore.opening import opened
from muslin.datastore.protocol import Change, Datastore
from muslin.datastore.settings import unpaced
from muslin.resources.keys import Key
from tests.bench.figures import Line, percentile, spread
from tests.bench.load import cpu_seconds
from tests.bench.reconciling import COUNT, Repository, environment, manifests

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

__all__ = ["pushes"]

_ROUNDS = 50
_GOAL_S = 0.5
_STATUS = Key("ReconcilerStatus", "default")


@dataclass(slots=True)
class _Times:
    """Seconds of every round, from the end of the push."""

    written: list[float] = field(default_factory=list)
    told: list[float] = field(default_factory=list)
    fetching: list[float] = field(default_factory=list)
    reconciling: list[float] = field(default_factory=list)


def pushes(repository: Repository, store: Mapping[str, str]) -> list[Line]:
    """50 pushes of one object each; the datastore holds what the repository declares."""
    times = asyncio.run(_measured(repository, store))
    written = percentile(times.written, 0.99)
    return [
        Line(
            f"one changed of {COUNT:,}, from the end of the push", spread(times.written), goal="p99 under 500 ms",
            held=written < _GOAL_S, rounds=len(times.written),
        ),
        Line("  until the status says so", spread(times.told), rounds=len(times.told)),
        Line("  CPU of the fetcher, with what it starts", spread(times.fetching), rounds=len(times.fetching)),
        Line("  CPU of the reconciler", spread(times.reconciling), rounds=len(times.reconciling)),
    ]  # fmt: skip


async def _measured(repository: Repository, store: Mapping[str, str]) -> _Times:
    times = _Times()
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="muslin-bench-")))
        poke = str(folder / "wake")
        fetcher = await stack.enter_async_context(
            _process(folder, store, "reconciler.fetch_process", *repository.fetching, "--poke", poke, "--install-hook")
        )
        reconciler = await stack.enter_async_context(
            _process(folder, store, "reconciler.process", "--mirror", str(repository.mirror), "--wake", poke)
        )
        datastore = await stack.enter_async_context(opened(unpaced(settings_of(Asked(), environment(**store)))))
        for number in range(_ROUNDS + 1):
            at = COUNT - 10 * number - 1  # the only one that changes in its file
            commit = repository.commit(manifests([at], order=1000 + number))
            spent = _cpu(fetcher), _cpu(reconciler)
            seen = asyncio.create_task(_seen(datastore, Key("NetworkPolicy", f"p{at}", "shop"), commit, 1000 + number))
            await asyncio.sleep(0)
            await asyncio.to_thread(repository.push)
            ended = time.perf_counter()
            written, told = await asyncio.wait_for(seen, 60)
            if number:  # the first one waits for both to start
                times.written.append(written - ended)
                times.told.append(told - ended)
                times.fetching.append(_cpu(fetcher) - spent[0])
                times.reconciling.append(_cpu(reconciler) - spent[1])
    return times


def _cpu(process: asyncio.subprocess.Process) -> float:
    """Of the process and of what it has waited for."""
    fields = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
    return cpu_seconds(process.pid) + sum(map(int, fields[13:15])) / 100


async def _seen(datastore: Datastore, key: Key, commit: str, order: int) -> tuple[float, float]:
    """When the object was there as the commit wants it, and when the status said that the commit is applied."""
    written = told = 0.0
    start = (await datastore.list(_STATUS.kind)).revision
    async for event in datastore.watch((key.kind, _STATUS.kind), start):
        if not isinstance(event, Change) or event.value is None:
            continue
        if event.key == key and event.value["spec"].get("order") == order:
            written = written or time.perf_counter()
        if event.key == _STATUS and event.value["status"].get("applied") == commit:
            told = told or time.perf_counter()
        if written and told:  # Kubernetes tells them in any order
            return written, told
    raise RuntimeError("the watch ended")


@asynccontextmanager
async def _process(
    folder: Path, store: Mapping[str, str], module: str, *arguments: str
) -> AsyncIterator[asyncio.subprocess.Process]:
    """One of the two, ended at the end; a failure shows its log."""
    log = folder / f"{module}.log"
    with log.open("ab") as output:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", module, *arguments, stdin=asyncio.subprocess.DEVNULL, stdout=output, stderr=output,
            env=environment(**store),
        )  # fmt: skip
    try:
        yield process
    except BaseException as error:
        error.add_note(f"{module}: {log.read_text()[-800:]}")
        raise
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGTERM)
        await process.wait()
