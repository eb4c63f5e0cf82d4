"""The reconciler process: options, the wake socket, the log, and the controller over a mirror and a datastore."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import math
import os
import signal
import socket
import stat
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import Final

from muslin.datastore.configuration import Asked, settings_of
from muslin.datastore.opening import open_store
from muslin.datastore.protocol import Datastore
from muslin.datastore.settings import DatastoreSettings, KubernetesSettings, unpaced
from muslin.errors import BadInput, MuslinError, Problem
from reconciler import garbage
from reconciler.combined import CombinedSource, of_flags, source_of
from reconciler.controller import Controller
from reconciler.operating.cluster_events import Write
from reconciler.operating.election import Timings
from reconciler.operating.logs import writer
from reconciler.operating.notices import over_http, target_at
from reconciler.operating.operation import Candidate, Operation, Telling
from reconciler.operating.pages import Health, address, serving
from reconciler.revert_requests import RevertRequests
from reconciler.selection import Selection
from reconciler.sources_file import Reads
from reconciler.status import Event, EventKind
from reconciler.tuning import add_options
from reconciler.tuning import settings as settings_for

__all__ = ["main", "wake_socket", "write_event"]

_JITTER: Final = Random()  # noqa: S311  not a secret
_PATIENCE_S: Final = 120.0
"""A look may take this long beyond three intervals before `/healthz` says that something hangs."""
_SECRET_BYTES: Final = 16


def _now() -> datetime:
    return datetime.now(UTC)


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number") from None


def _seconds(text: str) -> float:
    value = _number(text)
    if not 0 < value < math.inf:
        raise argparse.ArgumentTypeError(f"{text} is not a number of seconds above 0")
    return value


def _part(text: str) -> float:
    value = _number(text)
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError(f"{text} is not between 0 and 1")
    return value


def _arguments(argv: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="muslin reconcile",
        description="""\
Keep a datastore in line with the mirror that `muslin fetch` keeps: plan, apply
in order, remove what is ours and no longer declared, put drift back. A bad
commit changes nothing: the one before it stays in force. Runs no code from the
repository. What it has done is told by `muslin status`.""",
        epilog="""\
examples:
  muslin reconcile --mirror mirror.git --datastore lab.db --wake reconcile.wake
  muslin reconcile --mirror mirror.git --path clusters/a --datastore lab.db --once
  muslin reconcile --sources /etc/muslin/sources.yaml --set a --datastore a.db

exit status: 0 ended as asked, 1 it failed (with --once also: something is held,
blocked, failed or waits, or the mirror is not current), 2 wrong usage""",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    where = parser.add_mutually_exclusive_group(required=True)
    where.add_argument("--mirror", type=Path, help="the fetcher's folder")
    where.add_argument("--sources", type=Path, help="file that names sources and sets; --set says which set of it")
    parser.add_argument("--path", action="append", help="a folder inside the repository that is read (.); repeatable")
    parser.add_argument("--include", action="append", metavar="PATTERN", help="only files that match; repeatable")
    parser.add_argument("--exclude", action="append", metavar="PATTERN", help="nothing that matches; repeatable")
    parser.add_argument("--blueprint", action="append", help="may render facts in the repository; repeatable")
    parser.add_argument("--datastore", help="the embedded datastore's file (MUSLIN_DATASTORE)")
    parser.add_argument("--config", help="a CalicoAPIConfig file, for etcd or Kubernetes (/etc/calico/calicoctl.cfg)")
    parser.add_argument("--context", help="context of the kubeconfig")
    parser.add_argument("--wake", type=Path, help="datagram socket on which the fetcher pokes")
    parser.add_argument("--set", default="default", dest="set_name", help="name of the ledger and status (default)")
    parser.add_argument("--interval", type=_seconds, default=60.0, help="seconds between looks without a wake-up (60)")
    parser.add_argument("--max-deletes", type=_part, default=0.5, help="part of ours that one commit may remove (0.5)")
    parser.add_argument("--allow-empty", action="store_true", help="let a commit that declares nothing remove all")
    parser.add_argument(
        "--ask-revert", type=Path, metavar="FILE", help="ask `muslin fetch --revert-requests FILE` to push reverts"
    )
    add_options(parser)
    parser.add_argument("--json", action="store_true", help="log one JSON object a line")
    parser.add_argument("--leader-elect", action="store_true", help="several run for this set, and one of them acts")
    parser.add_argument("--lease", type=_seconds, default=15.0, help="seconds until another takes over who acted (15)")
    parser.add_argument("--listen", metavar="IP:PORT", help="serve /healthz, /readyz and /metrics there")
    parser.add_argument("--notify", metavar="URL", help="tell this address what a person should know, by POST")
    parser.add_argument("--notify-secret", type=Path, metavar="FILE", help="sign what it is told with this file's text")
    parser.add_argument(
        "--once", action="store_true", help="look once; exit status 1 if not all is as the repository says"
    )
    return parser.parse_args(argv)


@contextlib.contextmanager
def wake_socket(path: Path | None, woken: Callable[[], None]) -> Iterator[None]:
    """While inside, every datagram that arrives at `path` calls `woken`. Needs a running event loop.

    A socket that a killed process left is replaced. Raises BadInput where something else is at `path`.
    """
    if path is None:
        yield
        return
    try:
        if not stat.S_ISSOCK(path.lstat().st_mode):
            raise BadInput(Problem("there is something that is not a socket", str(path), "give another path"))
        path.unlink()
    except FileNotFoundError:
        pass
    loop = asyncio.get_running_loop()
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as receiver:
        try:
            receiver.bind(str(path))
        except OSError as error:
            fix = "give a path of at most 100 characters in a folder that may be written"
            raise BadInput(Problem(f"cannot listen: {error}", str(path), fix)) from error

        def readable() -> None:
            with contextlib.suppress(BlockingIOError):
                while True:
                    receiver.recv(64)
                    woken()

        loop.add_reader(receiver, readable)
        try:
            yield
        finally:
            loop.remove_reader(receiver)
            path.unlink(missing_ok=True)


@dataclass(frozen=True, slots=True)
class _Reading:
    """What is read, the socket on which the fetcher wakes us, and where we ask for reverts of which sources."""

    source: CombinedSource
    wake: Path | None
    asks: Path | None = None
    reverted: tuple[Reads, ...] = ()


def _source(arguments: argparse.Namespace) -> _Reading:
    """What the options name. Raises BadInput."""
    chosen = (arguments.path, arguments.include, arguments.exclude, arguments.blueprint)
    if arguments.sources is not None:
        if any(chosen):
            fix = "write paths, include, exclude and blueprints into the file"
            raise BadInput(Problem("the file says what is read", "--path, --include, --exclude, --blueprint", fix))
        if arguments.ask_revert is not None:
            fix = "write `revert: {}` to the source, and `reverts: FOLDER` at the file's top"
            raise BadInput(Problem("the file says which sources are reverted", "--ask-revert", fix))
        source, wanted = source_of(arguments.sources, arguments.set_name)
        reverted = tuple(each for each in wanted.reads if each.source in wanted.reverted)
        return _Reading(source, arguments.wake or wanted.wake, wanted.asks, reverted)
    if arguments.blueprint:
        from blueprints.catalogue import BLUEPRINTS  # noqa: PLC0415 - for who renders nothing

        unknown = [name for name in arguments.blueprint if name not in BLUEPRINTS]
        if unknown:
            fix = f"use one of {', '.join(BLUEPRINTS)}"
            raise BadInput(Problem(f"there is no blueprint {unknown[0]!r}", "--blueprint", fix))
    paths, *rest = [each or () for each in chosen]
    select = Selection.of(paths or (".",), *rest)
    reverted = (Reads("", arguments.mirror, select),)
    return _Reading(of_flags(arguments.mirror, select), arguments.wake, arguments.ask_revert, reverted)


def _telling(arguments: argparse.Namespace) -> Telling | None:
    if not arguments.notify:
        if arguments.notify_secret:
            raise BadInput(Problem("there is nothing to sign", "--notify-secret", "give --notify URL as well"))
        return None
    secret = None
    if arguments.notify_secret is not None:
        try:
            secret = arguments.notify_secret.read_bytes().strip()
        except OSError as error:
            fix = "give a file with a secret of at least 16 bytes"
            raise BadInput(Problem(f"cannot be read: {error}", str(arguments.notify_secret), fix)) from error
        if len(secret) < _SECRET_BYTES:
            fix = "write 32 random bytes, for example with `openssl rand -hex 32`"
            raise BadInput(Problem("the secret is shorter than 16 bytes", str(arguments.notify_secret), fix))
    target = target_at(arguments.notify, secret)
    return Telling(target, over_http(target.url))


def _candidate(arguments: argparse.Namespace, run_id: str) -> Candidate | None:
    if not arguments.leader_elect:
        return None
    timings = Timings(arguments.lease, renew_s=arguments.lease / 4, retry_s=arguments.lease / 15)
    return Candidate(f"{socket.gethostname()}-{run_id}", timings)


def write_event(chosen: DatastoreSettings, datastore: Datastore) -> Write | None:
    """How Events are written beside the objects of the chosen datastore: None where it is no Kubernetes API."""
    if not isinstance(chosen, KubernetesSettings):
        return None
    from muslin.datastore.kubernetes import KubernetesDatastore  # noqa: PLC0415 - loaded when it was opened

    assert isinstance(datastore, KubernetesDatastore)
    return datastore.client.create


async def _serve(arguments: argparse.Namespace, log: Callable[[Event], None], run_id: str) -> int:
    garbage.seldom()
    settings = settings_for(arguments)
    if arguments.once and arguments.probes:
        fix = "leave one of them out"
        raise BadInput(Problem("answers must be waited for, and one look does not wait", "--once, --probes", fix))
    telling = _telling(arguments)
    listen = address(arguments.listen) if arguments.listen else None
    reads = _source(arguments)
    source = reads.source
    asked = Asked(arguments.datastore, arguments.config, arguments.context)
    chosen = unpaced(settings_of(asked, os.environ))
    datastore = await open_store(chosen, make=True)
    health, metrics = Health(time.monotonic, 3 * arguments.interval + _PATIENCE_S), None
    if listen is not None:
        from reconciler.operating.metrics import Metrics  # noqa: PLC0415 - a tenth of a second for who serves no pages

        metrics = Metrics(now=time.time)
    operation = Operation(
        datastore,
        settings.set_name,
        run_id=run_id,
        now=_now,
        random=_JITTER,
        log=log,
        metrics=metrics,
        health=health,
        who=source.author,
        telling=telling,
        write_event=write_event(chosen, datastore),
        candidate=_candidate(arguments, run_id),
    )
    latest: list[Controller] = []
    ask = None
    if reads.asks is not None:

        def say(text: str) -> None:
            operation.tell(Event(EventKind.REVERT, 0, text))

        ask = RevertRequests(reads.asks, settings.set_name, reads.reverted, say)

    looked = garbage.after_the_first(operation.looked)

    def controller() -> Controller:
        made = Controller(
            datastore, source, settings, random=_JITTER, now=_now, tell=operation.tell,
            looked=looked, ask_revert=ask,
        )  # fmt: skip
        latest[:] = [made]
        return made

    def wake() -> None:
        for each in latest:
            each.wake()

    try:
        if arguments.once:
            async with operation.told():
                status = await controller().once()
            return 0 if status.settled else 1
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, operation.stop)
        with wake_socket(reads.wake, wake):
            async with serving(listen, health, metrics.text if metrics is not None else bytes):
                await operation.run(controller)
        return 0
    finally:
        await source.close()
        await datastore.close()


def main(argv: Sequence[str] | None = None) -> int:
    """The process. Gives the exit status: 0 ended as asked, 1 failed, 2 wrong usage."""
    arguments = _arguments(sys.argv[1:] if argv is None else argv)
    for name in [name for name in os.environ if name.startswith("GIT_")]:
        # whoever started us may be a git hook; its repository is not ours
        del os.environ[name]

    def write(line: str) -> None:
        print(line, file=sys.stderr, flush=True)  # noqa: T201  the process's log

    run_id = os.urandom(4).hex()
    log = writer(write, set_name=arguments.set_name, run_id=run_id, now=_now, as_json=arguments.json)
    try:
        return asyncio.run(_serve(arguments, log, run_id))
    except MuslinError as error:
        print(error, file=sys.stderr)  # noqa: T201
        return 2 if isinstance(error, BadInput) else 1


if __name__ == "__main__":
    sys.exit(main())
