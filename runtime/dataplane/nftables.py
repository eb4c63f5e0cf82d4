"""Driver of our nftables table: read what is there, plan the smallest change, apply it in one transaction.

Nastiness it guards against: another writer between reading and writing (the generation id makes the kernel refuse,
and we look again); a restart (what is there is read and compared octet for octet, nothing is flushed); a socket
buffer that can't hold a whole transaction (first close every workload, then load, then open); foreign rules put
into our table (they differ from ours and go); other tables (never looked at).
"""

from __future__ import annotations

import errno
from dataclasses import dataclass

from muslin.errors import KernelRefused, Problem, Unavailable
from runtime.dataplane.encode import Encoder, WireTable
from runtime.dataplane.ir import Ruleset
from runtime.dataplane.netlink import nftables as nft
from runtime.dataplane.netlink.nftables import WireChain, WireSet
from runtime.dataplane.netlink.socket import NETFILTER, Events, NetlinkSocket
from runtime.dataplane.netlink.wire import Message
from runtime.dataplane.ownership import TABLE
from runtime.dataplane.transaction import Step, closing_steps, plan_table, split

__all__ = ["ActualTable", "Nftables", "StaleGeneration", "TablePlan"]

_ERESTART = 85
_OWNED = nft.OWNER | nft.PERSIST
_OWNING = nft.add_table(TABLE, _OWNED)
_TRIES = 10


class StaleGeneration(Unavailable):
    """Another program committed a transaction since we read: read and plan again."""


@dataclass(frozen=True, slots=True)
class ActualTable:
    """Our table as the kernel has it at a generation; `table` is None if there is none."""

    generation: int
    table: WireTable | None


@dataclass(frozen=True, slots=True)
class TablePlan:
    """Steps from one generation to the desired table; no steps: nothing to do."""

    actual: ActualTable
    desired: WireTable
    steps: tuple[Step, ...]

    def __bool__(self) -> bool:
        return bool(self.steps)

    def __str__(self) -> str:
        return "\n".join(step.what for step in self.steps) or "nothing to do"


class Nftables:
    """The driver; for one thread, in the network namespace in which it was made.

    Args:
        exclusive: claim the table, so that no other program can change it and `nft flush ruleset` leaves it (Linux
            6.9; older ones can't have a table that is owned and outlives us, so there it stays unclaimed).
            Other programs can still list it.
    """

    def __init__(self, *, exclusive: bool = True) -> None:
        self._socket = NetlinkSocket(NETFILTER)
        self._listener = NetlinkSocket(NETFILTER, (nft.GROUP,))
        self._exclusive = exclusive
        self._claimed = False
        self._known: ActualTable | None = None
        self._encoder = Encoder()

    def close(self) -> None:
        """Close the sockets; the table stays."""
        self._socket.close()
        self._listener.close()

    def fileno(self) -> int:
        """Becomes readable when any program has committed a transaction, we too; then call `drain`."""
        return self._listener.fileno()

    def drain(self) -> bool:
        """Take all events; whether the ruleset is no longer the one we left (some other program wrote)."""
        events: Events = self._listener.events()
        newest = [nft.parse_generation(body) for kind, _port, body in events.received if kind == nft.NEW_GENERATION]
        if self._known is None:
            return bool(newest) or events.lost
        if self._claimed:
            return False  # others may write, but not to our table
        return events.lost or any(generation != self._known.generation for generation in newest[-1:])

    def read(self) -> ActualTable:
        """What is there; without a dump if nobody can have written to it since our last commit or read."""
        for _ in range(_TRIES):
            before = self._generation()
            if self._known is not None and (self._claimed or self._known.generation == before):
                if self._known.generation != before:
                    self._known = ActualTable(before, self._known.table)
                return self._known
            table = self._read_table()
            if self._generation() == before:
                self._known = ActualTable(before, table)
                return self._known
        raise StaleGeneration(_contention())

    def plan(self, desired: Ruleset, actual: ActualTable) -> TablePlan:
        """The smallest change that makes the table what is desired."""
        wanted = self._encoder.encode(desired)
        flags = _OWNED if self._exclusive else 0
        return TablePlan(actual, wanted, plan_table(wanted, actual.table, flags))

    def apply(self, plan: TablePlan) -> None:
        """Carry a plan out, in one transaction if it fits.

        Raises:
            StaleGeneration: another program wrote since `read`; nothing (of this step) was done.
            KernelRefused: nothing of this transaction was done; what is there stays in force.
        """
        if not plan:
            return
        generation = self._claim(plan.actual)
        limit = self._socket.send_limit
        whole = [message for step in plan.steps for message in step.messages]
        if sum((len(message.body) + 19) & ~3 for message in whole) <= limit - 128:
            parts = [whole]
        else:
            parts = self._closed_parts(plan, limit)
        self._known = None
        for part in parts:
            self._commit(part, generation, plan)
            generation = _next(generation)
        self._known = ActualTable(generation, plan.desired)

    def converge(self, desired: Ruleset) -> TablePlan:
        """Read, plan, apply; again while others write in between. Returns the plan that was carried out."""
        for _ in range(_TRIES):
            plan = self.plan(desired, self.read())
            try:
                self.apply(plan)
                self.claim()
            except StaleGeneration:
                continue
            return plan
        raise StaleGeneration(_contention())

    def claim(self) -> bool:
        """Make an existing table ours alone again after a restart; whether it is. Changes no rule, set or chain."""
        actual = self.read()
        if actual.table is not None:
            self._known = ActualTable(self._claim(actual), actual.table)
        return self._claimed

    def _claim(self, actual: ActualTable) -> int:
        """Claim what is there, if it was made to be claimed; the generation after that."""
        if actual.table is None or self._claimed or not self._exclusive:
            return actual.generation
        begin, end = nft.batch_begin(actual.generation), nft.batch_end()
        refused = self._socket.transaction(begin, (nft.add_table(TABLE, _OWNED),), end)
        if any(item.errno == _ERESTART for item in refused):
            raise StaleGeneration(_contention())
        self._claimed = not refused
        return actual.generation if refused else _next(actual.generation)

    def _closed_parts(self, plan: TablePlan, limit: int) -> list[list[Message]]:
        closing = closing_steps(plan.actual.table)
        closed = plan.actual.table
        if closed is not None:
            emptied = {step.what.removeprefix("empty ") for step in closing}
            sets = {name: WireSet(found.shape) if name in emptied else found for name, found in closed.sets.items()}
            closed = WireTable(sets, closed.chains)
        steps = (*closing, *plan_table(plan.desired, closed, _OWNED if self._exclusive else 0))
        try:
            return split(steps, limit)
        except ValueError as error:
            raise KernelRefused(str(error), f"table inet {TABLE}", errno.EMSGSIZE) from error

    def _commit(self, part: list[Message], generation: int, plan: TablePlan) -> None:
        begin, end = nft.batch_begin(generation), nft.batch_end()
        try:
            refused = self._socket.transaction(begin, part, end)
        except OSError as error:
            raise KernelRefused("nftables transaction", f"table inet {TABLE}", error.errno or errno.EIO) from error
        owning = part.index(_OWNING) if _OWNING in part else None
        if not refused:
            self._claimed |= owning is not None
            return
        if owning is not None and any(item == (owning, errno.EOPNOTSUPP, item.extack) for item in refused):
            self._exclusive = False  # Linux before 6.9
            self._commit([*part[:owning], nft.add_table(TABLE), *part[owning + 1 :]], generation, plan)
            return
        if any(item.errno == _ERESTART for item in refused):
            raise StaleGeneration(_contention())
        first = refused[0]
        message = part[first.place] if 0 <= first.place < len(part) else None
        step = next((step.what for step in plan.steps if message in step.messages), "nftables transaction")
        raise KernelRefused(step, f"table inet {TABLE}", first.errno, first.extack)

    def _generation(self) -> int:
        return nft.parse_generation(self._socket.get(nft.get_generation()))

    def _read_table(self) -> WireTable | None:
        try:
            self._socket.get(nft.get_table(TABLE))
        except FileNotFoundError:
            return None
        hooks = dict(
            found
            for body in self._socket.dump(nft.dump_chains())
            if (found := nft.parse_chain(body, TABLE)) is not None
        )
        rules: dict[str, list[bytes]] = {name: [] for name in hooks}
        for body in self._socket.dump(nft.dump_rules(TABLE)):
            if (rule := nft.parse_rule(body, TABLE)) is not None:
                rules.setdefault(rule[0], []).append(rule[1])
        listed = [nft.parse_set(body, TABLE) for body in self._socket.dump(nft.dump_sets(TABLE))]
        sets = {}
        for name, shape in filter(None, listed):
            try:
                bodies = self._socket.dump(nft.dump_elements(TABLE, name))
            except FileNotFoundError:
                continue  # gone meanwhile; the generation differs too, so this reading is thrown away
            sets[name] = WireSet(shape, nft.parse_elements(bodies, shape))
        chains = {name: WireChain(tuple(rules[name]), hook) for name, hook in hooks.items()}
        return WireTable(sets, chains)


def _next(generation: int) -> int:
    """Generation ids grow by one and skip 0 when they wrap."""
    return (generation + 1) & 0xFFFFFFFF or 1


def _contention() -> Problem:
    return Problem(
        what="another program changes nftables faster than we can read it",
        where=f"table inet {TABLE}",
        fix="`nft monitor` shows who writes",
    )
