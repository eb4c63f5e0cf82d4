"""docs/own-blueprint.md runs as it stands."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from muslin.errors import BadInput
from tests.blueprints.clusters import facts

_BLOCKS = re.findall(
    r"^```python\n(.*?)^```$",
    (Path(__file__).parents[2] / "docs" / "own-blueprint.md").read_text("utf-8"),
    re.MULTILINE | re.DOTALL,
)


def _run() -> dict[str, Any]:
    scope: dict[str, Any] = {}
    for block in _BLOCKS:
        exec(compile(block, "own-blueprint.md", "exec"), scope)
    return scope


def test_the_page_runs(capsys: pytest.CaptureFixture[str]) -> None:
    """Its blueprint decides about its facts, and what is added stands beside what is shared."""
    scope = _run()
    printed = capsys.readouterr().out

    assert "network/ip-pools.yaml" in printed
    decided = scope["office"](scope["facts"])
    assert (decided.decision("alerts").chosen, decided.decision("encapsulation").chosen) == (
        "by mail",
        "no encapsulation",
    )
    assert len(_BLOCKS[0].partition("def office")[2].splitlines()) <= 20


def test_its_refusals_come_with_the_architectures() -> None:
    """All at once."""
    with pytest.raises(BadInput) as refused:
        _run()["office"](facts(plannedNodes=60))

    assert [each.what.split(":")[0] for each in refused.value.problems] == [
        "the office has no AS number",
        "60 nodes are no office",
        "60 nodes are too many for a full mesh",
    ]
