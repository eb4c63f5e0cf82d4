"""Prints what was recorded: one row for each fault and driver, with the reason where one does not apply."""

from __future__ import annotations

from typing import Any

from tests.muslin.datastore.suite.faults import FAULTS


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """The table of histories, if any ran."""
    rows: dict[tuple[str, str], str] = {}
    for outcome in ("passed", "failed"):
        for report in terminalreporter.stats.get(outcome, ()):
            for name, recorded in getattr(report, "user_properties", ()):
                if name == "history" and report.when == "call":
                    driver, what, counts = recorded
                    rows[driver, what] = ", ".join(f"{count} {of}" for of, count in counts.items() if count)
    if not rows:
        return
    drivers = sorted({driver for driver, _ in rows})
    terminalreporter.section("recorded histories")
    for driver in drivers:
        for name, fault in FAULTS.items():
            said = f"not for it: {fault.not_for[driver]}" if driver in fault.not_for else rows.get((driver, name))
            terminalreporter.write_line(f"{driver:13} {name:15} {said or 'not run'}")
