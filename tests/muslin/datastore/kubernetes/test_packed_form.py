"""A ledger's items stand as text in the API, and are a mapping for everybody who asks the datastore."""

from __future__ import annotations

from typing import Any

from muslin.conversion.kinds import ApiGroup
from muslin.datastore.kubernetes.forms import Packed, form_of
from muslin.datastore.settings import EtcdSettings, KubernetesSettings, unpaced

_ITEMS = {"NetworkPolicy/shop/a": {"applied": {"spec": {"order": 100}}, "commit": "c"}}


def _ledger(items: Any) -> dict[str, Any]:
    return {"kind": "ReconcilerLedger", "metadata": {"name": "default.0"}, "spec": {"set": "default", "items": items}}


def _form() -> Packed:
    form = form_of("ReconcilerLedger", ApiGroup.V3)
    assert isinstance(form, Packed)
    return form


def test_items_are_sent_as_text_and_read_as_they_were() -> None:
    """One field instead of thousands goes to the server, and what comes back is what was given; so after an update."""
    given = _ledger(_ITEMS)
    sent = _form().stored(given, {"metadata": {"resourceVersion": "7"}})
    assert isinstance(sent["spec"]["items"], str)
    assert (sent["spec"]["set"], sent["metadata"]["resourceVersion"]) == ("default", "7")
    assert given["spec"]["items"] is _ITEMS
    assert _form().shown(sent).value["spec"] == given["spec"]


def test_a_ledger_of_an_earlier_version_is_read_too() -> None:
    """Items that stand as a mapping are one."""
    assert _form().shown(_ledger(_ITEMS)).value["spec"]["items"] == _ITEMS


def test_text_that_cannot_be_read_stays_and_is_not_taken_for_an_empty_ledger() -> None:
    """Whoever reads the ledger finds no mapping, and fails instead of forgetting what is ours."""
    assert _form().shown(_ledger("{broken")).value["spec"]["items"] == "{broken"


def test_without_a_word_the_server_decides_how_fast_it_is_asked() -> None:
    """Calico's usual bound goes, one that somebody set stays, and other stores have none."""
    unsaid, said, etcd = KubernetesSettings(), KubernetesSettings(qps=20.0), EtcdSettings(endpoints=("http://a:2379",))
    assert unpaced(unsaid) == KubernetesSettings(qps=0.0)
    assert (unpaced(said), unpaced(etcd)) == (said, etcd)
