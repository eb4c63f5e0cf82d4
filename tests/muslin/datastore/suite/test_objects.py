"""Objects: compare-and-swap, metadata, lists and pages."""

from __future__ import annotations

from typing import Any

import pytest

from muslin.datastore.protocol import AlreadyExists, Compacted, Conflict, Forbidden, NotFound, NotSupported
from muslin.errors import BadInput
from muslin.resources.keys import Key
from tests.muslin.datastore.suite.drivers import every_driver, exact_drivers, over, pool, value


@every_driver
def test_what_is_created_is_read_by_another_client(driver: str) -> None:
    """The other client reads the same value at the same revision, with the metadata that the store fills."""

    async def story(one: Any, two: Any) -> None:
        made = await one.create(pool("a"), value(pool("a"), cidr="192.0.2.0/24"))
        read = await two.get(pool("a"))

        assert read == made
        assert read.value["spec"] == {"cidr": "192.0.2.0/24"}
        assert read.value["metadata"]["resourceVersion"] == read.revision
        assert read.value["metadata"]["uid"]
        assert read.value["metadata"]["creationTimestamp"].endswith("Z")

    over(driver, story)


@every_driver
def test_metadata_of_the_store_cannot_be_written(driver: str) -> None:
    """Whatever a caller puts into uid, creationTimestamp and resourceVersion, an update keeps identity and birth."""

    async def story(one: Any, two: Any) -> None:
        forged = value(pool("a"))
        forged["metadata"] |= {"uid": "mine", "creationTimestamp": "yesterday", "resourceVersion": "99"}
        made = await one.create(pool("a"), forged)
        changed = await two.update(pool("a"), {**forged, "spec": {"n": 2}}, made.revision)

        assert made.value["metadata"]["uid"] != "mine"
        for name in ("uid", "creationTimestamp"):
            assert changed.value["metadata"][name] == made.value["metadata"][name]
        assert changed.value["metadata"]["resourceVersion"] == changed.revision != made.revision

    over(driver, story)


@every_driver
def test_a_write_on_old_knowledge_is_refused_with_what_is_there(driver: str) -> None:
    """Create, update and delete compare; the refusal carries the current entry to start again from."""

    async def story(one: Any, two: Any) -> None:
        first = await one.create(pool("a"), value(pool("a"), n=1))
        with pytest.raises(AlreadyExists) as exists:
            await two.create(pool("a"), value(pool("a"), n=2))
        second = await two.update(pool("a"), value(pool("a"), n=2), first.revision)
        with pytest.raises(Conflict) as update:
            await one.update(pool("a"), value(pool("a"), n=3), first.revision)
        with pytest.raises(Conflict) as delete:
            await one.delete(pool("a"), first.revision)

        assert exists.value.current == first
        assert update.value.current == delete.value.current == second == await one.get(pool("a"))

    over(driver, story)


@every_driver
def test_what_is_gone_is_not_found(driver: str) -> None:
    """Get, update and delete of an object that is not there say so; delete gives what was there."""

    async def story(one: Any, two: Any) -> None:
        made = await one.create(pool("a"), value(pool("a")))
        assert await two.delete(pool("a")) == made
        with pytest.raises(NotFound):
            await one.get(pool("a"))
        with pytest.raises(NotFound):
            await one.update(pool("a"), value(pool("a")), made.revision)
        with pytest.raises(NotFound):
            await one.delete(pool("a"))
        again = await one.create(pool("a"), value(pool("a")))

        assert again.value["metadata"]["uid"] != made.value["metadata"]["uid"]

    over(driver, story)


@every_driver
def test_a_value_handed_out_is_the_callers_own(driver: str) -> None:
    """Changing a value that was read, or was written, changes nothing in the store."""

    async def story(one: Any, _: Any) -> None:
        mine = value(pool("a"), nets=["192.0.2.0/24"])
        made = await one.create(pool("a"), mine)
        mine["spec"]["nets"].append("x")
        made.value["spec"]["nets"].append("y")

        assert (await one.get(pool("a"))).value["spec"]["nets"] == ["192.0.2.0/24"]

    over(driver, story)


@every_driver
def test_lists_are_ordered_by_namespace_then_name(driver: str) -> None:
    """One kind only, in order, of one namespace if asked for; two namespaces may have the same name."""

    async def story(one: Any, _: Any) -> None:
        keys = [Key("NetworkSet", name, space) for space in ("b", "a") for name in ("y", "x")]
        for key in [*keys, pool("p")]:
            await one.create(key, value(key))
        everything = await one.list("NetworkSet")
        only = await one.list("NetworkSet", namespace="b")

        assert [entry.key for entry in everything.entries] == sorted(keys, key=lambda key: (key.namespace, key.name))
        assert [entry.key.name for entry in only.entries] == ["x", "y"]
        assert {entry.key.namespace for entry in only.entries} == {"b"}
        assert everything.more is None

    over(driver, story)


@every_driver
def test_pages_are_of_the_instant_of_the_first(driver: str) -> None:
    """Objects changed, deleted and created between two pages do not show in the later ones."""

    async def story(one: Any, two: Any) -> None:
        before = [await one.create(pool(f"p{i}"), value(pool(f"p{i}"), n=i)) for i in range(5)]
        page = await one.list("IPPool", limit=2)
        await two.update(pool("p3"), value(pool("p3"), n=33), before[3].revision)
        await two.delete(pool("p4"))
        await two.create(pool("p4"), value(pool("p4"), n=44))
        await two.create(pool("p2x"), value(pool("p2x")))
        await two.delete(pool("p2"))
        seen, revisions = list(page.entries), {page.revision}
        while page.more is not None:
            page = await one.list("IPPool", limit=2, after=page.more)
            seen += page.entries
            revisions.add(page.revision)

        assert seen == before
        assert len(revisions) == 1

    over(driver, story)


@exact_drivers
def test_a_page_too_old_is_compacted(driver: str) -> None:
    """A list cannot go on once the changes since its first page are forgotten; it says so instead of lying."""

    async def story(one: Any, two: Any) -> None:
        for i in range(3):
            await one.create(pool(f"p{i}"), value(pool(f"p{i}")))
        page = await one.list("IPPool", limit=1)
        await two.delete(pool("p2"))
        await two.compact()
        with pytest.raises(Compacted):
            await one.list("IPPool", limit=1, after=page.more)

    over(driver, story)


@every_driver
@pytest.mark.parametrize(
    "bad",
    [
        {"kind": "Node"},
        {"metadata": {"name": "other"}},
        {"metadata": {"name": "a", "namespace": "x"}},
        {"metadata": []},
        {"spec": {"x": float("nan")}},
        {"spec": {"x": object()}},
        {"spec": {"x": "y" * 2_000_000}},
    ],
    ids=["kind", "name", "namespace", "metadata", "nan", "object", "large"],
)
def test_a_value_that_cannot_be_kept_is_refused(driver: str, bad: dict[str, Any]) -> None:
    """A value that is not JSON, too large, or another object's is the caller's mistake, and changes nothing."""

    async def story(one: Any, _: Any) -> None:
        with pytest.raises(BadInput) as refused:
            await one.create(pool("a"), {**value(pool("a")), **bad})
        assert "IPPool a" in refused.value.problems[0].where
        made = await one.create(pool("a"), value(pool("a"), n=1))
        with pytest.raises(BadInput):
            await one.update(pool("a"), {**value(pool("a")), **bad}, made.revision)
        assert await one.get(pool("a")) == made

    over(driver, story)


@every_driver
@pytest.mark.parametrize("after", ["", "x", "[]", "[1, 2, 3]", "[-1, '', '']", '[true, "", ""]', "9" * 50])
def test_a_forged_continuation_is_refused(driver: str, after: str) -> None:
    """A continuation that no list gave is bad input; so is a page without room."""

    async def story(one: Any, _: Any) -> None:
        with pytest.raises(BadInput):
            await one.list("IPPool", after=after)
        with pytest.raises(BadInput):
            await one.list("IPPool", limit=0)

    over(driver, story)


@every_driver
def test_the_profile_that_allows_everything_is_in_every_store(driver: str) -> None:
    """Nobody has written it, nobody can: it is read, listed once, exists already, and can't be changed or removed."""
    key = Key("Profile", "projectcalico-default-allow")

    async def story(one: Any, two: Any) -> None:
        entry = await one.get(key)
        listed = [each for each in (await two.list("Profile")).entries if each.key == key]

        assert listed == [entry]
        assert entry.value["spec"] == {"ingress": [{"action": "Allow"}], "egress": [{"action": "Allow"}]}
        with pytest.raises(AlreadyExists) as there:
            await one.create(key, value(key))
        assert there.value.current == entry
        for call in (one.update(key, entry.value, entry.revision), one.delete(key)):
            with pytest.raises((Forbidden, NotSupported)):
                await call

    over(driver, story)


@exact_drivers
def test_a_list_of_profiles_has_it_where_its_name_belongs(driver: str) -> None:
    """Whole or in pages of any size, it stands between those before and those after it, once."""
    kept = [Key("Profile", name) for name in ("kns.a", "kns.b", "projectcalico-default-deny", "zzz")]
    built_in = Key("Profile", "projectcalico-default-allow")

    async def story(one: Any, two: Any) -> None:
        for key in kept:
            await one.create(key, value(key))
        for limit in (None, 1, 2, 3, 4, 5, 6):
            page = await two.list("Profile", limit=limit)
            names = [entry.key.name for entry in page.entries]
            while page.more is not None:
                page = await two.list("Profile", limit=limit, after=page.more)
                assert len(page.entries) <= (limit or 0)
                names += [entry.key.name for entry in page.entries]

            assert names == sorted([*(key.name for key in kept), built_in.name]), limit

    over(driver, story)
