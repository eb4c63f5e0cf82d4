"""How a reconciler asks for reverts: one small file of its own, which the fetcher reads. It never runs git for it.

The file says what is wanted now, and is gone when nothing is: a commit that is released, or that another one follows,
is asked for no more. So it can be written at any time again, and a crash between two writes is healed by the next look.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Sequence
from pathlib import Path

from reconciler.combined import commits_of
from reconciler.guard import RevertRequest
from reconciler.hidden import without_secrets
from reconciler.hook import WAKE_FIFO
from reconciler.reverts import RevertAsked, printed, written
from reconciler.sources_file import Reads

__all__ = ["RevertRequests"]


class RevertRequests:
    """One set's requests: what a controller's `ask_revert` calls.

    Args:
        file: where they are written; its folder is made.
        set_name: whose they are.
        reads: the sources that may be reverted, and what of each is read. The name is empty where there is only one.
        say: is given a sentence where the file cannot be written.
    """

    def __init__(self, file: Path, set_name: str, reads: Sequence[Reads], say: Callable[[str], None]) -> None:
        self._file, self._set, self._reads, self._say = file, set_name, tuple(reads), say
        self._written: bytes | None = None

    def __call__(self, taken_back: RevertRequest | None) -> None:
        """Ask that this commit is reverted, and no other; None: ask for nothing. Does nothing where that is so."""
        asked = self._asked(taken_back)
        text = written(asked) if asked else b""
        if text == self._written:
            return
        try:
            if text:
                self._file.parent.mkdir(parents=True, exist_ok=True)
                fresh = self._file.with_name(f".{self._file.name}.new")
                fresh.write_bytes(text)
                fresh.replace(self._file)
            else:
                self._file.unlink(missing_ok=True)
        except OSError as error:
            self._say(f"{self._file} cannot be written, so no revert is asked for: {error.strerror or error}")
            return
        self._written = text
        for each in self._reads if text else ():
            _wake(each.mirror / WAKE_FIFO)

    def _asked(self, taken_back: RevertRequest | None) -> list[RevertAsked]:
        if taken_back is None:
            return []
        bad, good = commits_of(taken_back.commit), commits_of(taken_back.back_to)
        reason = printed(str(without_secrets(taken_back.reason)))
        found = []
        for each in self._reads:
            name = each.source if each.source in bad else ""
            commit, back_to = bad.get(name), good.get(name)
            if commit is not None and back_to is not None and commit != back_to:
                found.append(
                    RevertAsked(
                        self._set, each.source, commit, back_to, each.select, taken_back.because, reason, taken_back.at
                    )
                )
        return found


def _wake(fifo: Path) -> None:
    """One byte, for which nobody waits: without a fetcher there is nobody to hear it."""
    with contextlib.suppress(OSError):
        door = os.open(fifo, os.O_WRONLY | os.O_NONBLOCK | os.O_NOFOLLOW)
        try:
            os.write(door, b".")
        finally:
            os.close(door)
