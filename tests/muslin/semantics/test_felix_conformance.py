"""Every row of the reference's table of settings holds: defaults, texts from the environment, kinds by themselves."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Callable, Mapping
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from pathlib import Path
from typing import Any

import pytest

from muslin.errors import BadInput
from muslin.resources.durations import Duration
from muslin.resources.felix_patterns import Pattern
from muslin.semantics.felix_kinds import (
    CIDR_LIST,
    ENDPOINT_LIST,
    IFACE_FILTERS,
    IPV4,
    IPV6,
    KEY_VALUES,
    Kind,
    like,
    list_of,
)
from muslin.semantics.felix_meaning import (
    ClusterRoutes,
    contradictions,
    felix_programs,
    is_openstack,
    kubernetes_provider,
)
from muslin.semantics.felix_numbers import FailsafePort, NumericPorts
from muslin.semantics.felix_parameters import PARAMETERS
from muslin.semantics.felix_sources import Files, Local, Settings, resolve
from muslin.semantics.felix_texts import felix_environment, felix_file

pytestmark = pytest.mark.conformance

Row = Mapping[str, Any]

WRONG_ON_PURPOSE: Mapping[str, str] = {}
"""Mapping[id of a row, why our answer is another]: none."""

_KINDS: Mapping[str, Kind] = {
    "type:cidr-list": CIDR_LIST,
    "type:endpoint-list": ENDPOINT_LIST,
    "type:iface-name-list": list_of("interfaces", like(r"[a-zA-Z0-9_.-]{1,15}", "an interface")),
    "type:iface-pattern-list": IFACE_FILTERS,
    "type:ipv4": IPV4,
    "type:ipv6": IPV6,
    "type:keyvaluelist": KEY_VALUES,
}
_HOSTNAME = "this-machine"


def _rows() -> list[Row]:
    folder = os.environ.get("MUSLIN_CONFORMANCE")
    if not folder:
        pytest.skip("MUSLIN_CONFORMANCE names no folder")
    text = (Path(folder) / "felixconfig.jsonl").read_text(encoding="utf-8")
    return [json.loads(line) for line in text.splitlines()]


def _plain(value: Any) -> Any:
    """A value as the table writes it, without regard to which setting it is of."""
    match value:
        case Duration():
            return {"$duration_s": value.nanoseconds / 1e9}
        case Pattern():
            return {"$regexp": value.text}
        case IPv4Address() | IPv6Address():
            return {"$ip": str(value)}
        case IPv4Network() | IPv6Network():
            return str(value)
        case NumericPorts():
            return {"$port": str(value)}
        case FailsafePort():
            return {"Net": str(value.net or ""), "Port": value.port, "Protocol": value.protocol}
        case tuple():
            return [_plain(each) for each in value] or None
        case Mapping():
            return {name: _plain(each) for name, each in value.items()} or None
        case _:
            return value


def _written(name: str, value: Any) -> Any:
    match name:
        case "FelixHostname":
            return {"$hostname": True} if value == _HOSTNAME else value
        case "RouteTableRange":
            return {"Min": value[0], "Max": value[1]}
        case "RouteTableRanges":
            return [{"Min": low, "Max": high} for low, high in value] or None
        case "IstioDSCPMark":
            number, word = (0, value) if isinstance(value, str) else (value, "")
            return {"NumVal": number, "StrVal": word, "Type": int(bool(word))}
        case _:
            return _plain(value)


def _of_machine(row: Row, texts: Mapping[str, str]) -> Settings:
    files = Files(exists=os.path.exists)
    if row.get("source") == "ConfigFile":
        return resolve(Local(file=texts, hostname=_HOSTNAME, files=files))
    if row.get("source") == "DatastoreGlobal":
        return resolve(Local(hostname=_HOSTNAME, files=files), global_=texts)
    return resolve(Local(environment=texts, hostname=_HOSTNAME, files=files))


def _one(row: Row) -> Any:
    name, settings = row["key"], _of_machine(row, {row["key"]: row["value"]})
    default = settings[name] == resolve(Local(hostname=_HOSTNAME))[name]
    return {"expected": _written(name, settings[name]), "error": bool(settings.fatal), "is_default": default}


def _default(row: Row) -> Any:
    return {"expected": _written(row["key"], resolve(Local(hostname=_HOSTNAME))[row["key"]])}


def _kind(row: Row) -> Any:
    try:
        return {"expected": _flat(_KINDS[row["table"]].parse(row["value"])), "ok": True}
    except ValueError:
        return {"expected": None, "ok": False}


def _flat(value: Any) -> Any:
    return str(value) if isinstance(value, (IPv4Address, IPv6Address)) else _plain(value)


def _programs(row: Row) -> Any:
    found = felix_programs(_of_machine(row, row["settings"]))
    names = {"felix_programs_ipip": ClusterRoutes.IPIP, "felix_programs_noencap": ClusterRoutes.NO_ENCAPSULATION}
    return {"expected": {name: each in found for name, each in names.items()}}


def _stands(row: Row) -> Any:
    settings = _of_machine(row, row["settings"])
    return {"ok": not settings.fatal and not any(contradictions(settings))}


def _environ(row: Row) -> Any:
    pairs = (each.partition("=") for each in row["environ"] if "=" in each)
    return {"expected": dict(felix_environment({name: text for name, _, text in pairs}))}


def _file(row: Row) -> Any:
    if row["content"] is None:
        return {"expected": None, "ok": True}
    try:
        return {"expected": dict(felix_file(row["content"])), "ok": True}
    except BadInput:
        return {"expected": None, "ok": False}


_ASKED: Mapping[str, Callable[[Row], Any]] = {
    "oracle": _one,
    "param": _one,
    "default": _default,
    "openstack": lambda row: {"expected": is_openstack(_of_machine(row, row["settings"]))},
    "provider": lambda row: {"expected": kubernetes_provider(_of_machine(row, row["settings"]))},
    "program_cluster_routes": _programs,
    "validate": _stands,
    "env-loader": _environ,
    "file-load": _file,
    **dict.fromkeys(_KINDS, _kind),
}


def _same(ours: Any, theirs: Any) -> bool:
    """Whether two written values are one; nothing, no items and no pairs are the same."""
    if ours in (None, [], {}) and theirs in (None, [], {}):
        return True
    if isinstance(ours, dict) and isinstance(theirs, dict):
        if "$duration_s" in ours and "$duration_s" in theirs:
            return bool(abs(ours["$duration_s"] - theirs["$duration_s"]) < 1e-9)
        return ours.keys() == theirs.keys() and all(_same(ours[name], theirs[name]) for name in ours)
    return bool(ours == theirs)


def test_every_row_holds() -> None:
    """Value, error and default are as the reference has them, in every row of every table."""
    rows = _rows()

    wrong = {
        row["id"]: (answer, {name: row[name] for name in answer})
        for row in rows
        if row["id"] not in WRONG_ON_PURPOSE
        for answer in [_ASKED[row["table"]](row)]
        if not all(_same(answer[name], row[name]) for name in answer)
    }
    asked = Counter(row["table"] for row in rows)
    print(f"{len(rows) - len(wrong)} of {len(rows)} rows of felixconfig hold: {dict(asked)}")

    assert wrong == {}


def test_the_table_asks_for_settings_that_are_known() -> None:
    """No setting of the reference is unknown here."""
    asked = {row["key"].lower() for row in _rows() if "key" in row}

    assert asked <= PARAMETERS.keys()
