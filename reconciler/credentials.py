"""How we prove to a repository's server who we are, and how it must prove who it is.

What is secret never stands in an argument list, an address, a log or a file of ours: a token goes to git in the
environment of that one child, bound to the one server, so that git does not send it anywhere else. Files are named in
arguments, and their content is read by git or ssh.
"""

from __future__ import annotations

import base64
import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from muslin.errors import BadInput, Problem, Unavailable
from reconciler.remotes import Remote, Transport

__all__ = ["Credentials"]

_LARGEST_TOKEN: Final = 8192
_PIN = re.compile(r"sha256//[A-Za-z0-9+/]{43}=")
_USER = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+@-]*")


@dataclass(frozen=True, slots=True)
class Credentials:
    """Files and names for one source; what is None is not used.

    Attributes:
        ssh_key: private key. With it no agent is asked and no other key is offered.
        known_hosts: the only host keys that are believed.
        user: name that goes with the token.
        token_file: a file whose first line is a token or password, read for every fetch, so that it may be rotated.
        certificate: client certificate, PEM.
        key: its private key, PEM.
        authority: the only certificate authorities that are believed, PEM; the system's where None.
        pinned_key: `sha256//...`: the only public key of a server that is believed, as curl spells it.
    """

    ssh_key: Path | None = None
    known_hosts: Path | None = None
    user: str = "git"
    token_file: Path | None = None
    certificate: Path | None = None
    key: Path | None = None
    authority: Path | None = None
    pinned_key: str | None = None

    def problems(self, transport: Transport) -> tuple[Problem, ...]:
        """What does not fit the transport or cannot be: all of it."""
        found = []
        https = [self.token_file, self.certificate, self.key, self.authority, self.pinned_key]
        if transport is not Transport.HTTPS and any(each is not None for each in https):
            found.append(
                Problem(f"a token, certificate or authority is of no use over {transport}", "credentials", "use https")
            )
        if transport is not Transport.SSH and (self.ssh_key is not None or self.known_hosts is not None):
            found.append(
                Problem(f"an ssh key is of no use over {transport}", "credentials", "use ssh://user@host/path")
            )
        if (self.key is None) is not (self.certificate is None):
            found.append(Problem("certificate and key belong together", "credentials", "give both, or none"))
        if not _USER.fullmatch(self.user):
            found.append(Problem("the user name has characters that are not allowed", "credentials", "use letters"))
        if self.pinned_key is not None and not _PIN.fullmatch(self.pinned_key):
            what = f"{self.pinned_key[:80]!r} is not the hash of a public key"
            found.append(Problem(what, "credentials", "write sha256// and 44 characters of base64"))
        files = (self.ssh_key, self.known_hosts, self.token_file, self.certificate, self.key, self.authority)
        found.extend(
            Problem("there is no such file", str(path), "give the path of a file that is there")
            for path in files
            if path is not None and not path.is_file()
        )
        return tuple(found)

    def settings(self, remote: Remote, nobody: Path) -> tuple[str, ...]:
        """Settings of git for the command line: paths and hashes, nothing secret.

        Args:
            remote: what is reached.
            nobody: an empty folder, which takes the place of the system's authorities where our own are given.
        """
        if remote.transport is not Transport.HTTPS:
            return ()
        given = ["http.sslVerify=true", "http.emptyAuth=false", "http.saveCookies=false"]
        if self.certificate is not None:
            given += [f"http.sslCert={self.certificate.absolute()}"]
        if self.key is not None:
            given += [f"http.sslKey={self.key.absolute()}"]
        if self.authority is not None:
            given += [f"http.sslCAInfo={self.authority.absolute()}", f"http.sslCAPath={nobody}"]
        if self.pinned_key is not None:
            given += [f"http.pinnedPubkey={self.pinned_key}"]
        return tuple(given)

    def environment(self, remote: Remote) -> dict[str, str]:
        """What git's child gets in its environment: the token, for this server and no other.

        Raises:
            Unavailable: the token's file cannot be read now; it may be being replaced.
            BadInput: it holds no token.
        """
        if remote.transport is not Transport.HTTPS or self.token_file is None:
            return {}
        parts = urlsplit(remote.url)
        answer = base64.b64encode(f"{self.user}:{_token(self.token_file)}".encode()).decode()
        return {
            "GIT_CONFIG_COUNT": "1",
            "GIT_CONFIG_KEY_0": f"http.{parts.scheme}://{parts.netloc}/.extraHeader",
            "GIT_CONFIG_VALUE_0": f"Authorization: Basic {answer}",
        }

    @staticmethod
    def without_secrets(said: str, environment: Mapping[str, str]) -> str:
        """What a program said, without the secrets that `environment` gave it: a server may send them back.

        Args:
            said: its words.
            environment: what it was started with.
        """
        proof = environment.get("GIT_CONFIG_VALUE_0", "").rpartition(" ")[2]
        if not proof:
            return said
        token = base64.b64decode(proof).decode().partition(":")[2]
        return said.replace(proof, "***").replace(token, "***")

    def ssh(self) -> str:
        """The command that git starts for ssh: nothing of the user's or machine's configuration has a say."""
        options = [
            "BatchMode=yes", "StrictHostKeyChecking=yes", "CheckHostIP=no", "UpdateHostKeys=no", "ForwardAgent=no",
            "ForwardX11=no", "ClearAllForwardings=yes", "PermitLocalCommand=no", "ProxyCommand=none", "Tunnel=no",
            "ControlMaster=no", "ControlPath=none", "CanonicalizeHostname=no", "VerifyHostKeyDNS=no",
            "ConnectTimeout=20", "ServerAliveInterval=10", "ServerAliveCountMax=3",
        ]  # fmt: skip
        if self.ssh_key is not None:
            options += ["IdentityAgent=none", "IdentitiesOnly=yes", f"IdentityFile={self.ssh_key.absolute()}"]
            options += ["PreferredAuthentications=publickey"]
        if self.known_hosts is not None:
            options += [f"UserKnownHostsFile={self.known_hosts.absolute()}", "GlobalKnownHostsFile=/dev/null"]
        return shlex.join(["ssh", "-F", "/dev/null", *(part for option in options for part in ("-o", option))])


def _token(path: Path) -> str:
    try:
        with path.open("rb") as file:
            first, _, _ = file.read(_LARGEST_TOKEN).partition(b"\n")
    except OSError as error:
        raise Unavailable(
            Problem(f"the token cannot be read: {error.strerror}", str(path), "check the file and its owner")
        ) from error
    try:
        token = first.strip().decode("ascii")
    except UnicodeDecodeError:
        token = ""
    if not token or not token.isprintable() or " " in token:
        raise BadInput(Problem("the file holds no token on its first line", str(path), "write the token into it"))
    return token
