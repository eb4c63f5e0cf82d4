"""500 lives of the reconciler by seed; and rules that are taken away, each of which a life finds missing."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from reconciler import apply, choice, controller, levels, passage
from reconciler.control import Control
from reconciler.ledger import Ledger
from tests.reconciler.lives import Ended, live

_SEEDS = 500
_AT_A_TIME = 25


def _failed() -> list[int]:
    """Seeds that found something once."""
    text = Path(__file__).with_name("seeds.txt").read_text()
    return [int(words[0]) for line in text.splitlines() if (words := line.partition("#")[0].split())]


def _explain(ended: Ended, seed: int) -> str:
    return "\n".join(
        [*ended.trace[-30:], ended.failure or "", f"repeat: python -m tests.soak --reconciler --seed {seed}"]
    )


@pytest.mark.slow
@pytest.mark.parametrize("first", range(0, _SEEDS, _AT_A_TIME))
def test_a_reconciler_lives_through_it(first: int) -> None:
    """Whatever happens, every invariant holds after every write, and in calm all is as the last commit says."""
    for seed in [*range(first, first + _AT_A_TIME), *(_failed() if first == 0 else ())]:
        ended = live(seed)
        assert ended.failure is None, _explain(ended, seed)
        assert len(ended.trace) > 5


@pytest.mark.slow
def test_the_same_seed_is_the_same_life() -> None:
    """Two runs of a seed have one trace."""
    assert live(3).trace == live(3).trace
    assert live(3).digest != live(6).digest


def _no_gates(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(passage, "gate_before", lambda _: None)


def _one_level(monkeypatch: pytest.MonkeyPatch) -> None:
    real = levels.levels

    def flat(steps: Any, **_: Any) -> Any:
        found = tuple(each for level in real(steps) for each in level.steps)
        return (_Level(found[::-1]),)

    monkeypatch.setattr(apply, "levels", flat)


@dataclasses.dataclass
class _Level:
    steps: tuple[Any, ...]


def _no_intent(monkeypatch: pytest.MonkeyPatch) -> None:
    real = Ledger.change

    async def change(self: Ledger, items: Any, **given: Any) -> None:
        if given or not any(item is not None and item.intent is not None for item in items.values()):
            await real(self, items, **given)

    monkeypatch.setattr(Ledger, "change", change)


def _empty_is_fine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(choice, "hold", lambda *_: None)


def _problems_are_fine(monkeypatch: pytest.MonkeyPatch) -> None:
    real = choice.choose

    class Careless:
        def __init__(self, source: Any) -> None:
            self._source = source

        async def read(self, commit: str) -> Any:
            return dataclasses.replace(await self._source.read(commit), problems=())

    async def chosen(source: Any, *given: Any) -> Any:
        return await real(Careless(source), *given)  # type: ignore[arg-type]

    monkeypatch.setattr(controller, "choose", chosen)


def _deaf_to_people(monkeypatch: pytest.MonkeyPatch) -> None:
    real = Control.of
    monkeypatch.setattr(Control, "of", classmethod(lambda _, entry: dataclasses.replace(real(entry), suspended=None)))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("take_away", "seeds"),
    [
        (_no_gates, range(0, 150, 3)),
        (_one_level, range(40)),
        (_no_intent, range(40)),
        (_empty_is_fine, range(40)),
        (_problems_are_fine, range(40)),
        (_deaf_to_people, range(60)),
    ],
)
def test_a_rule_that_is_taken_away_is_missed(
    monkeypatch: pytest.MonkeyPatch, take_away: Callable[[pytest.MonkeyPatch], None], seeds: range
) -> None:
    """Without gates, levels, intents, holds, checks or ears some life breaks an invariant."""
    take_away(monkeypatch)

    assert any(live(seed).failure is not None for seed in seeds)
