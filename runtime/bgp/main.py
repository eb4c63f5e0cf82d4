"""The speaker as a process: `python -m runtime.bgp.main --socket PATH`.

It reads bytes from strangers, so it is a process of its own, imports little, needs no privilege but to bind its port,
and never touches the kernel's routes.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from random import Random

from muslin.errors import BadInput, Failed, MuslinError, Problem
from runtime.bgp.core import Speaker
from runtime.bgp.speaker import Shell, log
from runtime.bgp.tcp import TcpNetwork

__all__ = ["main"]

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


def main(argv: Sequence[str] | None = None) -> int:
    """Run a speaker until SIGTERM or SIGINT.

    Returns:
        Exit status: 0 stopped on demand, 1 could not run, 2 wrong arguments.
    """
    parser = argparse.ArgumentParser(
        prog="muslin speaker",
        description="""\
Speak BGP for the agent of this node: peers and local prefixes come from the
agent over a unix socket, learnt routes go back to it. Never touches the
kernel's routes. Logs one plain line an event to standard error.""",
        epilog="""\
example:
  muslin speaker --socket /run/calico/speaker.sock

needs the right to bind TCP port 179 (CAP_NET_BIND_SERVICE) and nothing else
exit status: 0 stopped as asked, 1 it could not begin or go on, 2 wrong usage""",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--socket", type=Path, required=True, help="unix socket on which the agent is heard")
    parser.add_argument(
        "--restarted", action="store_true", help="forwarding went on while the speaker was away (RFC 4724)"
    )
    arguments = parser.parse_args(argv)
    try:
        asyncio.run(_run(arguments.socket, restarted=arguments.restarted))
    except MuslinError as error:
        log("cannot run", reason=error.problems[0].what, where=error.problems[0].where)
        return 2 if isinstance(error, BadInput) else 1
    return 0


async def _run(path: Path, *, restarted: bool) -> None:
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    faults: list[str] = []

    def on_fault(_: asyncio.AbstractEventLoop, context: dict[str, object]) -> None:
        faults.append(f"{context.get('message')}: {context.get('exception')!r}")
        stop.set()  # our state may be wrong: a new process with kept routes is better than going on

    loop.set_exception_handler(on_fault)
    mark = path.with_name(path.name + ".boot")
    boot = _boot_id()
    core = Speaker(
        Random(),  # noqa: S311 - jitter, no secret
        restarted=restarted or _read(mark) == boot,
        epoch_s=time.time() - loop.time(),
    )
    shell = Shell(core, TcpNetwork(), on_in_sync=lambda: _remember(mark, boot))
    gc.collect()
    gc.freeze()
    await shell.serve(path, stop)
    if faults:
        raise Failed(Problem(faults[0], str(path), "report this; a restarted speaker keeps the routes"))


def _boot_id() -> str:
    return _read(_BOOT_ID) or "unknown"


def _read(path: Path) -> str | None:
    try:
        return path.read_text().strip()
    except OSError:
        return None


def _remember(mark: Path, boot: str) -> None:
    """Leave word for the next speaker of this boot that forwarding was set up."""
    if _read(mark) != boot:
        mark.write_text(boot + "\n")


if __name__ == "__main__":
    sys.exit(main())
