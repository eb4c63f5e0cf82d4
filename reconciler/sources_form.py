"""What may stand in the file of sources, field by field: its form only. What it means is checked in `sources_file`."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from muslin.resources.fields import Bool, DurationField, Int, Text, UniqueTuple
from muslin.resources.part import Part
from muslin.resources.validation import ValidationRule
from reconciler.reverts import AUTHOR
from reconciler.webhook import Provider

__all__ = [
    "CredentialFields",
    "FileFields",
    "FromFields",
    "HookFields",
    "ListenFields",
    "RevertFields",
    "SetFields",
    "SignatureFields",
    "SignerFields",
    "SourceFields",
]


class CredentialFields(Part):
    """Who we are, and who the other must be."""

    RULES: ClassVar[tuple[ValidationRule, ...]] = ()
    ssh_key: Text | None = Field(default=None, description="Private key for ssh.")
    known_hosts: Text | None = Field(default=None, description="The only host keys that are believed.")
    user: Text = Field(default="git", description="Name that goes with the token.")
    token_file: Text | None = Field(default=None, description="File with a token, read for every fetch.")
    certificate: Text | None = Field(default=None, description="Client certificate, PEM.")
    key: Text | None = Field(default=None, description="Its private key, PEM.")
    authority: Text | None = Field(default=None, description="The only authorities that are believed, PEM.")
    pinned_key: Text | None = Field(default=None, description="The only public key that is believed: sha256//...")


class SignerFields(Part):
    """Who may change one folder or file."""

    path: Text = Field(description="A folder or file.")
    signers: UniqueTuple[Text] = Field(description="Principals of ssh, or OpenPGP fingerprints.")


class SignatureFields(Part):
    """Whose signatures a source asks for."""

    allowed_signers: Text | None = Field(default=None, description="Principals and their ssh keys, as ssh-keygen has.")
    revoked: Text | None = Field(default=None, description="ssh keys that count no more.")
    keyring: Text | None = Field(default=None, description="OpenPGP public keys, as gpg --export writes them.")
    paths: tuple[SignerFields, ...] = Field(default=(), description="Who may change what; the longest path decides.")
    anchor: Text | None = Field(default=None, description="A commit that a person has looked at.")
    rewrites: Bool = Field(default=False, description="Whether a rewritten branch is followed if it is signed.")


class HookFields(Part):
    """Who may wake the fetcher for a source."""

    provider: Provider = Field(description="How the sender proves itself.")
    secret_file: Text = Field(description="File with the shared secret.")


class RevertFields(Part):
    """Where reverts go to, and by whom."""

    branch: Text | None = Field(default=None, description="Where a revert is pushed to; muslin/revert-{commit}.")
    tracked: Bool = Field(default=False, description="Whether it is pushed to the branch that is followed.")
    signing_key: Text | None = Field(default=None, description="Private ssh key by which reverts are signed.")
    author: Text = Field(default=AUTHOR, description="Name <address> of their author.")


class SourceFields(Part):
    """One reference of one repository."""

    name: Text = Field(description="Name of the source; also of its mirror's folder.")
    url: Text = Field(description="https://host/path, ssh://user@host/path, or a path with allowLocal.")
    branch: Text | None = Field(default=None, description="The branch to follow; main where nothing is given.")
    tag: Text | None = Field(default=None, description="The tag to follow.")
    commit: Text | None = Field(default=None, description="The commit to stay at, all 40 digits.")
    allow_local: Bool = Field(default=False, description="Whether url may be a path on this machine.")
    credentials: CredentialFields = Field(default=CredentialFields(), description="Who we are, and who it must be.")
    signatures: SignatureFields | None = Field(default=None, description="Commits must be signed by these.")
    interval: DurationField | None = Field(default=None, description="Between looks without a push; 30s.")
    timeout: DurationField | None = Field(default=None, description="How long one git command may take; 60s.")
    webhook: HookFields | None = Field(default=None, description="Who may wake the fetcher over HTTP.")
    revert: RevertFields | None = Field(default=None, description="Whether commits are reverted that were taken back.")


class FromFields(Part):
    """What a set reads of one source."""

    source: Text = Field(description="Name of a source.")
    paths: UniqueTuple[Text] = Field(default=(".",), description="Folders that are read.")
    include: UniqueTuple[Text] = Field(default=(), description="Patterns: with any, only files that match.")
    exclude: UniqueTuple[Text] = Field(default=(), description="Patterns: what matches is as if it were not there.")
    blueprints: UniqueTuple[Text] = Field(default=(), description="Installed blueprints that may render facts in it.")


class SetFields(Part):
    """What one reconciler keeps in line."""

    name: Text = Field(description="Name of the set's ledger and status.")
    from_: tuple[FromFields, ...] = Field(description="What it is made of.")
    wake: Text | None = Field(default=None, description="Socket on which its reconciler is woken.")


class ListenFields(Part):
    """Where pushes are told."""

    listen: Text = Field(default="127.0.0.1:8443", description="Address and port.")
    certificate: Text | None = Field(default=None, description="Server certificate, PEM.")
    key: Text | None = Field(default=None, description="Its private key, PEM.")


class FileFields(Part):
    """The whole file."""

    api_version: Literal["reconciler.muslin/v1alpha1"] = Field(description="Version of this description.")
    kind: Literal["Sources"] = Field(description="What is described.")
    mirrors: Text = Field(description="Folder in which every source has its mirror.")
    reverts: Text | None = Field(default=None, description="Folder in which reconcilers ask for reverts.")
    sources: tuple[SourceFields, ...] = Field(description="What is fetched.")
    sets: tuple[SetFields, ...] = Field(description="What is kept in line with it.")
    webhook: ListenFields | None = Field(default=None, description="Where pushes are told.")
    max_bytes: Int = Field(default=256 << 20, ge=1 << 16, description="Largest file that a fetch may write.")
