"""Keys and certificates for servers of tests, made by openssl: an authority, and what it signs."""

from __future__ import annotations

import contextlib
import subprocess
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Authority", "Pair", "signing_key"]


@dataclass(frozen=True, slots=True)
class Pair:
    """A certificate and its private key, PEM files."""

    cert: Path
    key: Path


def _openssl(*arguments: str | Path) -> None:
    done = subprocess.run(["openssl", *map(str, arguments)], capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"openssl {arguments[0]}: {done.stderr.strip()}")


def signing_key(path: Path) -> Path:
    """A fresh private key on P-256, for TLS or for tokens; readable by its owner alone."""
    with contextlib.suppress(FileNotFoundError):
        path.unlink()
    path.touch(mode=0o600)
    _openssl("ecparam", "-genkey", "-name", "prime256v1", "-noout", "-out", path)
    return path


class Authority:
    """A certificate authority of its own; two of them trust nothing of each other."""

    def __init__(self, folder: Path, name: str = "muslin tests") -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.cert = folder / "ca.crt"
        self._key = signing_key(folder / "ca.key")
        _openssl("req", "-x509", "-new", "-key", self._key, "-subj", f"/CN={name}", "-days", "30", "-out", self.cert)

    def issue(
        self,
        name: str,
        *,
        groups: tuple[str, ...] = (),
        hosts: tuple[str, ...] = ("IP:127.0.0.1", "DNS:localhost"),
        days: int = 30,
    ) -> Pair:
        """A certificate for a server and a client at once.

        Args:
            name: common name: what Kubernetes and etcd take for the user.
            groups: organisations: what Kubernetes takes for the user's groups.
            hosts: subject alternative names, in openssl's words.
            days: from now; 0 is expired at once.
        """
        pair = Pair(self.folder / f"{name}.crt", signing_key(self.folder / f"{name}.key"))
        request, extensions = self.folder / f"{name}.csr", self.folder / f"{name}.ext"
        subject = "".join(f"/O={group}" for group in groups) + f"/CN={name}"
        _openssl("req", "-new", "-key", pair.key, "-subj", subject, "-out", request)
        extensions.write_text(
            f"subjectAltName={','.join(hosts)}\nextendedKeyUsage=serverAuth,clientAuth\nbasicConstraints=CA:FALSE\n"
        )
        serial = ("-CAcreateserial", "-CAserial", self.folder / "ca.srl")
        signer = ("-CA", self.cert, "-CAkey", self._key, *serial)
        _openssl("x509", "-req", "-in", request, *signer, "-days", str(days), "-extfile", extensions, "-out", pair.cert)
        return pair
