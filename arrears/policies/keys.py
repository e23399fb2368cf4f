"""Public keys of partners: what cannot encrypt is found before there is a file to send.

That a key has run out is no fault of the file: it is told when something is to be encrypted, and stops nothing else.
"""

from __future__ import annotations

from pathlib import Path

import pysequoia
from pyrage import RecipientError, x25519
from pysequoia.packet import Packet, PacketPile, Tag

from arrears.engine.partners import AgeKey, OpenPgpKey

_SECRET = (Tag.SecretKey, Tag.SecretSubkey)


class KeyUnusable(ValueError):
    """A key to which nothing can be encrypted; the message says why and what was expected."""


def read_age_key(recipient: str) -> AgeKey:
    """The recipient `age1…`. Raises KeyUnusable."""
    if recipient.upper().startswith("AGE-SECRET-KEY-"):
        raise KeyUnusable("is a private key of age; only the partner has that, expected the public one, age1…")
    try:
        x25519.Recipient.from_str(recipient)
    except RecipientError as error:
        raise KeyUnusable(f"{recipient!r} is no public key of age, age1…: {error}") from None
    return AgeKey(recipient)


def read_openpgp_key(path: Path) -> OpenPgpKey:
    """The certificate in the file at `path`, armored or binary. Raises KeyUnusable."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise KeyUnusable(f"key file {path} cannot be read: {error.strerror}") from None
    try:
        certificate = pysequoia.Cert.from_bytes(content)
        packets = list(PacketPile.from_bytes(content))
    except RuntimeError as error:
        raise KeyUnusable(f"key file {path} holds no OpenPGP certificate: {_first_line(error)}") from None
    if any(packet.tag in _SECRET for packet in packets):
        raise KeyUnusable(f"key file {path} holds a private key; only the partner has that, expected the public one")
    if certificate.is_revoked:
        raise KeyUnusable(f"key file {path} holds a key that was revoked; ask the partner for its new one")
    if not any(_may_encrypt(packet) for packet in packets):
        raise KeyUnusable(f"key file {path} holds no key for encryption; ask the partner for one")
    return OpenPgpKey(content, certificate.fingerprint, certificate.expiration)


def _may_encrypt(packet: Packet) -> bool:
    flags = packet.key_flags if packet.tag == Tag.Signature else None
    return flags is not None and (flags.transport_encryption or flags.storage_encryption)


def _first_line(error: RuntimeError) -> str:
    """Sequoia's own words; a trace of its stack follows them."""
    return str(error).partition("\n")[0]
