"""Where keys and values stand."""

from __future__ import annotations

from muslin.yaml import field_path, load

TEXT = """\
# a policy
spec:
  order: 100
  ingress:
  - action: Allow
    ports: [80, 443]
  "selector": x
"""


def test_values_and_keys_have_line_and_column() -> None:
    """Both count from 1; the key's place is the key's, the value's the value's."""
    places = load(TEXT, "p.yaml")[0].places

    assert str(places.at(("spec", "order"))) == "p.yaml:3:10  spec.order"
    assert str(places.key(("spec", "order"))) == "p.yaml:3:3  spec.order"
    assert str(places.at(("spec", "ingress", 0, "ports", 1))) == "p.yaml:6:17  spec.ingress[0].ports[1]"
    assert str(places.at(("spec", "selector"))) == "p.yaml:7:15  spec.selector"


def test_a_missing_field_stands_at_the_nearest_key_above() -> None:
    """The path names what was asked for; line and column lead to where it should be."""
    places = load(TEXT, "p.yaml")[0].places

    assert str(places.at(("spec", "ingress", 0, "protocol"))) == "p.yaml:4:3  spec.ingress[0].protocol"
    assert str(places.at(("metadata", "name"))) == "p.yaml:2:1  metadata.name"
    assert str(places.at(("spec", "ingress", 7))) == "p.yaml:4:3  spec.ingress[7]"


def test_lines_count_through_all_documents_and_windows_line_ends() -> None:
    """The second document's lines are the file's, not its own."""
    second = load("\ufeffa: 1\r\n---\r\nb:\r\n  c: 2\r\n".encode())[1]

    assert str(second.places.at(("b", "c"))) == "line 4:6  b.c"


def test_an_aliased_value_stands_where_it_was_written() -> None:
    """A fault in a shared value is mended at its anchor; merged keys likewise."""
    document = load("x: &a\n  k: 1\nv: *a\nw:\n  <<: *a\n")[0]

    assert document.value == {"x": {"k": 1}, "v": {"k": 1}, "w": {"k": 1}}
    assert [document.places.at((name, "k")).line for name in "xvw"] == [2, 2, 2]


def test_uses_of_an_anchor_are_values_of_their_own() -> None:
    """Changing one in memory leaves the others."""
    value = load("x: &a {k: [1]}\nv: *a\n")[0].value

    value["v"]["k"].append(2)

    assert value["x"] == {"k": [1]}


def test_paths_print_as_people_write_them() -> None:
    """Keys that are no plain words stand in brackets and quotes."""
    assert field_path(("metadata", "labels", "example.org/app")) == 'metadata.labels["example.org/app"]'
    assert field_path((0, "a", 1, 2)) == "[0].a[1][2]"
