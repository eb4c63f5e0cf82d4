"""What a step found out, as a value: one line of the table at the end."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Check"]


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was checked.

    Attributes:
        what: the claim, in plain words.
        held: whether it was so.
        measured: the figure that was measured, with its unit.
        wanted: what it had to be.
    """

    what: str
    held: bool
    measured: str
    wanted: str
