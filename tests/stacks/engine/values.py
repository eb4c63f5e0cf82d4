"""Property values on the wire: plain JSON, secrets in an envelope, and what is not known yet."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from google.protobuf import json_format, struct_pb2

__all__ = ["HIDDEN", "SECRET", "SIGNATURE", "UNKNOWN", "is_known", "plain", "read", "secret_paths", "stored", "written"]

SIGNATURE: Final = "4dabf18193072939515e22adb298388d"
SECRET: Final = "1b47061264138c4ac30d75fd1eb44270"
_OUTPUT: Final = "d0e6a833031e9bbcd3f4e8bde6ca49a4"
UNKNOWN: Final = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"
HIDDEN: Final = {SIGNATURE: SECRET, "ciphertext": "v1:hidden"}
"""What stands in a state for a secret: the real engine encrypts it."""


def read(struct: struct_pb2.Struct) -> dict[str, Any]:
    """A message as JSON, whole numbers as such; envelopes stay."""
    value = _whole(json_format.MessageToDict(struct))
    assert isinstance(value, dict)
    return value


def written(value: Mapping[str, Any]) -> struct_pb2.Struct:
    """JSON as a message."""
    struct = struct_pb2.Struct()
    struct.update(dict(value))
    return struct


def _whole(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _whole(each) for name, each in value.items()}
    if isinstance(value, list):
        return [_whole(each) for each in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


def plain(value: Any) -> Any:
    """Without envelopes; what is unknown is UNKNOWN."""
    if isinstance(value, dict):
        if value.get(SIGNATURE) in (SECRET, _OUTPUT):
            return plain(value.get("value", UNKNOWN))
        return {name: plain(each) for name, each in value.items()}
    return [plain(each) for each in value] if isinstance(value, list) else value


def secret_paths(value: Any, path: str = "") -> Iterator[str]:
    """Where secrets stand."""
    if isinstance(value, dict):
        if value.get(SIGNATURE) == SECRET or (value.get(SIGNATURE) == _OUTPUT and value.get("secret")):
            yield path
            return
        for name, each in value.items():
            yield from secret_paths(each, f"{path}.{name}".lstrip("."))
    elif isinstance(value, list):
        for index, each in enumerate(value):
            yield from secret_paths(each, f"{path}[{index}]")


def stored(value: Any, hidden: frozenset[str] = frozenset()) -> Any:
    """As a state file has it: secrets, and the properties named in `hidden`, are ciphertext."""
    if isinstance(value, dict):
        if value.get(SIGNATURE) == SECRET:
            return HIDDEN
        return {name: HIDDEN if name in hidden else stored(each) for name, each in value.items()}
    return [stored(each) for each in value] if isinstance(value, list) else value


def is_known(value: Any) -> bool:
    """Whether nothing in it waits for something that is yet to be made."""
    if isinstance(value, dict):
        return all(is_known(each) for each in value.values())
    return all(is_known(each) for each in value) if isinstance(value, list) else value != UNKNOWN
