"""Facts that the architecture says no to, and facts that are wrong: one folder each under tests/errors."""

from __future__ import annotations

from pathlib import Path

import pytest

from blueprints.catalogue import BLUEPRINTS
from blueprints.facts import load
from muslin.errors import BadInput
from muslin.yaml import load as read_yaml

_ERRORS = Path(__file__).parent.parent / "errors"
_CASES = sorted(path.name for path in _ERRORS.iterdir() if path.name.startswith(("blueprint-", "facts-")))


@pytest.mark.parametrize("case", _CASES)
def test_refusal_names_place_fix_and_rule(case: str, request: pytest.FixtureRequest) -> None:
    """Every problem of the facts is told at once, with line and column, in the words of expected.txt."""
    document = read_yaml((_ERRORS / case / "input.yaml").read_bytes(), "input.yaml")[0]

    blueprint = BLUEPRINTS[document.value.get("blueprint", "single_subnet")]
    with pytest.raises(BadInput) as caught:
        blueprint(load(document.value, document.places, "input.yaml"), document.places, "input.yaml")

    actual = "".join(f"{problem}\n" for problem in caught.value.problems)
    expected = _ERRORS / case / "expected.txt"
    if request.config.getoption("--update-expected", default=False):
        expected.write_text(actual)
    assert expected.read_text() == actual
