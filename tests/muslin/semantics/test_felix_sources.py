"""Which of several values of a setting is in force, and what is told of those that nobody can use."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from muslin.semantics.felix_meaning import contradictions, route_tables
from muslin.semantics.felix_parameters import PARAMETERS, Flag
from muslin.semantics.felix_sources import Files, Local, Setting, Settings, Source, resolve

_STRENGTH = (Source.OVERRIDE, Source.ENVIRONMENT, Source.FILE, Source.NODE, Source.SELECTOR, Source.GLOBAL)


def _resolve(texts: dict[Source, dict[str, str]], **local: Any) -> Settings:
    return resolve(
        Local(texts.get(Source.ENVIRONMENT, {}), texts.get(Source.FILE, {}), **local),
        node=texts.get(Source.NODE, {}),
        selector=texts.get(Source.SELECTOR, {}),
        global_=texts.get(Source.GLOBAL, {}),
        override=texts.get(Source.OVERRIDE, {}),
    )


def test_the_strongest_source_wins_in_every_combination() -> None:
    """Agent, environment, file, node, selector, all: whichever say something, the first of them counts."""
    for chosen in itertools.product((False, True), repeat=len(_STRENGTH)):
        saying = [source for source, says in zip(_STRENGTH, chosen, strict=True) if says]
        texts = {source: {"VXLANMTU": str(1000 + _STRENGTH.index(source))} for source in saying}
        expected = (
            Setting(1000 + _STRENGTH.index(saying[0]), saying[0], texts[saying[0]]["VXLANMTU"])
            if saying
            else Setting(0)
        )

        assert expected == _resolve(texts).setting("vxlanmtu")


@pytest.mark.slow
@given(st.sampled_from(sorted(PARAMETERS)), st.data())
def test_capitals_do_not_matter(name: str, data: st.DataObject) -> None:
    """A setting is known by its name in any case, in every source."""
    parameter = PARAMETERS[name]
    spelt = "".join(data.draw(st.sampled_from([letter.lower(), letter.upper()])) for letter in name)
    text = parameter.default_text or "none"
    found = resolve(Local(environment={spelt: text}))

    assert not found.unknown
    assert found.setting(spelt).source is (Source.ENVIRONMENT if text else Source.DEFAULT)


def test_an_empty_text_says_nothing() -> None:
    """The next source is asked as if the stronger one were silent."""
    found = _resolve({Source.ENVIRONMENT: {"VXLANPort": ""}, Source.GLOBAL: {"VXLANPort": "4790"}})

    assert found.setting("VXLANPort") == Setting(4790, Source.GLOBAL, "4790")
    assert found.problems == ()


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("FailsafeInboundHostPorts", "none", ()),
        ("LogFilePath", "NONE", ""),
        ("VXLANEnabled", "None", None),
        ("HealthEnabled", "none", False),
        ("IptablesRefreshInterval", "none", PARAMETERS["debugpanicafter"].default),
    ],
)
def test_none_means_the_zero_value(name: str, text: str, value: object) -> None:
    """`none` in any case empties a setting, which often differs from its default."""
    assert _resolve({Source.FILE: {name: text}}).setting(name) == Setting(value, Source.FILE, text)


def test_none_is_fatal_where_there_must_be_a_value() -> None:
    """Settings that cannot be zero keep their default, and the agent says that it cannot start so."""
    found = _resolve({Source.ENVIRONMENT: {"InterfacePrefix": "none"}})

    assert found["InterfacePrefix"] == "cali"
    assert [bad.reason for bad in found.fatal] == ["non-zero field cannot be set to none"]


def test_a_bad_value_becomes_the_default_and_hides_weaker_sources() -> None:
    """As the reference has it: a typing error in the environment does not let the datastore decide again."""
    found = _resolve({Source.ENVIRONMENT: {"VXLANPort": "many"}, Source.GLOBAL: {"VXLANPort": "4790"}})

    assert found.setting("VXLANPort") == Setting(4789, Source.ENVIRONMENT, "many")
    assert [bad.fatal for bad in found.problems] == [False]


def test_a_bad_value_of_a_weak_source_is_told_too() -> None:
    """A stronger, good value does not hide that another source is wrong; a required one stays fatal."""
    found = _resolve({Source.ENVIRONMENT: {"ChainInsertMode": "append"}, Source.GLOBAL: {"ChainInsertMode": "x"}})

    assert found["ChainInsertMode"] == "append"
    assert [(bad.source, bad.fatal) for bad in found.problems] == [(Source.GLOBAL, True)]
    assert found.problems[0].problem.where == "FelixConfiguration default  spec.chainInsertMode"


def test_required_settings_are_those_whose_bad_value_is_fatal() -> None:
    """For every setting, a text that it cannot read is fatal exactly if the setting is required."""
    for parameter in PARAMETERS.values():
        found = resolve(Local(environment={parameter.name: "\n!["}, files=Files(lambda _: False, lambda _: None)))
        if found.problems:
            assert bool(found.fatal) == bool(parameter.flags & Flag.REQUIRED), parameter.name
            assert found[parameter.name] == parameter.default


def test_the_datastore_cannot_say_where_it_is() -> None:
    """Settings that are needed to reach the datastore count from environment and file only."""
    found = _resolve({Source.NODE: {"EtcdAddr": "192.0.2.1:2379", "TyphaCN": "x"}})

    assert (found["EtcdAddr"], found["TyphaCN"]) == ("127.0.0.1:2379", "")
    assert [bad.fatal for bad in found.problems] == [False, False]
    assert _resolve({Source.FILE: {"EtcdAddr": "192.0.2.1:2379"}})["EtcdAddr"] == "192.0.2.1:2379"


def test_unknown_settings_are_kept() -> None:
    """A plugin's settings are given on with the strongest text, under the name that stands there."""
    found = _resolve({Source.ENVIRONMENT: {"mine": "1"}, Source.GLOBAL: {"mine": "2", "Other": "3"}})

    assert found.unknown == {"mine": "1", "Other": "3"}
    with pytest.raises(KeyError):
        found.setting("mine")


def test_files_that_settings_name_must_be_there() -> None:
    """A certificate that is missing counts as not set; a missing program is fatal."""
    nothing = Files(exists=lambda path: path == "/there", program=lambda _: None)
    found = _resolve(
        {Source.ENVIRONMENT: {"TyphaCAFile": "/missing", "TyphaKeyFile": "/there", "DataplaneDriver": "x"}},
        files=nothing,
    )

    assert (found["TyphaCAFile"], found["TyphaKeyFile"]) == ("", "/there")
    assert [bad.parameter.name for bad in found.fatal] == ["DataplaneDriver"]


def test_settings_that_contradict_each_other_are_told() -> None:
    """Half of Typha's TLS, no way to etcd, no name: each is told; the defaults and a name stand together."""
    named = Local(hostname="a")
    without_etcd = {"EtcdAddr": "none", "EtcdScheme": "none"}

    assert not list(contradictions(resolve(named)))
    assert len(list(contradictions(resolve()))) == 1
    assert len(list(contradictions(resolve(Local(without_etcd, hostname="a"))))) == 2
    assert not list(contradictions(resolve(Local({**without_etcd, "DatastoreType": "kubernetes"}, hostname="a"))))
    assert len(list(contradictions(resolve(Local({"TyphaCN": "x"}, hostname="a"))))) == 1


@pytest.mark.parametrize(
    ("texts", "tables"),
    [
        ({}, ((1, 250),)),
        ({"RouteTableRange": "10-20"}, ((10, 20),)),
        ({"RouteTableRange": "10-20", "RouteTableRanges": "30-40,50-60"}, ((30, 40), (50, 60))),
    ],
)
def test_route_tables_come_from_the_newer_setting_first(
    texts: dict[str, str], tables: tuple[tuple[int, int], ...]
) -> None:
    """`RouteTableRanges` counts before `RouteTableRange`; tables 1 to 250 where neither says anything."""
    assert tables == route_tables(resolve(Local(texts)))
