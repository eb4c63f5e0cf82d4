"""Objects with one value replaced by another, many of them: models and API server still say the same."""

from __future__ import annotations

import copy
import http.client
import json
from collections import Counter
from collections.abc import Iterator
from random import Random
from typing import Any, Final

import pytest

from muslin.resources.crds import definitions
from muslin.resources.registry import KINDS
from tests.engines.verdicts import CASES, compared, path_of
from tests.support.kube_apiserver import KubeApiserver

pytestmark = [pytest.mark.engines, pytest.mark.slow]

_VALUES: Final[tuple[Any, ...]] = (
    None, "", 0, -1, 1, 4, 6, 7, 128, 65536, 2**31, 2**40, True, False, 1.5, [], {}, ["x"], ["x", "x"], [None],
    {"a": "b"}, "x", "0", "007", "1:2", "5:3", "TCP", "tcp", "all()", "global()", "192.0.2.0/24", "192.0.2.1",
    "192.0.2.1/24", "2001:db8::/32", "2001:db8::1", "1.1", "-1", "5s", "-5s", "1h1m", "1.5s", "+1s", ".5s", "Enabled",
    "enabled", "a" * 300, "\u00e9", "a b", "*", "default", "0.0.0.0/0", "256.1.1.1", "198.51.100.0/33", "::/129",
    "01.2.3.4", "1:1:1:1:1:1:1:1", "4294967295", "4294967296",
)  # fmt: skip


def _places(value: Any, at: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for step, below in inner:
        yield (*at, step)
        yield from _places(below, (*at, step))


def _mutated(random: Random) -> dict[str, Any]:
    case = random.choice([case for case in CASES if case.models_accept and case.obj["spec"]])
    obj = copy.deepcopy(case.obj)
    if KINDS[case.kind].namespaced:
        obj["metadata"]["namespace"] = "default"
    *way, last = random.choice(list(_places(obj["spec"])))
    inside: Any = obj["spec"]
    for step in way:
        inside = inside[step]
    inside[last] = random.choice(_VALUES)
    return obj


@pytest.mark.parametrize("seed", range(3))
def test_one_value_replaced(kube_apiserver: KubeApiserver, seed: int) -> None:
    """Whatever stands in a field, both take the object or both refuse it, but for what only models can know."""
    for each in definitions():
        kube_apiserver.install(each)
    random, counts, wrong = Random(seed), Counter[str](), []
    port = int(kube_apiserver.url.rpartition(":")[2])
    connection = http.client.HTTPSConnection("127.0.0.1", port, context=kube_apiserver.context, timeout=60)
    headers = {"Authorization": f"Bearer {kube_apiserver.admin_token}", "Content-Type": "application/json"}
    for _ in range(1000):
        obj = _mutated(random)
        path = f"{path_of(obj['kind'], 'default')}?dryRun=All&fieldValidation=Strict"
        connection.request("POST", path, json.dumps(obj), headers)
        answer = connection.getresponse()
        told = json.loads(answer.read())
        verdict = compared(obj, accepted=answer.status == 201)
        counts[verdict or "different"] += 1
        if verdict is None:
            wrong.append((obj, told.get("message")))
    connection.close()

    assert wrong == []
    assert min(counts["both accept"], counts["both refuse"]) > 50
