"""The profile that allows everything: in every store's lists, kept by none, changed by nobody.

Source: calico.md sections 1a and 1b: every list of profiles ends with it.
"""

from __future__ import annotations

from typing import Final

from muslin.conversion.profile import DEFAULT_ALLOW, default_allow
from muslin.datastore import paging
from muslin.datastore.protocol import Entry, Forbidden, Listing, Revision
from muslin.resources.keys import Key

__all__ = ["DEFAULT_PROFILE", "default_profile", "refuse_default_profile", "with_default_profile"]

DEFAULT_PROFILE: Final = Key("Profile", DEFAULT_ALLOW)
"""Its key; asked before anything is written under it."""


def default_profile() -> Entry:
    """The profile, at revision 1 for ever."""
    return Entry(DEFAULT_PROFILE, default_allow(), Revision("1"))


def refuse_default_profile(key: Key) -> None:
    """Raises Forbidden where somebody would change it."""
    if key == DEFAULT_PROFILE:
        raise Forbidden(f"{key} is built in and cannot be changed", str(key), "make a profile of your own")


def with_default_profile(listing: Listing, *, limit: int | None, after: str | None) -> Listing:
    """A page of all profiles, with this one where its name belongs.

    Args:
        listing: as it is kept; whatever stands there under this name is left out.
        limit: most entries of a page.
        after: the page's own beginning, as the caller gave it.
    """
    begun = None if after is None else paging.read(after)
    name, more = DEFAULT_PROFILE.name, listing.more
    entries = [entry for entry in listing.entries if entry.key != DEFAULT_PROFILE]
    earlier = begun is not None and begun.name >= name
    later = more is not None and (not listing.entries or listing.entries[-1].key.name < name)
    if not earlier and not later:
        entries = sorted([*entries, default_profile()], key=lambda entry: entry.key.name)
        if limit is not None and len(entries) > limit:
            entries = entries[:limit]
            more = paging.write(paging.Token(int(listing.revision), "", entries[-1].key.name))
    return Listing(tuple(entries), listing.revision, more)
