"""Who waits for a stream is woken for all that comes, whenever it comes."""

from __future__ import annotations

import asyncio
from typing import Any

from muslin.kubernetes.wire import Wire

_HEAD = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


class _Transport(asyncio.Transport):
    """Takes what is written, and has no socket that could hold anything back."""

    def set_protocol(self, protocol: Any) -> None:
        """See `asyncio.Transport`."""

    def write(self, data: Any) -> None:
        """See `asyncio.Transport`."""

    def is_closing(self) -> bool:
        """See `asyncio.Transport`."""
        return False


def _chunk(text: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(text), text)


def test_what_comes_while_events_are_gathered_is_handed_on_soon() -> None:
    """Nothing needs to follow it: the moment of gathering ends by itself, each time."""

    async def main() -> list[bytes]:
        wire = Wire(asyncio.get_running_loop(), lambda _: None)
        wire.take(_Transport())
        wire.send(b"GET / HTTP/1.1\r\n\r\n")
        wire.data_received(_HEAD + _chunk(b"first"))
        seen = [await wire.some(5)]
        for text in (b"second", b"third"):
            wire.data_received(_chunk(text))
            waiting = asyncio.ensure_future(wire.some(5))
            seen.append(await asyncio.wait_for(waiting, 2))
        waiting = asyncio.ensure_future(wire.some(5))
        await asyncio.sleep(0)
        wire.data_received(_chunk(b"while it waits"))
        seen.append(await asyncio.wait_for(waiting, 2))
        return seen

    assert asyncio.run(main()) == [b"first", b"second", b"third", b"while it waits"]
