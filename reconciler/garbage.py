"""How seldom a reconciler's process looks for garbage that refers to itself.

It keeps every declared object three times (declared, there, in the ledger), and none of them refers to itself. With
Python's defaults a third of a first reconcile of 10,000 is the collector walking over what stays, and now and then a
single change waits a quarter of a second for it.
"""

from __future__ import annotations

import gc
from collections.abc import Callable
from typing import Final, ParamSpec

__all__ = ["after_the_first", "seldom"]

_P = ParamSpec("_P")
_NEW_OBJECTS: Final = 20_000


def seldom() -> None:
    """From now on look after so many new objects, and never at what is there already."""
    gc.freeze()
    gc.set_threshold(_NEW_OBJECTS, *gc.get_threshold()[1:])


def after_the_first(looked: Callable[_P, None]) -> Callable[_P, None]:
    """As `looked`; what is there after its first call, which is nearly all there will be, is not looked at any more."""
    calls = iter((gc.freeze,))

    def noted(*arguments: _P.args, **named: _P.kwargs) -> None:
        looked(*arguments, **named)
        for freeze in calls:
            freeze()

    return noted
