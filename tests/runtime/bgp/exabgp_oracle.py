"""ExaBGP's message classes as an independent reader and writer of UPDATEs."""

from __future__ import annotations

import functools
import json
import os
from typing import Any

from runtime.bgp.families import Family

os.environ["EXABGP_LOG_ENABLE"] = "false"


class Refused(Exception):
    """ExaBGP would end the session."""


@functools.cache
def _exabgp() -> Any:
    """Classes, a neighbour and what was negotiated with it: 192.0.2.2, iBGP, four-octet AS numbers, both families."""
    import exabgp.environment.setup  # noqa: F401, PLC0415 - sets the environment up
    from exabgp.bgp.message import Notify, Update  # noqa: PLC0415 - slow to import
    from exabgp.bgp.message.direction import Direction  # noqa: PLC0415 - slow to import
    from exabgp.configuration.check import _negotiated  # noqa: PLC0415 - slow to import
    from exabgp.configuration.configuration import Configuration  # noqa: PLC0415 - slow to import
    from exabgp.environment import getenv  # noqa: PLC0415 - slow to import
    from exabgp.logger import log  # noqa: PLC0415 - slow to import
    from exabgp.reactor.api.response import Response  # noqa: PLC0415 - slow to import

    log.init(getenv())
    text = (
        "neighbor 192.0.2.2 { local-address 192.0.2.1; router-id 192.0.2.1; local-as 64512; peer-as 64512;"
        " family { ipv4 unicast; ipv6 unicast; } }\n"
    )
    configuration = Configuration([text], text=True)
    assert configuration.reload()
    neighbour = next(iter(configuration.neighbors.values()))

    class Classes:
        update, notify, incoming = Update, Notify, Direction.IN
        peer, negotiated, writer = neighbour, _negotiated(neighbour), Response.JSON("5.0.0")

    return Classes


def _read(body: bytes) -> Any:
    exabgp = _exabgp()
    try:
        return exabgp.update.unpack_message(body, exabgp.incoming, exabgp.negotiated)
    except exabgp.notify as error:
        raise Refused(str(error)) from error


def read(body: bytes) -> dict[str, Any]:
    """What ExaBGP's API says about an UPDATE's body: `attribute`, `announce`, `withdraw`, or `eor`."""
    exabgp = _exabgp()
    update = _read(body)
    said = json.loads(exabgp.writer.update(exabgp.peer, "receive", update, None, b"", b""))["neighbor"]["message"]
    return dict(said.get("update", said))


def rewrite(body: bytes) -> list[bytes]:
    """An UPDATE read and written again by ExaBGP, as whole messages."""
    exabgp = _exabgp()
    update = _read(body)
    return list(exabgp.update(update.nlris, update.attributes).messages(exabgp.negotiated))


def prefixes(said: dict[str, Any], what: str, family: Family) -> set[str]:
    """Prefixes of one family in what `read` gave."""
    name = "ipv4 unicast" if family.afi == 1 else "ipv6 unicast"
    found = said.get(what, {}).get(name, {})
    entries = found if isinstance(found, list) else [entry for hop in found.values() for entry in hop]
    return {entry["nlri"] for entry in entries}
