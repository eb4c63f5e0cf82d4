"""What the API refuses comes as the datastore's errors, with what, where and fix."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from muslin.conversion.kinds import ApiGroup
from muslin.datastore.kubernetes import KubernetesDatastore
from muslin.datastore.protocol import Bookmark, Compacted, Forbidden, NotFound, Revision
from muslin.datastore.settings import KubernetesSettings
from muslin.errors import BadInput, Failed, Unavailable
from muslin.resources.crds import definition
from muslin.resources.keys import Key
from tests.muslin.datastore.kubernetes.clusters import cleared, cluster, over, settings, value
from tests.support.kube_apiserver import KubeApiserver

pytestmark = pytest.mark.engines


def test_a_broken_rule_is_told_at_its_field(server: KubeApiserver) -> None:
    """The server's causes are problems with the fields' places; nothing is written."""
    widget = definition("Tier")
    key = Key("Tier", "Upper_Case")

    async def story(one: Any) -> None:
        with pytest.raises(BadInput) as refused:
            await one.create(key, value(key, spec={}))
        (problem,) = refused.value.problems
        assert problem.where == "Tier Upper_Case  metadata.name"
        assert "lowercase RFC 1123" in problem.what

    over(server, story)
    with cluster() as own:
        own.install(widget)

        async def rules(one: Any) -> None:
            for order, action in ((5, "Deny"), (1_000_000, "Nonsense")):
                spec = {"order": order, "defaultAction": action}
                with pytest.raises(BadInput) as refused:
                    await one.create(Key("Tier", "default"), value(Key("Tier", "default"), spec=spec))
                assert all(problem.where.startswith("Tier default") for problem in refused.value.problems)
            assert (await one.list("Tier")).entries == ()

        over(own, rules)


def test_a_place_that_is_not_there_is_named(server: KubeApiserver) -> None:
    """A missing namespace, a missing CRD and a name that can be none are different mistakes."""
    cleared(server, "NetworkSet")

    async def story(one: Any) -> None:
        key = Key("NetworkSet", "a", "nowhere")
        with pytest.raises(Failed, match="namespace nowhere does not exist"):
            await one.create(key, value(key))
        for key in (Key("NetworkSet", "a"), Key("IPPool", "a", "x"), Key("IPPool", ".."), Key("IPPool", "a/b")):
            with pytest.raises(BadInput, match="is no name in Kubernetes"):
                await one.create(key, value(key))
            with pytest.raises(NotFound):
                await one.get(key)
            with pytest.raises(NotFound):
                await one.update(key, value(key), "1")
            with pytest.raises(NotFound):
                await one.delete(key)
        with pytest.raises(BadInput, match="Nonsense is not kept in Kubernetes"):
            await one.list("Nonsense")

    over(server, story)


def test_who_may_not_is_told_what_is_missing(server: KubeApiserver) -> None:
    """An account without rights, and one that the server does not know, are `Forbidden`, whatever is asked."""
    key = Key("IPPool", "a")

    async def story(token: str) -> None:
        given = KubernetesSettings(
            api_endpoint=server.url, ca_file=str(server.ca_file), token=token, api_group="projectcalico.org/v3", qps=0
        )
        store = await KubernetesDatastore.open(given)
        try:
            calls: list[Callable[[], Any]] = [
                lambda: store.get(key), lambda: store.list("IPPool"), lambda: store.create(key, value(key)),
                lambda: store.update(key, value(key), Revision("1")), lambda: store.delete(key),
                lambda: anext(store.watch({"IPPool"}, Revision("1"))),
            ]  # fmt: skip
            for call in calls:
                with pytest.raises(Forbidden) as refused:
                    await call()
                assert refused.value.problems[0].fix
        finally:
            await store.close()

    for token in (server.user_token, "nobody"):
        asyncio.run(story(token))


@pytest.mark.slow
def test_a_kind_without_its_crd_has_no_objects_until_it_is_there() -> None:
    """It lists empty and watches silently; a write says what to install; once it is served the watch lists again."""
    key = Key("IPPool", "a")

    async def story(server: KubeApiserver, one: Any) -> None:
        empty = await one.list("IPPool")
        assert (empty.entries, empty.more) == ((), None)
        assert (await one.list("IPPool", limit=5)).entries == ()
        with pytest.raises(NotFound):
            await one.get(key)
        with pytest.raises(Failed, match="the cluster does not serve IPPool"):
            await one.create(key, value(key))
        watch = one.watch({"IPPool", "Tier"}, empty.revision)
        assert isinstance(await anext(watch), Bookmark)
        server.install(definition("IPPool"))
        with pytest.raises(Compacted):
            await anext(watch)
        await one.create(key, value(key, spec={"cidr": "192.0.2.0/24"}))

    with cluster() as server:
        over(server, lambda one: story(server, one))


def test_a_server_that_is_away_is_unavailable() -> None:
    """Opening a store on nobody says so at once, and what to look at."""
    given = KubernetesSettings(api_endpoint="http://127.0.0.1:9", qps=0)
    with pytest.raises(Unavailable) as refused:
        asyncio.run(KubernetesDatastore.open(given))
    assert "127.0.0.1:9" in refused.value.problems[0].where


def test_the_settings_decide_the_crds(server: KubeApiserver) -> None:
    """`calicoAPIGroup`, in any spelling, wins over what is there."""

    async def story(_: Any) -> None:
        for text, group in (
            ("PROJECTCALICO.ORG/V3", ApiGroup.V3),
            ("crd.projectcalico.org/v1", ApiGroup.V1),
            (None, ApiGroup.V1),
        ):
            store = await KubernetesDatastore.open(
                KubernetesSettings(kubeconfig=settings(server).kubeconfig, api_group=text, qps=0)
            )
            assert await store.api_group() is group
            await store.close()

    over(server, story)
