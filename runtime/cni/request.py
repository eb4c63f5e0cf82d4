"""A CNI request: from the shim's frame to checked values. Sans I/O: any bytes give a Request or a CniError.

The frame is that of shim.c: six NUL-terminated values, then the network configuration.
"""

from __future__ import annotations

import enum
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from muslin.errors import Place, Problem
from runtime.cni.answer import SUPPORTED_VERSIONS, CniError, Code
from runtime.cni.network import Network, parse_network
from runtime.cni.pod import Pod, pod_from_arguments

__all__ = ["MAX_MESSAGE", "Command", "Request", "decode", "version_of"]

MAX_MESSAGE = 1024 * 1024
"""Bytes of a request or an answer; shim.c has the same."""
_VARIABLES = ("CNI_COMMAND", "CNI_CONTAINERID", "CNI_NETNS", "CNI_IFNAME", "CNI_ARGS", "CNI_PATH")
_COMMAND_NAMES = ("ADD", "DEL", "CHECK", "VERSION")
_CONTAINER_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.\-]{0,127}")
_NOT_IN_IFNAME = re.compile(r"[/:\s\x00-\x1f]")
_MAX_VALUE = 8192
_MAX_NAME = 253 - 1 - 128
"""Bytes of a network's name: with a container id it must fit an object's name, as the IPAM handle is one."""


class Command(enum.Enum):
    """What the runtime wants."""

    ADD = "ADD"
    DEL = "DEL"
    CHECK = "CHECK"
    VERSION = "VERSION"


@dataclass(frozen=True, slots=True)
class Request:
    """One checked request. `netns` is the path as the runtime named it; the descriptor travels beside."""

    command: Command
    container_id: str
    ifname: str
    netns: str
    network: Network
    pod: Pod | None


def version_of(payload: bytes) -> str:
    """The version in which to answer this request, also where it is refused."""
    try:
        found = json.loads(payload.split(b"\0", 6)[6])["cniVersion"]
    except (ValueError, LookupError, TypeError, RecursionError):
        return SUPPORTED_VERSIONS[-1]
    return found if found in SUPPORTED_VERSIONS else SUPPORTED_VERSIONS[-1]


def decode(payload: bytes) -> Request:
    """A request from the payload of one frame.

    Raises:
        CniError: with every problem of the first stage that found one: environment, JSON, configuration.
    """
    if len(payload) > MAX_MESSAGE:
        raise CniError(Code.BAD_INPUT, _problem("the request is too long", "frame", f"{MAX_MESSAGE} bytes at most"))
    *values, stdin = payload.split(b"\0", len(_VARIABLES))
    if len(values) != len(_VARIABLES):
        raise CniError(Code.BAD_INPUT, _problem("the request is cut off", "frame", "use shim and agent of one version"))
    environment = _environment(values)
    command = Command(environment["CNI_COMMAND"])
    if command is Command.VERSION:
        return Request(command, "", "", "", Network(SUPPORTED_VERSIONS[-1], "version"), None)
    network = parse_network(_json(stdin))
    if len(network.name) > _MAX_NAME:
        raise CniError(
            Code.BAD_NETWORK_CONFIG,
            _problem("the network's name is too long", "network configuration  name", f"{_MAX_NAME} bytes at most"),
        )
    pod = pod_from_arguments(environment["CNI_ARGS"], network.pod)
    if pod is None and command is not Command.DEL:
        raise CniError(
            Code.BAD_NETWORK_CONFIG,
            _problem(
                "nobody says which pod this is",
                "network configuration  pod, CNI_ARGS",
                "set pod: {namespace, name} in the configuration, or K8S_POD_NAMESPACE and K8S_POD_NAME in CNI_ARGS",
            ),
        )
    if command is Command.CHECK and network.previous is None:
        raise CniError(
            Code.BAD_NETWORK_CONFIG,
            _problem("CHECK without prevResult", "network configuration  prevResult", "pass the result of ADD"),
        )
    return Request(
        command=command,
        container_id=environment["CNI_CONTAINERID"],
        ifname=environment["CNI_IFNAME"],
        netns=environment["CNI_NETNS"],
        network=network,
        pod=pod,
    )


def _problem(what: str, where: str, fix: str) -> Problem:
    return Problem(what, where, fix, "CNI 1.0")


def _environment(values: Sequence[bytes]) -> dict[str, str]:
    environment: dict[str, str] = {}
    problems: list[Problem] = []
    for name, raw in zip(_VARIABLES, values, strict=True):
        if len(raw) > _MAX_VALUE:
            problems.append(_problem(f"{name} is too long", name, f"{_MAX_VALUE} bytes at most"))
        try:
            environment[name] = raw.decode()
        except UnicodeDecodeError:
            problems.append(_problem(f"{name} is not UTF-8", name, "the runtime must pass text"))
    if not problems and environment["CNI_COMMAND"] != Command.VERSION.value:
        problems = list(_environment_problems(environment))
    elif environment.get("CNI_COMMAND") == Command.VERSION.value:
        problems = []
    if problems:
        raise CniError(Code.BAD_ENVIRONMENT, problems)
    return environment


def _environment_problems(environment: dict[str, str]) -> list[Problem]:
    problems: list[Problem] = []
    command, ifname = environment["CNI_COMMAND"], environment["CNI_IFNAME"]
    if command not in _COMMAND_NAMES:
        fix = "one of " + ", ".join(_COMMAND_NAMES)
        problems.append(_problem(f"{command!r} is not a command", "CNI_COMMAND", fix))
    if not _CONTAINER_ID.fullmatch(environment["CNI_CONTAINERID"]):
        fix = "letters, digits and _ . - after a letter or digit, 128 at most"
        problems.append(_problem(f"{environment['CNI_CONTAINERID']!r} is not a container id", "CNI_CONTAINERID", fix))
    # The kernel's rule for interface names (dev_valid_name), and ':' that only aliases have.
    if not 1 <= len(ifname.encode()) <= 15 or ifname in {".", ".."} or _NOT_IN_IFNAME.search(ifname):
        problems.append(_problem(f"{ifname!r} is not an interface name", "CNI_IFNAME", "for example eth0"))
    if ifname.startswith("-") or ifname.endswith("-"):
        fix = "it becomes a part of the endpoint's name: no '-' at either end"
        problems.append(_problem(f"{ifname!r} can't name an endpoint", "CNI_IFNAME", fix))
    if command in {"ADD", "CHECK"} and not environment["CNI_NETNS"]:
        problems.append(_problem("CNI_NETNS is empty", "CNI_NETNS", "the path of the container's network namespace"))
    return problems


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        twice = sorted({key for key, _ in pairs if sum(key == other for other, _ in pairs) > 1})
        raise ValueError(f"the key {twice[0]!r} stands twice in one object")
    return found


def _refuse(text: str) -> None:
    raise ValueError(f"{text} is not JSON")


_DECODER = json.JSONDecoder(object_pairs_hook=_once, parse_constant=_refuse)


def _json(stdin: bytes) -> dict[str, Any]:
    try:
        found = _DECODER.decode(stdin.decode(json.detect_encoding(stdin), "surrogatepass"))
    except json.JSONDecodeError as error:
        place = Place("stdin", error.lineno, error.colno)
        raise CniError(Code.BAD_INPUT, _problem(f"not JSON: {error.msg}", str(place), "pass one JSON object")) from None
    except (ValueError, RecursionError) as error:
        raise CniError(Code.BAD_INPUT, _problem(f"not JSON: {error}", "stdin", "pass one JSON object")) from None
    if not isinstance(found, dict):
        raise CniError(Code.BAD_INPUT, _problem("the configuration is not an object", "stdin", "pass one JSON object"))
    return found
