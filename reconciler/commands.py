"""What the fetcher asks git to do: fixed argument lists and a scrubbed environment, as values. Nothing runs here.

The only texts from outside in an argument list are the repository's address and the reference, both checked by
`Remote.parse`, and ids that git gave us. They stand behind `--end-of-options`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from reconciler.credentials import Credentials
from reconciler.remotes import Following, Remote, Transport

__all__ = ["FETCHED", "FORMER", "REVERTS", "TRACKED", "Git", "Remote"]

TRACKED: Final = "refs/muslin/tracked"
"""The reference that is read: ours by its namespace, whatever names the repository uses."""

FETCHED: Final = "refs/muslin/fetched"
"""What was fetched last, where it is looked at before it is followed: a tag, or a commit that must be signed."""
FORMER: Final = "refs/muslin/former"
"""What is followed no more because it was never verified: kept, because it may be in force."""
REVERTS: Final = "refs/muslin/reverts/"
"""Before the id of a commit: the commit that reverts it, so that after a crash the same one is pushed."""

_CONFIG: Final = (
    "protocol.allow=never",
    "protocol.ext.allow=never",
    "core.hooksPath=/dev/null",
    "core.fsmonitor=false",
    "core.askPass=",
    "core.alternateRefsCommand=",
    "core.logAllRefUpdates=always",
    "core.bigFileThreshold=4m",
    "core.packedGitLimit=256m",
    "credential.helper=",
    "fetch.fsckObjects=true",
    "transfer.fsckObjects=true",
    "transfer.bundleURI=false",
    "fetch.recurseSubmodules=false",
    "fetch.writeCommitGraph=false",
    "fetch.unpackLimit=1",
    "submodule.recurse=false",
    "push.followTags=false",
    "push.gpgSign=false",
    "push.recurseSubmodules=no",
    "http.followRedirects=false",
    "http.lowSpeedLimit=1000",
    "http.lowSpeedTime=20",
    "gc.auto=2000",
    "gc.autoPackLimit=50",
    "gc.autoDetach=false",
    "gc.pruneExpire=1.day.ago",
    "maintenance.auto=false",
)
"""Given with every command, so that no file on the machine or in the mirror decides. Reference updates are logged
so that a commit we hold to survives a forced push for as long as git keeps its log (30 days)."""


_RECEIVE: Final = (
    "git -c core.hooksPath=/dev/null -c core.fsmonitor=false -c core.alternateRefsCommand= -c receive.autogc=false"
    " receive-pack"
)
"""What takes a push into a repository on this machine: none of that repository's programs is started by us."""


@dataclass(frozen=True, slots=True)
class Git:
    """Argument lists for one mirror and one remote."""

    mirror: Path
    remote: Remote
    credentials: Credentials = field(default_factory=Credentials)

    def environment(self, outer: Mapping[str, str], *, secrets: bool = False) -> dict[str, str]:
        """The whole environment of a git child; from `outer` only what is named here.

        `secrets` is for the commands that talk to the server. Raises what `Credentials.environment` raises.
        """
        names = ("PATH", "https_proxy", "no_proxy", *(() if self.credentials.ssh_key else ("SSH_AUTH_SOCK",)))
        return {name: outer[name] for name in names if name in outer} | {
            "HOME": str(self.mirror),
            "LC_ALL": "C",
            "GIT_DIR": str(self.mirror),
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_CONFIG_GLOBAL": "/dev/null",
            "GIT_ATTR_NOSYSTEM": "1",
            "GIT_TERMINAL_PROMPT": "0",
            "GIT_ALLOW_PROTOCOL": self.remote.transport.value,
            "GIT_PROTOCOL_FROM_USER": "0",
            "GIT_NO_REPLACE_OBJECTS": "1",
            "GIT_NO_LAZY_FETCH": "1",
            "GIT_SSH_COMMAND": self.credentials.ssh(),
            "GIT_SSH_VARIANT": "ssh",
        } | (self.credentials.environment(self.remote) if secrets else {})  # fmt: skip

    def _git(self, *arguments: str) -> tuple[str, ...]:
        settings = (
            *_CONFIG,
            f"protocol.{self.remote.transport.value}.allow=always",
            *self.credentials.settings(self.remote, self.mirror / "muslin-nobody"),
        )
        return ("git", *(part for setting in settings for part in ("-c", setting)), *arguments)

    def init(self) -> tuple[str, ...]:
        """Make the empty mirror; without a template there are no hooks and no other files."""
        return self._git("init", "--quiet", "--bare", "--template=", "--initial-branch=muslin")

    def ls_remote(self) -> tuple[str, ...]:
        """Where the reference is now; exit status 2 when the repository answers and has none that ends like it."""
        return self._git(
            "ls-remote", "--quiet", "--exit-code", "--end-of-options", self.remote.url, self.remote.reference
        )

    def fetch(self, to: str = TRACKED, *, shallow: bool = False) -> tuple[str, ...]:
        """Bring the reference, and only it, into the private namespace; a rewritten one is followed.

        Args:
            to: our name for it.
            shallow: only the newest commit; later fetches bring what came after it.
        """
        return self._git(
            "fetch", "--quiet", "--atomic", "--no-tags", "--no-recurse-submodules", "--no-write-fetch-head",
            "--no-auto-maintenance", *(("--depth=1",) if shallow else ()),
            "--end-of-options", self.remote.url, f"+{self.remote.reference}:{to}",
        )  # fmt: skip

    def commit_of(self, reference: str = FETCHED) -> tuple[str, ...]:
        """The commit that one of our references leads to, also through a tag; exit status above 0 where none is."""
        return self._git("rev-parse", "--quiet", "--verify", "--end-of-options", f"{reference}^{{commit}}")

    def follow(self, commit: str, name: str = TRACKED) -> tuple[str, ...]:
        """Let one of our references be this commit."""
        return self._git("update-ref", "--create-reflog", "--end-of-options", name, commit)

    def forget(self) -> tuple[str, ...]:
        """Let nothing be read: what was followed is not fit under the rules of today."""
        return self._git("update-ref", "-d", "--end-of-options", TRACKED)

    def tracked(self) -> tuple[str, ...]:
        """The id that the mirror holds; exit status 1 where there is none yet."""
        return self._git("rev-parse", "--quiet", "--verify", "--end-of-options", TRACKED)

    def sound(self) -> tuple[str, ...]:
        """Exit status 0 when commits and folders of what the mirror holds can all be read."""
        return self._git("rev-list", "--quiet", "--objects", "--end-of-options", TRACKED)

    def is_ancestor(self, older: str, newer: str) -> tuple[str, ...]:
        """Exit status 0 when the branch moved forward, 1 when it was rewritten. Ids only."""
        return self._git("merge-base", "--is-ancestor", "--end-of-options", older, newer)

    def first_parents(self, older: str, newer: str, most: int) -> tuple[str, ...]:
        """Commits from `newer` down its first parents that `older` does not lead to, newest first; at most `most`."""
        return self._git(
            "rev-list", "--first-parent", f"--max-count={most}", "--end-of-options", newer, f"^{older}", "--"
        )

    def raw_commit(self, commit: str) -> tuple[str, ...]:
        """The octets of a commit."""
        return self._git("cat-file", "commit", commit)

    def changed_paths(self, older: str, newer: str) -> tuple[str, ...]:
        """Paths that differ between two trees or commits, each ended by NUL. Ids only."""
        return self._git(
            "diff-tree", "-r", "-z", "--name-only", "--no-renames", "--no-ext-diff", "--no-textconv",
            "--ignore-submodules=none", "--end-of-options", older, newer,
        )  # fmt: skip

    def changes(self, older: str, newer: str) -> tuple[str, ...]:
        """Modes, ids and paths of what differs between two commits, each field ended by NUL. Ids only."""
        return self._git(
            "diff-tree", "-r", "-z", "--raw", "--no-abbrev", "--no-renames", "--no-ext-diff", "--no-textconv",
            "--ignore-submodules=none", "--end-of-options", older, newer,
        )  # fmt: skip

    def read_tree(self, commit: str) -> tuple[str, ...]:
        """Fill the index that `GIT_INDEX_FILE` names with what a commit holds; there is no work tree."""
        return self._git("read-tree", commit)

    def update_index(self) -> tuple[str, ...]:
        """Change that index as its standard input says."""
        return self._git("update-index", "-z", "--index-info")

    def write_tree(self) -> tuple[str, ...]:
        """The id of a tree of that index."""
        return self._git("write-tree")

    def write_commit(self) -> tuple[str, ...]:
        """The id of a commit with the octets on its standard input, which git checks."""
        return self._git("hash-object", "-t", "commit", "-w", "--stdin")

    def push(self, commit: str, branch: str) -> tuple[str, ...]:
        """Let a branch of the repository be this commit, if that is a step forward for it. Nothing is ever forced.

        Args:
            commit: an id.
            branch: the short name of a branch, checked by `remotes.is_name`.
        """
        into = (f"--receive-pack={_RECEIVE}",) if self.remote.transport is Transport.FILE else ()
        return self._git(
            "push", "--porcelain", "--no-verify", "--no-follow-tags", "--no-signed", "--recurse-submodules=no", *into,
            "--end-of-options", self.remote.url, f"{commit}:refs/heads/{branch}",
        )  # fmt: skip

    def tidy(self) -> tuple[str, ...]:
        """Repack when there are many small files; objects younger than a day stay."""
        return self._git("gc", "--auto", "--quiet")

    @property
    def moves(self) -> bool:
        """Whether what is followed can ever be another commit."""
        return self.remote.following is not Following.COMMIT
