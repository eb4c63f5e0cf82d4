"""What separates two mappings: the one comparison that every reconciling part uses.

Pure and generic: cluster resources, routes and sets are compared by the same function.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Generic, TypeVar

__all__ = ["Delta", "diff"]

K = TypeVar("K")
V = TypeVar("V")


@dataclass(frozen=True, slots=True)
class Delta(Generic[K, V]):
    """What must happen to `actual` so that it equals `desired`.

    Every key is in at most one of the three. `create` and `update` hold desired values, `delete` actual ones. The
    order of keys is that of the mappings they come from, so equal inputs give an equal walk.
    """

    create: Mapping[K, V] = field(default_factory=dict)
    update: Mapping[K, V] = field(default_factory=dict)
    delete: Mapping[K, V] = field(default_factory=dict)

    def __bool__(self) -> bool:
        """Whether there is anything to do."""
        return bool(self.create or self.update or self.delete)


def diff(desired: Mapping[K, V], actual: Mapping[K, V], *, same: Callable[[V, V], bool] = operator.eq) -> Delta[K, V]:
    """The delta from `actual` to `desired`.

    Args:
        desired: what must be there, and nothing beside it.
        actual: what is there.
        same: whether a desired and an actual value (in this order) mean the same.
    """
    return Delta(
        create={key: value for key, value in desired.items() if key not in actual},
        update={key: value for key, value in desired.items() if key in actual and not same(value, actual[key])},
        delete={key: value for key, value in actual.items() if key not in desired},
    )
