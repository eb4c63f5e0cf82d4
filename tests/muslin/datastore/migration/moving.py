"""A migration that dies by SIGKILL at one of its writes: run as `python moving.py FROM TO WRITE before|after`.

Every write counts, on both sides: the lock, the claim, each object, the unlocking.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import AsyncIterator
from typing import Any

from muslin.datastore.migrate import migrate
from muslin.datastore.migrate_copy import born_as, uid_as
from muslin.datastore.migrate_objects import StoreType
from muslin.datastore.migrate_report import End
from muslin.datastore.naming import settings_named
from muslin.datastore.opening import opened
from muslin.datastore.settings import EmbeddedSettings, EtcdSettings

_written = 0


class Mortal:
    """A datastore at whose n-th write this process dies.

    Args:
        store: the real one.
        last: at which write.
        after: once it is done, not before it is begun.
    """

    def __init__(self, store: Any, last: int, *, after: bool) -> None:
        self._store, self._last, self._after = store, last, after

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._store, name)
        if name not in ("create", "update", "delete"):
            return found

        async def written(*arguments: Any) -> Any:
            global _written  # noqa: PLW0603 - of all stores of this process
            _written += 1
            dies = _written == self._last
            if dies and not self._after:
                os.kill(os.getpid(), signal.SIGKILL)
            answer = await found(*arguments)
            if dies:
                os.kill(os.getpid(), signal.SIGKILL)
            return answer

        return written


def end(word: str, last: int, *, make: bool, after: bool) -> End:
    """One end, mortal."""
    settings = settings_named(word, os.environ, word)

    @contextlib.asynccontextmanager
    async def opening() -> AsyncIterator[Any]:
        identity: Any = {"now": born_as, "new_uid": uid_as} if make else {}
        async with opened(settings, make=make, **identity) as store:
            yield Mortal(store, last, after=after)

    types = {EmbeddedSettings: StoreType.EMBEDDED, EtcdSettings: StoreType.ETCD}
    return End(word, types.get(type(settings), StoreType.KUBERNETES), opening)


if __name__ == "__main__":
    _, from_, to, last, when = sys.argv
    ends = [end(word, int(last), make=make, after=when == "after") for word, make in ((from_, False), (to, True))]
    report = asyncio.run(migrate(*ends))
    print(report.complete)
