"""The reconciler process: options, the wake socket, the log, and the controller over a mirror and a datastore."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import math
import os
import signal
import socket
import stat
import sys
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from random import Random

from muslin.datastore.configuration import Asked, settings_of
from muslin.datastore.opening import open_store
from muslin.errors import BadInput, MuslinError, Problem
from reconciler.controller import Controller, Settings
from reconciler.plan import Budget
from reconciler.source import GitSource
from reconciler.status import Event

__all__ = ["main", "wake_socket"]


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

exit status: 0 ended as asked, 1 it failed (with --once also: something is held,
failed or waits), 2 wrong usage""",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--mirror", required=True, type=Path, help="the fetcher's folder")
    parser.add_argument("--path", default=".", help="the folder inside the repository that is read (.)")
    parser.add_argument("--datastore", help="the embedded datastore's file (MUSLIN_DATASTORE)")
    parser.add_argument("--config", help="a CalicoAPIConfig file, for etcd or Kubernetes (/etc/calico/calicoctl.cfg)")
    parser.add_argument("--context", help="context of the kubeconfig")
    parser.add_argument("--wake", type=Path, help="datagram socket on which the fetcher pokes")
    parser.add_argument("--set", default="default", dest="set_name", help="name of the ledger and status (default)")
    parser.add_argument("--interval", type=_seconds, default=60.0, help="seconds between looks without a wake-up (60)")
    parser.add_argument("--max-deletes", type=_part, default=0.5, help="part of ours that one commit may remove (0.5)")
    parser.add_argument("--allow-empty", action="store_true", help="let a commit that declares nothing remove all")
    parser.add_argument("--json", action="store_true", help="log one JSON object a line")
    parser.add_argument("--once", action="store_true", help="look once; exit status 1 if anything is held or failed")
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


async def _serve(arguments: argparse.Namespace, tell: Callable[[Event], None]) -> int:
    settings = Settings(
        set_name=arguments.set_name,
        poll_s=arguments.interval,
        budget=Budget(part=arguments.max_deletes, allow_empty=arguments.allow_empty),
    )
    asked = Asked(arguments.datastore, arguments.config, arguments.context)
    datastore = await open_store(settings_of(asked, os.environ), make=True)
    source = GitSource(arguments.mirror, arguments.path)
    try:
        controller = Controller(
            datastore,
            source,
            settings,
            random=Random(),  # noqa: S311  jitter, not a secret
            now=lambda: datetime.now(UTC),
            tell=tell,
        )
        if arguments.once:
            status = await controller.once()
            return 1 if status.seen is None or status.held or status.failed or status.waiting or status.paused else 0
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, controller.stop)
        with wake_socket(arguments.wake, controller.wake):
            await controller.run()
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

    def tell(event: Event) -> None:
        line = json.dumps(event.to_json(), default=str) if arguments.json else f"muslin reconcile: {event}"
        print(line, file=sys.stderr, flush=True)  # noqa: T201  the process's log

    try:
        return asyncio.run(_serve(arguments, tell))
    except MuslinError as error:
        print(error, file=sys.stderr)  # noqa: T201
        return 2 if isinstance(error, BadInput) else 1


if __name__ == "__main__":
    sys.exit(main())
