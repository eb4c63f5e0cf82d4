"""What a CNI plugin prints: a result, or an error with code, `msg` (what) and `details` (where, fix). No I/O."""

from __future__ import annotations

import enum
import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from muslin.errors import BadInput, MuslinError, Problem, Unavailable
from muslin.net import Address, Mac

__all__ = ["SUPPORTED_VERSIONS", "Answer", "CniError", "Code", "added", "done", "refused", "version"]

SUPPORTED_VERSIONS = ("0.3.1", "0.4.0", "1.0.0")
"""Versions of the specification whose results we can write. Older ones have another form of result."""
_ENCODER = json.JSONEncoder(separators=(",", ":"))
_MAX_PROBLEMS, _MAX_TEXT = 20, 1000
"""Problems shown besides the first, and characters of each: a runtime keeps this in its own log."""


class Code(enum.IntEnum):
    """Error codes of CNI 1.0, section 5; from 100 on our own; 999 is what the reference library uses for bugs."""

    INCOMPATIBLE_VERSION = 1
    UNSUPPORTED_FIELD = 2
    UNKNOWN_CONTAINER = 3
    BAD_ENVIRONMENT = 4
    IO_FAILURE = 5
    BAD_INPUT = 6
    BAD_NETWORK_CONFIG = 7
    TRY_AGAIN = 11
    CHECK_FAILED = 100
    FAILED = 101
    INTERNAL = 999


@dataclass(frozen=True, slots=True)
class Answer:
    """Exit status of the executable and what it prints."""

    status: int
    body: bytes


class CniError(MuslinError):
    """A request is refused; `code` tells the runtime what kind of refusal it is."""

    def __init__(self, code: Code, problems: Problem | Iterable[Problem]) -> None:
        super().__init__(problems)
        self.code = code


def _answer(status: int, body: dict[str, Any]) -> Answer:
    return Answer(status, _ENCODER.encode(body).encode() + b"\n")


def version() -> Answer:
    """The answer to VERSION."""
    return _answer(0, {"cniVersion": SUPPORTED_VERSIONS[-1], "supportedVersions": list(SUPPORTED_VERSIONS)})


def done() -> Answer:
    """The answer to DEL and CHECK: success has nothing to say."""
    return Answer(0, b"")


def added(
    cni_version: str, *, host_interface: str, ifname: str, sandbox: str, addresses: Iterable[Address], mac: Mac
) -> Answer:
    """The answer to ADD: host interface first, then the pod's, to which every address belongs, with no other in it."""
    ips = [{"address": f"{address}/{address.max_prefixlen}", "interface": 1} for address in addresses]
    if cni_version != "1.0.0":
        ips = [{"version": "6" if ":" in str(ip["address"]) else "4", **ip} for ip in ips]
    return _answer(
        0,
        {
            "cniVersion": cni_version,
            "interfaces": [{"name": host_interface}, {"name": ifname, "mac": str(mac), "sandbox": sandbox}],
            "ips": ips,
            "routes": [{"dst": "0.0.0.0/0", "gw": "169.254.1.1"}],
            "dns": {},
        },
    )


def refused(error: Exception, cni_version: str = SUPPORTED_VERSIONS[-1]) -> Answer:
    """Any failure as a CNI error. The first problem gives `msg`; `details` has every place, fix and further problem."""
    match error:
        case CniError(code=code):
            pass
        case BadInput():
            code = Code.BAD_NETWORK_CONFIG
        case Unavailable():
            code = Code.TRY_AGAIN
        case MuslinError():
            code = Code.FAILED
        case _:
            code = Code.INTERNAL
            error = MuslinError(
                Problem(
                    f"the agent failed in a way nobody thought of: {type(error).__name__}: {error}",
                    "muslin agent",
                    "report this with the agent's log",
                )
            )
    assert isinstance(error, MuslinError)
    first, *others = error.problems
    details = [f"where: {first.where}; fix: {first.fix}"]
    details += [f"also: {other.what}; where: {other.where}; fix: {other.fix}" for other in others[:_MAX_PROBLEMS]]
    shown = {
        "cniVersion": cni_version,
        "code": int(code),
        "msg": first.what[:_MAX_TEXT],
        "details": "\n".join(detail[:_MAX_TEXT] for detail in details),
    }
    return _answer(1, shown)
