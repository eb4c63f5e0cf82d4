"""The post-receive hook of a local bare repository: it wakes the fetcher, so that a push is seen at once.

Plain sh: starting an interpreter on every push would cost more than the fetch. It opens the fetcher's FIFO for
reading and writing, which on Linux never waits for a reader, and writes one byte in the background, so that a full
FIFO cannot hold the pusher either. Nobody listening is fine: the fetcher polls as well.
"""

from __future__ import annotations

import os
import shlex
from pathlib import Path
from typing import Final

from muslin.errors import BadInput, Problem

__all__ = ["MARK", "WAKE_FIFO", "install", "post_receive"]

WAKE_FIFO: Final = "muslin-wake"
"""Name of the FIFO in a fetcher's folder: whoever writes to it makes the fetcher look."""

MARK: Final = "# muslin: wake the fetcher"


def post_receive(fifo: Path) -> str:
    """The hook's text for a fetcher that listens on `fifo`."""
    return f"""#!/bin/sh
{MARK}; never waits, never fails a push
fifo={shlex.quote(str(fifo))}
if [ -p "$fifo" ]; then
    (printf . 1<>"$fifo") </dev/null >/dev/null 2>&1 &
fi
exit 0
"""


def install(repository: Path, fifo: Path) -> Path:
    """Put the hook into a bare repository; gives its path. Doing it again changes nothing.

    Raises:
        BadInput: `repository` is not a bare repository, or has a post-receive hook of somebody else.
    """
    if not (repository / "objects").is_dir() or not (repository / "HEAD").is_file():
        raise BadInput(
            Problem(f"{repository} is not a bare git repository", str(repository), "make it with git init --bare")
        )
    hook = repository / "hooks" / "post-receive"
    text = post_receive(fifo.absolute())
    if hook.exists():
        there = hook.read_text(errors="replace")
        if there == text and os.access(hook, os.X_OK):
            return hook
        if MARK not in there:
            raise BadInput(
                Problem(
                    "there is a post-receive hook that is not ours",
                    str(hook),
                    f"add this line to it: [ -p {shlex.quote(str(fifo))} ] && "
                    f"(printf . 1<>{shlex.quote(str(fifo))}) >/dev/null 2>&1 &",
                )
            )
    hook.parent.mkdir(exist_ok=True)
    fresh = hook.with_name(".post-receive.new")
    fresh.write_text(text)
    fresh.chmod(0o755)
    fresh.replace(hook)
    return hook
