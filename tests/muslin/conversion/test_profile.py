"""Profiles of namespaces and service accounts."""

from __future__ import annotations

import pytest

from muslin import resources
from muslin.conversion.profile import (
    DEFAULT_ALLOW,
    default_allow,
    join_revisions,
    namespace_of_profile,
    profile_from_namespace,
    profile_from_service_account,
    service_account_of_profile,
    split_revision,
)
from tests.muslin.conversion.objects import BORN, OTHER_UID, UID


def test_a_namespace_gives_its_labels_and_allows_everything() -> None:
    """Labels get a prefix, the namespace's name is one of them, and where no policy speaks all is allowed."""
    namespace = {"metadata": {"name": "red", "labels": {"team": "one"}, **BORN}}
    profile, problems = profile_from_namespace(namespace)

    assert problems == ()
    assert profile["metadata"] == {"name": "kns.red", **BORN, "uid": OTHER_UID, "resourceVersion": "17/"}
    assert profile["spec"] == {
        "ingress": [{"action": "Allow"}],
        "egress": [{"action": "Allow"}],
        "labelsToApply": {"pcns.team": "one", "pcns.projectcalico.org/name": "red"},
    }
    assert resources.load(profile).kind == "Profile"


def test_a_service_account_gives_its_labels_and_no_rules() -> None:
    """Its profile is named for both, and only labels."""
    account = {"metadata": {"name": "runner", "namespace": "red", "labels": {"team": "one"}, **BORN}}
    profile = profile_from_service_account(account).value

    assert profile["metadata"] == {"name": "ksa.red.runner", **BORN, "uid": UID, "resourceVersion": "/17"}
    assert profile["spec"] == {"labelsToApply": {"pcsa.team": "one", "pcsa.projectcalico.org/name": "runner"}}
    assert resources.load(profile).kind == "Profile"


def test_a_label_as_long_as_kubernetes_allows_is_no_problem() -> None:
    """With its prefix it is longer than a label may be; without its profile a pod could do nothing."""
    labels = {"l" * 63: "v" * 63, f"{'p' * 63}.example.org/{'l' * 63}": ""}
    for convert in (profile_from_namespace, profile_from_service_account):
        profile = convert({"metadata": {"name": "n", "namespace": "n", "labels": labels}}).value

        assert len(profile["spec"]["labelsToApply"]) == 3
        assert resources.load(profile).kind == "Profile"


def test_the_profile_that_allows_everything_is_a_profile() -> None:
    """It has a fixed name and allows both directions."""
    profile = default_allow()

    assert profile["metadata"]["name"] == DEFAULT_ALLOW
    assert profile["spec"] == {"ingress": [{"action": "Allow"}], "egress": [{"action": "Allow"}]}
    assert resources.load(profile).kind == "Profile"


@pytest.mark.parametrize(
    ("name", "namespace", "account"),
    [
        ("kns.red", "red", None),
        ("ksa.red.runner", None, ("red", "runner")),
        ("ksa.red.run.ner", None, ("red", "run.ner")),
        ("kns.", None, None),
        ("ksa.red", None, None),
        ("ksa..runner", None, None),
        (DEFAULT_ALLOW, None, None),
    ],
)
def test_a_profile_s_name_tells_what_it_is_made_from(
    name: str, namespace: str | None, account: tuple[str, str] | None
) -> None:
    """The name is read back to the object of Kubernetes."""
    assert (namespace_of_profile(name), service_account_of_profile(name)) == (namespace, account)


@pytest.mark.parametrize(
    ("revision", "halves"), [("1/2", ("1", "2")), ("1/", ("1", "")), ("", ("", "")), ("0", ("", ""))]
)
def test_a_revision_of_profiles_has_two_halves(revision: str, halves: tuple[str, str]) -> None:
    """Namespaces and service accounts have a revision each."""
    assert split_revision(revision) == halves
    assert split_revision(join_revisions(*halves)) == halves


@pytest.mark.parametrize("revision", ["7", "1/2/3"])
def test_what_has_no_two_halves_is_refused(revision: str) -> None:
    """A revision of something else is none of profiles."""
    with pytest.raises(ValueError, match="revision of profiles"):
        split_revision(revision)
