"""The file that names sources and sets."""

from __future__ import annotations

from pathlib import Path

import pytest

from muslin.errors import BadInput
from reconciler.pushing import BRANCH
from reconciler.remotes import Following
from reconciler.signatures import PathRule
from reconciler.sources_file import Role, Sources, load

_GOOD = """\
apiVersion: reconciler.muslin/v1alpha1
kind: Sources
mirrors: mirrors
sources:
- name: network
  url: https://git.example/network.git
  branch: release
  credentials: {tokenFile: token, authority: ca.pem}
  signatures:
    allowedSigners: signers
    paths:
    - {path: clusters/a, signers: [alice@example.org]}
  interval: 10s
  webhook: {provider: github, secretFile: secret}
- name: policies
  url: ssh://git@git.example/policies.git
  tag: v1
  credentials: {sshKey: key, knownHosts: hosts}
sets:
- name: a
  wake: /run/muslin/a.wake
  from:
  - {source: network, paths: [clusters/a, common], exclude: ["**/draft/**"], blueprints: [single_subnet]}
  - {source: policies}
- name: b
  from:
  - {source: network, paths: [clusters/b]}
webhook: {listen: "127.0.0.1:9443"}
"""


def _load(folder: Path, text: str = _GOOD, role: Role = Role.FETCHER) -> Sources:
    for name in ("token", "ca.pem", "signers", "key", "hosts"):
        (folder / name).write_text(name)
    (folder / "secret").write_text("s" * 32)
    (folder / "sources.yaml").write_text(text)
    return load(folder / "sources.yaml", role)


def test_a_file_that_is_too_long_is_refused_and_not_cut(tmp_path: Path) -> None:
    """Its first megabyte would be a good file with fewer sources: what is behind it would be forgotten."""
    with pytest.raises(BadInput, match="more than 1048576 bytes"):
        _load(tmp_path, f"{_GOOD}# {'x' * (1 << 20)}\n")


def test_sources_and_sets_are_read(tmp_path: Path) -> None:
    """Several repositories in one set, one repository in several sets, each source with its own mirror and rules."""
    sources = _load(tmp_path)
    network, policies = sources.origins
    a, b = sources.sets

    assert (network.remote.reference, network.interval_s, network.mirror) == (
        "refs/heads/release", 10.0, tmp_path / "mirrors" / "network",
    )  # fmt: skip
    assert network.policy is not None
    assert network.policy.rules == (PathRule("clusters/a", frozenset({"alice@example.org"})),)
    assert network.credentials.token_file == tmp_path / "token"
    assert (policies.remote.following, policies.remote.shown) == (Following.TAG, "tag v1")
    assert (network.pokes, policies.pokes) == ((Path("/run/muslin/a.wake"),), (Path("/run/muslin/a.wake"),))
    assert [each.source for each in a.reads] == ["network", "policies"]
    assert a.reads[0].select.folders == (("clusters", "a"), ("common",))
    assert a.reads[0].select.blueprints == {"single_subnet"}
    assert b.reads[0].mirror == a.reads[0].mirror
    assert sources.set_named("b") is b


@pytest.mark.parametrize(
    ("old", "new", "place", "told"),
    [
        ("branch: release", "branch: a..b", "sources.yaml:7:11  sources[0].branch", "not a branch name"),
        ("branch: release", "branch: x\n  tag: v1", "sources.yaml:5:", "2 of branch, tag and commit"),
        ("https://git.example/", "https://u:secret-of-mine@git.example/", "sources.yaml:6:8", "user name or password"),
        ("https://git.example/", "http://git.example/", "sources.yaml:6:8", "transport 'http' is not allowed"),
        ("url: https", "ulr: https", "sources.yaml:6:3", "unknown field 'ulr'"),
        ("tokenFile: token", "tokenFile: missing", "sources.yaml:8:16  sources[0].credentials", "no such file"),
        ("tokenFile: token", "sshKey: key", "sources.yaml:8:16", "of no use over https"),
        (", knownHosts: hosts", "", "sources.yaml:18:16  sources[1].credentials", "needs sshKey and knownHosts"),
        ("allowedSigners: signers\n", "rewrites: true\n", "sources.yaml:10:5", "nobody's key is given"),
        ("allowedSigners: signers\n", "keyring: key\n    anchor: --all\n", "sources.yaml:11:13", "not the id"),
        ("allowedSigners: signers\n", "keyring: key\n    revoked: key\n", "sources.yaml:10:5", "no ssh keys are"),
        ("{source: policies}", "{source: policy}", "sources.yaml:24:14", "no source 'policy'"),
        ("{source: policies}", "{source: network}", "sources.yaml:24:14", "named twice"),
        ("name: b", "name: a", "sources.yaml:25:9", "'a' is named twice"),
        ("name: policies", "name: ../etc", "sources.yaml:15:9", "can't be a name"),
        ("[clusters/b]", "[../b]", "sources.yaml:27:30", "not a folder inside"),
        ("single_subnet", "my_own", "sources.yaml:23:", "no blueprint 'my_own'"),
        ("127.0.0.1:9443", "0.0.0.0:9443", "sources.yaml:28:19", "without a certificate"),
        ("webhook: {listen", "nothing: {listen", "sources.yaml:28:1", "unknown field"),
        ("kind: Sources", "kind: Source", "sources.yaml:2:7", "kind"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_told_with_its_place(old: str, new: str, place: str, told: str, tmp_path: Path) -> None:
    """Every mistake is a problem where it stands in the file, and no problem shows a secret."""
    assert old in _GOOD
    with pytest.raises(BadInput) as caught:
        _load(tmp_path, _GOOD.replace(old, new))

    problems = [(each.where.removeprefix(f"{tmp_path}/"), each.what) for each in caught.value.problems]
    assert any(where.startswith(place) and told in what for where, what in problems), problems
    assert "secret-of-mine" not in str(caught.value)


_REVERTED = (
    _GOOD.replace("mirrors: mirrors", "mirrors: mirrors\nreverts: asks")
    .replace("  interval: 10s", "  interval: 10s\n  revert: {signingKey: key}")
    .replace("{sshKey: key, knownHosts: hosts}", "{sshKey: key, knownHosts: hosts}\n  revert: {branch: 'x/{commit}'}")
    .replace("  tag: v1\n", "")
)


def test_who_may_ask_for_which_reverts_is_read(tmp_path: Path) -> None:
    """Both sides learn the same place from the file: the fetcher where to look, the reconciler where to write."""
    sources = _load(tmp_path, _REVERTED)
    network, policies = (each.pushing for each in sources.origins)
    a, b = sources.sets

    assert network is not None
    assert policies is not None
    assert (a.asks, b.asks) == (tmp_path / "asks" / "a.json", tmp_path / "asks" / "b.json")
    assert [sorted(each.reverted) for each in (a, b)] == [["network", "policies"], ["network"]]
    assert (network.requests, network.branch, network.key) == ((a.asks, b.asks), BRANCH, tmp_path / "key")
    assert (policies.requests, policies.branch, policies.source) == ((a.asks,), "x/{commit}", "policies")
    assert [each.pushing for each in _load(tmp_path).origins] == [None, None]


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("\nreverts: asks", "", "no folder in which reconcilers ask"),
        ("'x/{commit}'", "main", "without a review"),
        ("'x/{commit}'", "'x/{commit}', tracked: true", "two places"),
        ("'x/{commit}'", "'x/{commit}', author: me", "not a name and an address"),
        ("revert: {signingKey: key}", "revert: {}", "reverts would not be"),
        ("revert: {signingKey: key}", "revert: {signingKey: missing}", "no such file"),
        ("knownHosts: hosts}", "knownHosts: hosts}\n  tag: v1", "a tag is followed"),
    ],
)
def test_reverts_that_cannot_be_are_told_with_their_place(old: str, new: str, told: str, tmp_path: Path) -> None:
    """What would never be pushed, or never be let in, is said before a process begins."""
    assert old in _REVERTED
    with pytest.raises(BadInput, match=told) as caught:
        _load(tmp_path, _REVERTED.replace(old, new))

    assert all("sources[" in each.where and each.fix for each in caught.value.problems)


def test_each_process_needs_only_its_own_files(tmp_path: Path) -> None:
    """The reconciler reads neither tokens nor secrets, the webhook reads only secrets, the fetcher no secret."""
    folder = tmp_path / "a"
    folder.mkdir()
    (folder / "sources.yaml").write_text(_GOOD)
    reconciler = load(folder / "sources.yaml", Role.RECONCILER)
    assert all(each.secret is None for each in reconciler.origins)
    with pytest.raises(BadInput, match="the secret can't be read"):
        load(folder / "sources.yaml", Role.WEBHOOK)
    (folder / "secret").write_text("s" * 32)
    assert load(folder / "sources.yaml", Role.WEBHOOK).origins[0].secret is not None
    with pytest.raises(BadInput, match="no such file"):
        load(folder / "sources.yaml", Role.FETCHER)


def test_a_file_that_is_none_is_refused(tmp_path: Path) -> None:
    """A missing file, two documents and a list are problems."""
    with pytest.raises(BadInput):
        load(tmp_path / "missing.yaml", Role.FETCHER)
    for text in (f"{_GOOD}---\n{_GOOD}", "- a\n", "", "a: [\n"):
        with pytest.raises(BadInput):
            _load(tmp_path, text)
    with pytest.raises(BadInput, match="no set 'c'"):
        _load(tmp_path).set_named("c")


def test_the_file_in_the_documentation_is_right(tmp_path: Path) -> None:
    """What people copy is read without a problem."""
    page = (Path(__file__).parents[2] / "docs" / "gitops.md").read_text("utf-8")
    (tmp_path / "sources.yaml").write_text(page.partition("```yaml\n")[2].partition("```")[0])
    sources = load(tmp_path / "sources.yaml", Role.RECONCILER)

    assert [each.name for each in sources.origins] == ["network", "policies"]
    assert [each.name for each in sources.sets] == ["prod", "stage"]
    reverts = page.partition("## Reverts")[2].partition("```yaml\n")[2].partition("```")[0]
    head, _, sets = (tmp_path / "sources.yaml").read_text().partition("\nsets:")
    top = "".join(line for line in head.splitlines(keepends=True)[:3])
    (tmp_path / "reverts.yaml").write_text(f"{top}{reverts}\nsets:{sets}".replace("webhook: {", "# {"))
    sets_of = load(tmp_path / "reverts.yaml", Role.RECONCILER).sets
    assert [sorted(each.reverted) for each in sets_of] == [["network", "policies"], ["network"]]
