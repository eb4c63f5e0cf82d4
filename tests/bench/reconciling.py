"""A git repository of many policies, its mirror, one reconciler that is told when to look, and the figures of it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, Self

from muslin.datastore.configuration import EMBEDDED_VARIABLE
from tests.bench.figures import Line, milliseconds, percentile, spread

__all__ = ["COUNT", "Looked", "Peer", "Reconciler", "Repository", "environment", "figures", "looks", "manifests"]

COUNT = int(os.environ.get("MUSLIN_BENCH_OBJECTS", "10000"))
"""Objects in the repository; fewer while somebody works on these benches."""
_A_FILE = 10
_NOTHING = 50
_BESIDE = 1.1
_MEGABYTE = 1_000_000
_POLICY = """\
apiVersion: projectcalico.org/v3
kind: NetworkPolicy
metadata: {{name: p{number}, namespace: {namespace}}}
spec:
  order: {order}
  selector: app == 'a{number}'
  types: [Ingress]
  ingress:
  - {{action: Allow, source: {{selector: app == 'client'}}}}
"""
_WHO = {
    f"GIT_{role}_{what}": text
    for role in ("AUTHOR", "COMMITTER")
    for what, text in (("NAME", "bench"), ("EMAIL", "bench@example.org"))
} | {"GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": "/dev/null"}


def manifests(numbers: Collection[int], order: int = 100, namespace: str = "shop") -> dict[str, str]:
    """The files in which these policies stand, whole files of ten; those named have this order, the others 100."""
    files = sorted({number // _A_FILE for number in numbers})
    return {
        f"f{file}.yaml": "---\n".join(
            _POLICY.format(number=number, order=order if number in numbers else 100, namespace=namespace)
            for number in range(file * _A_FILE, (file + 1) * _A_FILE)
        )
        for file in files
    }


def environment(**given: str) -> dict[str, str]:
    """Of a process whose datastore is the one given here and no other."""
    left_out = (EMBEDDED_VARIABLE, "DATASTORE_TYPE", "ETCD_ENDPOINTS", "KUBECONFIG", "GIT_DIR")
    return {name: value for name, value in os.environ.items() if name not in left_out} | given


class Repository:
    """A bare repository, a clone in which people work, and the fetcher's mirror, all in one folder."""

    def __init__(self, folder: Path) -> None:
        self.remote, self.mirror, self._clone = folder / "remote.git", folder / "mirror", folder / "clone"
        for made, more in ((self.remote, ("--bare",)), (self._clone, ())):
            made.mkdir()
            self._git(made, "init", "--quiet", "--initial-branch=main", *more)

    def commit(self, files: Mapping[str, str]) -> str:
        """Write these files and commit them beside what there is; gives the commit's id."""
        for name, text in files.items():
            (self._clone / name).write_text(text)
        self._git(self._clone, "add", "--all")
        self._git(self._clone, "commit", "--quiet", "-m", "change")
        return self._git(self._clone, "rev-parse", "HEAD")

    def push(self) -> None:
        """`git push`, as people do it; returns when it ends."""
        self._git(self._clone, "push", "--quiet", str(self.remote), "HEAD:refs/heads/main")

    def fetch(self) -> None:
        """Bring the mirror up to date, by a fetcher that looks once."""
        command = (sys.executable, "-m", "reconciler.fetch_process", *self.fetching, "--once")
        _run(command, environment())

    @property
    def fetching(self) -> tuple[str, ...]:
        """Arguments of a fetcher of this repository."""
        return "--repository", str(self.remote), "--allow-local", "--mirror", str(self.mirror)

    def ls_remote(self) -> float:
        """Seconds that git takes to say where the branch is."""
        began = time.perf_counter()
        self._git(self._clone, "ls-remote", str(self.remote), "refs/heads/main")
        return time.perf_counter() - began

    @staticmethod
    def _git(folder: Path, *arguments: str) -> str:
        return _run(("git", "-C", str(folder), *arguments), environment(**_WHO)).strip()


class Peer(Protocol):
    """Another program that brings files into the same store. `name` says which, or why it is not there."""

    name: str

    def apply(self, files: Mapping[str, str]) -> float | None:
        """Bring these files in; gives how many seconds it took, None where it is not there."""
        ...

    def spent(self) -> float:
        """CPU seconds of the store so far."""
        ...


@contextmanager
def looks(store: Mapping[str, str]) -> Iterator[tuple[Repository, Reconciler]]:
    """A repository, and a reconciler over its mirror and the datastore that this environment names."""
    with tempfile.TemporaryDirectory(prefix="muslin-bench-") as folder:
        repository = Repository(Path(folder))
        with Reconciler(repository, store) as reconciler:
            yield repository, reconciler


@dataclass(frozen=True, slots=True)
class Looked:
    """What one look cost."""

    wall: float
    cpu: float
    requests: int
    parses: int
    memory: int
    applied: str | None

    def __str__(self) -> str:
        """As people read it."""
        return f"{milliseconds(self.wall)}, {milliseconds(self.cpu)} of CPU, {self.requests} requests"


class Reconciler:
    """A reconciler in a process of its own, that looks when told to."""

    def __init__(self, repository: Repository, store: Mapping[str, str]) -> None:
        self._repository, self._store = repository, store

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.bench.reconcile_within", str(self._repository.mirror)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment(**self._store),
            cwd=Path(__file__).parents[2],
        )  # fmt: skip
        return self

    def __exit__(self, *args: object) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        with suppress(BrokenPipeError):  # it has ended already
            self._process.stdin.close()
        self._process.wait(30)
        self._process.stdout.close()

    def pushed(self, files: Mapping[str, str], deed: str = "look") -> Looked:
        """Push these files, bring the mirror up to date, and look."""
        commit = self._repository.commit(files)
        self._repository.push()
        self._repository.fetch()
        found = self.look(deed)
        if found.applied != commit:
            raise RuntimeError(f"a look did not apply {commit}")
        return found

    def look(self, deed: str = "look") -> Looked:
        """One look; `once` begins with a list of all."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{deed}\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        if not answer:
            raise RuntimeError("the reconciler ended before it had looked; its last words are above")
        return Looked(**json.loads(answer))


def figures(repository: Repository, reconciler: Reconciler, peer: Peer | None = None) -> list[Line]:
    """First reconcile, a tenth changed, nothing to do, memory; the first two beside a peer, or within 15 and 5 s."""
    every, tenth = manifests(range(COUNT)), manifests(range(COUNT // 10), order=300)
    lines = [
        *_beside(f"first reconcile of {COUNT:,} objects", lambda: reconciler.pushed(every, "once"), every, 15, peer),
        *_beside(f"{COUNT // 10:,} changed", lambda: reconciler.pushed(tenth), tenth, 5, peer),
    ]
    reconciler.look()
    nothing = [(reconciler.look(), repository.ls_remote()) for _ in range(_NOTHING)]
    memory = nothing[-1][0].memory
    return [
        *lines,
        *_at_rest(nothing),
        Line("memory at most", f"{memory / _MEGABYTE:.0f} MB", goal="under 250 MB", held=memory < 250 * _MEGABYTE),
    ]


def _beside(
    what: str, look: Callable[[], Looked], files: Mapping[str, str], limit_s: float, peer: Peer | None
) -> list[Line]:
    if peer is None:
        ours = look()
        return [Line(what, str(ours), goal=f"under {limit_s:g} s", held=ours.wall < limit_s)]
    began = peer.spent()
    theirs = peer.apply(files)
    between = peer.spent()
    ours = look()
    spent, other = peer.spent() - between, between - began
    if theirs is None:
        return [Line(what, str(ours), other=peer.name)]
    ratio = ours.wall / theirs
    return [
        Line(
            what, str(ours), f"{peer.name}: {milliseconds(theirs)}", ratio, f"at most {_BESIDE} of that",
            held=ratio <= _BESIDE,
        ),
        Line(
            "  CPU of the server for it", milliseconds(spent), f"{peer.name}: {milliseconds(other)}", spent / other
        ),
    ]  # fmt: skip


def _at_rest(found: list[tuple[Looked, float]]) -> list[Line]:
    whole = [look.wall + asked for look, asked in found]
    requests, parses = sum(look.requests for look, _ in found), sum(look.parses for look, _ in found)
    still = requests == parses == 0
    return [
        Line(
            "nothing to do, with one ls-remote", f"{spread(whole)}, {requests} requests, {parses} parses",
            goal="under 20 ms, 0 requests, 0 parses", held=percentile(whole, 0.99) < 0.02 and still,
            rounds=len(found),
        ),
        Line("  the look alone", spread([look.wall for look, _ in found]), rounds=len(found)),
    ]  # fmt: skip


def _run(command: tuple[str, ...], given: Mapping[str, str]) -> str:
    done = subprocess.run(command, env=given, capture_output=True, text=True, check=False, timeout=300)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command[:5])}: exit status {done.returncode}: {done.stderr[-500:]}")
    return done.stdout
