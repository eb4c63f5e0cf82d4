"""What to do about what somebody else changed: put it back, say it, or leave it; and who fights with us. Pure."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

from muslin.datastore.protocol import Json
from muslin.resources.keys import Key
from reconciler.compare import FieldChange

__all__ = ["DRIFT_IS_REPAIRED", "DriftRule", "DriftRules", "Drifted", "Fights", "Mode", "left_to_owner", "with_kept"]


class Mode(StrEnum):
    """What becomes of drift. IGNORE leaves fields to whoever writes them; a commit that changes them still does.

    LEFT_TO_OWNER is no rule's: the store says that the field is another's, and it was agreed to leave it.
    """

    REPAIR = "repair"
    REPORT = "report"
    IGNORE = "ignore"
    LEFT_TO_OWNER = "leftToOwner"


@dataclass(frozen=True, slots=True)
class DriftRule:
    """A mode for objects of a kind, or for some of their fields.

    Attributes:
        mode: what to do.
        kind: `*` for all.
        path: the field and all below it, as `spec.order`; empty for the whole object. No index of a list in it.
        name: of the object, `*` for all.
    """

    mode: Mode
    kind: str = "*"
    path: str = ""
    name: str = "*"

    def about(self, key: Key) -> bool:
        """Whether the rule speaks of this object."""
        return self.kind in ("*", key.kind) and self.name in ("*", key.name)

    def covers(self, path: str) -> bool:
        """Whether the rule speaks of this field."""
        return not self.path or path == self.path or path.startswith((f"{self.path}.", f"{self.path}["))


@dataclass(frozen=True, slots=True)
class Drifted:
    """What somebody changed and is not put back; no fields where the object is gone."""

    key: Key
    mode: Mode
    fields: tuple[FieldChange, ...]


@dataclass(frozen=True, slots=True)
class DriftRules:
    """Rules in order: the last one that speaks of a thing decides; what none speaks of is repaired."""

    rules: tuple[DriftRule, ...] = ()

    def mode(self, key: Key, fields: Iterable[FieldChange]) -> Mode:
        """What becomes of an object's drift: repaired if one of its fields is to be. No `fields`: it is gone."""
        modes = {self._mode(key, each.path) for each in fields} or {self._mode(key, "")}
        for mode in (Mode.REPAIR, Mode.REPORT):
            if mode in modes:
                return mode
        return Mode.IGNORE

    def kept(self, key: Key, fields: Iterable[FieldChange], base: Json, wanted: Json) -> tuple[FieldChange, ...]:
        """Of what differs, what stays as it is, because it is to be ignored and the commit did not change it."""
        if not any(rule.mode is Mode.IGNORE for rule in self.rules):
            return ()
        return tuple(
            each
            for each in fields
            if self._mode(key, each.path) is Mode.IGNORE
            and _at(base, self._prefix(key, each.path)) == _at(wanted, self._prefix(key, each.path))
        )

    def _mode(self, key: Key, path: str) -> Mode:
        found = Mode.REPAIR
        for rule in self.rules:
            if rule.about(key) and (rule.covers(path) if path else not rule.path):
                found = rule.mode
        return found

    def _prefix(self, key: Key, path: str) -> str:
        paths = [rule.path for rule in self.rules if rule.about(key) and rule.mode is Mode.IGNORE and rule.covers(path)]
        return max(paths, key=len) or path


DRIFT_IS_REPAIRED: Final = DriftRules()


def left_to_owner(
    fields: Iterable[FieldChange], left: Iterable[str], base: Json, wanted: Json
) -> tuple[FieldChange, ...]:
    """Of what differs, what was left to its owner, as long as the commit wants the same of it."""
    rules = [DriftRule(Mode.LEFT_TO_OWNER, path=path) for path in left]
    return tuple(
        each
        for each in fields
        if any(rule.covers(each.path) and _at(base, rule.path) == _at(wanted, rule.path) for rule in rules)
    )


def with_kept(value: Mapping[str, Any], live: Json, kept: Iterable[FieldChange]) -> dict[str, Any]:
    """The object to write, with these fields as they are now."""
    result = dict(value)
    for each in kept:
        names = _names(each.path)
        _put(result, names, _at(live, ".".join(names)))
    return result


def _put(target: dict[str, Any], names: list[str], content: Any) -> None:
    *way, last = names
    for name in way:
        below = target.get(name)
        target[name] = dict(below) if isinstance(below, Mapping) else {}
        target = target[name]
    if content is None:
        target.pop(last, None)
    else:
        target[last] = content


def _names(path: str) -> list[str]:
    """The names up to the first list: a list is kept whole."""
    return path.partition("[")[0].split(".")


def _at(value: Any, path: str) -> Any:
    for name in _names(path):
        value = value.get(name) if isinstance(value, Mapping) else None
    return value


@dataclass(slots=True)
class Fights:
    """Finds objects that another writer puts back as often as we do.

    Attributes:
        most: repairs of one field within the window that are still no fight.
        window_s: how long a repair counts.
    """

    most: int = 3
    window_s: float = 600.0
    _repairs: dict[tuple[Key, str], deque[float]] = field(default_factory=dict)
    _stopped: dict[Key, float] = field(default_factory=dict)

    def repaired(self, key: Key, fields: Iterable[FieldChange], now: float) -> bool:
        """We put these fields back now; whether that was once too often. `now` in seconds, never going back."""
        for path in [each.path for each in fields] or [""]:
            times = self._repairs.setdefault((key, path), deque(maxlen=self.most))
            while times and now - times[0] > self.window_s:
                times.popleft()
            times.append(now)
            if len(times) >= self.most:
                self._stopped[key] = now
        return key in self._stopped

    def stopped(self, now: float) -> frozenset[Key]:
        """Objects that are left alone now; after a window of peace we try again."""
        self._stopped = {key: at for key, at in self._stopped.items() if now - at <= self.window_s}
        for where in [where for where, times in self._repairs.items() if now - times[-1] > self.window_s]:
            del self._repairs[where]
        return frozenset(self._stopped)

    def forget(self) -> bool:
        """Another commit: somebody may have settled it. Gives whether anything was left alone."""
        left_alone = bool(self._stopped)
        self._repairs.clear()
        self._stopped.clear()
        return left_alone
