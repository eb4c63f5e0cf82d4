"""Reading YAML, parsing and matching selectors, computing a node: beside PyYAML with pydantic, ruamel, and `re`."""

from __future__ import annotations

import io
import time
from collections.abc import Callable
from typing import Any

import pydantic
import ruamel.yaml
import yaml as pyyaml

from muslin import resources
from muslin import yaml as ours
from muslin.resources.cluster_information import ClusterInformation
from muslin.selectors import parse
from muslin.semantics.snapshot import Snapshot
from runtime.calc.compute import compute
from runtime.dataplane.ruleset import compile_ruleset
from tests.bench.figures import Line, Rounds, in_turns, milliseconds, percentile
from tests.support.clusters import affinity, block, namespace_profile, policy, pool, workload

__all__ = ["measure"]

_DOCUMENTS, _ROUNDS = 200, 5
_SELECTORS = 300
_LOCAL, _REMOTE, _POLICIES = 100, 1000, 50
_DOCUMENT = """\
apiVersion: projectcalico.org/v3
kind: NetworkPolicy
metadata:
  name: policy-%d
  namespace: shop
  labels: {team: "%d"}
spec:
  order: %d
  selector: app == 'server-%d' && env in {'prod', 'stage'}
  types: [Ingress]
  ingress:
    - action: Allow
      protocol: TCP
      source: {selector: app == 'client'}
      destination: {ports: [80, 443, "8000:8080"]}
    - action: Deny
      source: {nets: [192.0.2.0/24, 198.51.100.0/24]}
"""


class _Metadata(pydantic.BaseModel):
    name: str
    namespace: str
    labels: dict[str, str] = {}


class _Object(pydantic.BaseModel):
    """The other side's model checks the outer shape only, which flatters it."""

    api_version: str = pydantic.Field(alias="apiVersion")
    kind: str
    metadata: _Metadata
    spec: dict[str, Any]


def _timed(run: Callable[[], object]) -> float:
    began = time.process_time()  # no I/O here: CPU time is not disturbed by others
    run()
    return time.process_time() - began


def measure() -> list[Line]:
    """CPU seconds of one process."""
    return [*_yaml(), *_selectors(), *_computing()]


def _yaml() -> list[Line]:
    text = "---\n".join(_DOCUMENT % (n, n % 7, n, n % 20) for n in range(_DOCUMENTS))

    def read() -> None:
        for document in ours.load(text, "bench.yaml"):
            resources.load(document.value, document.places, "bench.yaml")

    def libyaml() -> None:
        for value in pyyaml.load_all(text, pyyaml.CSafeLoader):
            _Object.model_validate(value)

    def ruamel_yaml() -> None:
        for value in ruamel.yaml.YAML(typ="rt").load_all(io.StringIO(text)):
            _Object.model_validate(value)

    lines = []
    for name, other in (
        ("PyYAML's CSafeLoader, pydantic's outer shape", libyaml),
        ("ruamel.yaml, the same", ruamel_yaml),
    ):
        rounds = in_turns(lambda: _timed(read), lambda other=other: _timed(other), _ROUNDS)  # type: ignore[misc]
        speeds = [_DOCUMENTS / percentile(side, 0.5) for side in (rounds.ours, rounds.other)]
        lines.append(
            Line("YAML with places, every field checked", f"{speeds[0]:.0f} documents/s",
                 f"{name}: {speeds[1]:.0f} documents/s", rounds.ratio, rounds=_ROUNDS)
        )  # fmt: skip
    return lines


def _selectors() -> list[Line]:
    texts = [f"app == 'a{n}' && env in {{'prod', 'stage'}} && !has(legacy{n % 9}) || all()" for n in range(_SELECTORS)]
    labels = [{"app": f"a{n}", "env": "prod", "team": str(n % 5)} for n in range(100)]
    wanted = [("app", f"a{n}", "env", ("prod", "stage")) for n in range(_SELECTORS)]

    def matched() -> None:
        for selector in selectors:
            for each in labels:
                selector.matches(each)

    def by_hand() -> None:
        for app, value, env, values in wanted:
            for each in labels:
                (each.get(app) == value and each.get(env) in values and f"legacy{value}" not in each) or True

    parsing = []
    for _ in range(_ROUNDS):
        parse.cache_clear()
        parsing.append(_timed(lambda: [parse(text) for text in texts]) / _SELECTORS)
    selectors = [parse(text) for text in texts]
    rounds = in_turns(lambda: _timed(matched), lambda: _timed(by_hand), _ROUNDS)
    each = [percentile(side, 0.5) / _SELECTORS / len(labels) * 1e6 for side in (rounds.ours, rounds.other)]
    return [
        Line("selector parsed", milliseconds(percentile(parsing, 0.5)), rounds=_ROUNDS),
        Line("selector matched", f"{each[0]:.2f} us", f"Python written by hand: {each[1]:.2f} us", rounds.ratio,
             rounds=_ROUNDS),
    ]  # fmt: skip


def _computing() -> list[Line]:
    def snapshot(changed: int) -> Snapshot:
        pods = [
            workload(
                f"p{n}", f"10.{48 + n // 60000}.{n // 250}.{n % 250}", on="here" if n < _LOCAL else f"node-{n // 100}",
                labels={"app": f"a{n % _POLICIES}"}, interfaceName=f"cali{n}",
            )
            for n in range(_LOCAL + _REMOTE)
        ]  # fmt: skip
        policies = [
            policy(f"p{n}", selector=f"app == 'a{n}'", types=["Ingress"], ingress=[
                {"action": "Allow", "protocol": "TCP", "source": {"selector": f"app == 'a{(n + changed) % _POLICIES}'"},
                 "destination": {"ports": [80 + n]}}
            ])
            for n in range(_POLICIES)
        ]  # fmt: skip
        information = ClusterInformation.model_validate(
            {"metadata": {"name": "default"}, "spec": {"datastoreReady": True}}
        )
        around = [pool("pods", "10.48.0.0/16"), affinity("here", "10.48.0.0/26"), block("10.48.0.0/26", "here")]
        return Snapshot.of([information, namespace_profile("default"), *around, *pods, *policies])

    given = snapshot(1)
    rounds = Rounds()
    for _ in range(_ROUNDS):
        rounds.ours.append(_timed(lambda: compute(given, "here")))
        state = compute(given, "here")
        rounds.other.append(_timed(lambda: compile_ruleset(state)))  # noqa: B023  run at once
    what = f"state of a node computed: {_LOCAL} local and {_REMOTE} remote endpoints, {_POLICIES} policies"
    return [rounds.line(what, "its ruleset compiled")]
