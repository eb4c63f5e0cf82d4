"""Options of the reconciler that say how carefully it writes."""

from __future__ import annotations

import argparse

import pytest

from reconciler.drift import DriftRule, Mode
from reconciler.ownership import Rule, Take
from reconciler.plan import CONFIRMED_KINDS
from reconciler.process import main
from reconciler.tuning import add_options, settings


def _parsed(*options: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser(exit_on_error=False)
    add_options(parser)
    beside = {"set_name": "a", "interval": 60.0, "max_deletes": 0.5, "allow_empty": False}
    return argparse.Namespace(**beside, **vars(parser.parse_args(options)))


def test_what_options_come_to() -> None:
    """Each option says one thing; without any, gates are on, nothing needs approval, pools need a word."""
    plain = settings(_parsed())
    assert plain.gates is not None
    assert (plain.gates.stable_s, plain.probes) == (5.0, 0)
    careful = settings(_parsed("--stable", "1", "--grace", "3", "--probes", "32"))
    assert careful.gates is not None
    assert (careful.gates.stable_s, careful.gates.patience_s, careful.probes) == (1.0, 3.0, 32)
    assert (plain.gates.grace_s, plain.approval, plain.budget.confirm) == (120.0, False, CONFIRMED_KINDS)
    told = settings(
        _parsed(
            "--no-gates", "--approval", "--staged-first", "--max-endpoints", "7",
            "--drift", "Tier.spec.order=ignore", "--drift", "*=report",
            "--fields", "tigera-operator:FelixConfiguration.spec.nftablesMode=error", "--fields", "*=defer",
        )
    )  # fmt: skip
    assert (told.gates, told.approval, told.staged_first, told.budget.endpoints) == (None, True, True, 7)
    assert told.drift.rules == (DriftRule(Mode.IGNORE, "Tier", "spec.order"), DriftRule(Mode.REPORT))
    assert told.ownership == (
        Rule(Take.ERROR, "tigera-operator", "FelixConfiguration", "spec.nftablesMode"), Rule(Take.DEFER)
    )  # fmt: skip


@pytest.mark.parametrize(
    "options",
    [
        ["--drift", "Tier"], ["--drift", "=report"], ["--drift", "Tier=leftToOwner"], ["--fields", "*=force"],
        ["--fields", "=defer"], ["--drift", "Ippool.spec=ignore"], ["--drift", "Node=7"], ["--fields", "*:Teir=defer"],
        ["--max-endpoints", "-1"], ["--grace", "soon"], ["--probes", "33"],
    ],
)  # fmt: skip
def test_wrong_options_are_told(options: list[str]) -> None:
    """What is no rule or number is refused with what would be one."""
    with pytest.raises(argparse.ArgumentError):
        _parsed(*options)


def test_one_look_asks_no_probes(capsys: pytest.CaptureFixture[str]) -> None:
    """Answers must be waited for; to be asked for both at once is told and not done by halves."""
    assert main(["--mirror", "nowhere.git", "--datastore", "nowhere.db", "--once", "--probes", "1"]) == 2
    assert "--once, --probes" in capsys.readouterr().err
