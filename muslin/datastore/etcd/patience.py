"""How long to wait for a member of an etcd. Pure."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Patience"]


@dataclass(frozen=True, slots=True)
class Patience:
    """Seconds.

    Attributes:
        connect_s: for a connection, and
        answer_s: for an answer, then the next member is asked.
        total_s: until a call fails; a member that is being asked then is waited for.
    """

    connect_s: float
    answer_s: float
    total_s: float

    @classmethod
    def for_members(cls, number: int) -> Patience:
        """Calico dials for 10 s; where there are other members, the next one is asked earlier."""
        return cls(10.0, 10.0, 12.0) if number == 1 else cls(2.0, 4.0, 12.0)
