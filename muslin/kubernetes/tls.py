"""TLS towards an API server: whom we trust, and the certificate that we show."""

from __future__ import annotations

import os
import ssl
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

from muslin.errors import BadInput, Problem
from muslin.kubernetes.access import Access, Pem
from muslin.kubernetes.certificates import not_after

__all__ = ["client_context"]


def client_context(access: Access, certificate: Pem | None, key: Pem | None) -> ssl.SSLContext:
    """TLS for an access. Raises BadInput for what is not PEM, does not fit together, or has expired."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # names and signatures are checked unless told otherwise
    context.set_alpn_protocols(["http/1.1"])
    context.options |= ssl.OP_NO_RENEGOTIATION  # kubectl refuses it too: nobody asks for an identity in mid-stream
    if access.insecure_skip_tls_verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    elif access.ca is None:
        context.load_default_certs(ssl.Purpose.SERVER_AUTH)
    else:
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN  # a kubeconfig may name the server's own certificate
        try:
            context.load_verify_locations(cadata=access.ca.read().decode("ascii"))
        except (ssl.SSLError, UnicodeDecodeError) as error:
            raise _not_pem("the certificate authority", access.ca, "certificates") from error
    if certificate is None and key is None:
        return context
    if certificate is None or key is None:
        there, missing = ("key", "certificate") if certificate is None else ("certificate", "key")
        where = (certificate or key or Pem("")).place
        raise BadInput(Problem(f"there is a client {there}, but no client {missing}", where, f"name the {missing} too"))
    shown = certificate.read()
    try:
        ends = not_after(shown)
    except ValueError as error:
        raise _not_pem("the client certificate", certificate, "a certificate") from error
    if ends <= datetime.now(UTC):
        raise BadInput(
            Problem(f"the client certificate expired on {ends:%Y-%m-%d %H:%M} UTC", certificate.place, "renew it")
        )
    with _private_file(shown + b"\n" + key.read()) as path:
        try:
            context.load_cert_chain(path, password=lambda: "")
        except (ssl.SSLError, ValueError) as error:
            mismatch = getattr(error, "reason", "") == "KEY_VALUES_MISMATCH"
            what = (
                "the client key does not belong to the client certificate"
                if mismatch
                else "the client key can't be used: it is no unencrypted PEM key"
            )
            raise BadInput(Problem(what, key.place, "give the key that the certificate was made for")) from error
    return context


def _not_pem(what: str, pem: Pem, wanted: str) -> BadInput:
    return BadInput(Problem(f"{what} is not PEM", pem.place, f"give {wanted} between BEGIN and END lines"))


@contextmanager
def _private_file(content: bytes) -> Iterator[str]:
    """A path to this content that no disk ever sees: OpenSSL reads keys from paths only."""
    if hasattr(os, "memfd_create"):
        descriptor = os.memfd_create("key", os.MFD_CLOEXEC)
        try:
            os.write(descriptor, content)
            yield f"/proc/self/fd/{descriptor}"
        finally:
            os.close(descriptor)
        return
    with tempfile.NamedTemporaryFile() as file:  # mode 0600, gone with the block
        file.write(content)
        file.flush()
        yield file.name
