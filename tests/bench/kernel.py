"""What a change costs in the kernel's packet filter and routes, beside `nft -f -` and `ip -batch`."""

from __future__ import annotations

from tests.bench.figures import Line, Rounds, spread
from tests.bench.labs import bare

__all__ = ["measure"]

_ROUNDS = 40


def measure() -> list[Line]:
    """Seconds from the desired value to the kernel's acknowledgement; the other side's with its process."""
    with bare() as run:
        found = run("kernel_within", str(_ROUNDS))
    return [
        Rounds(**found["member"]).line("one set member changed, 100 sets", "`nft -f -`"),
        Rounds(**found["chain"]).line("one policy's chain changed, 100 chains of 10 rules", "`nft -f -`"),
        Line("  compiling the whole ruleset before", spread(found["compile"]), rounds=len(found["compile"])),
        Line("ruleset read back and found right after a restart", spread(found["resync"]), rounds=len(found["resync"])),
        Rounds(**found["routes"]).line("1,000 routes written", "`ip -batch`"),
        Line("1,000 routes looked at, nothing to do", spread(found["again"]), rounds=len(found["again"])),
    ]
