"""Stories by a seed: store, objects and faults one after the other, how many writers. For the soak and for tests."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

from tests.muslin.datastore.suite.faults import FAULTS
from tests.muslin.datastore.suite.places import PLACES
from tests.muslin.datastore.suite.stories import Story, tell
from tests.support.histories import HANDLE, KIND, Faulty
from tests.support.linearizability import TooHard

__all__ = ["fault_by_chance"]


def fault_by_chance(seed: int, drivers: Sequence[str]) -> tuple[str, str | None]:
    """Tell the story of a seed on one of these drivers. Gives what it was about, and what was wrong if anything."""
    random = Random(seed)
    driver = random.choice(drivers)
    possible = [name for name, fault in FAULTS.items() if driver not in fault.not_for and not fault.jumps]
    names = random.choices(possible, k=random.randint(1, 4))
    kind = random.choice([KIND, KIND, HANDLE])

    async def happens(story: Story) -> None:
        for name in names:
            await FAULTS[name].happens(story)
            await story.more(5)

    about = f"{driver}, {kind}: {', '.join(names)}"
    assert driver in PLACES, f"there is no datastore {driver}: choose of {', '.join(PLACES)}"
    try:
        tell(driver, happens, seed, kind=kind, writers=random.randint(2, 4))
    except (Faulty, TooHard) as fault:
        return about, str(fault)
    return about, None
