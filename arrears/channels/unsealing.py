"""Files that come encrypted to our own key, by age or OpenPGP; the private keys come from the environment alone."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

import pyrage
import pysequoia
from pyrage import x25519

_AGE: Final = (b"age-encryption.org/v1\n", b"-----BEGIN AGE ENCRYPTED FILE-----")
_PGP: Final = b"-----BEGIN PGP MESSAGE-----"
_PGP_ENDINGS: Final = (".pgp", ".gpg", ".asc")


class NotOpened(Exception):
    """The file could not be decrypted; the message says why and what to do, and nothing of the key."""


@dataclass(frozen=True, slots=True)
class OurKeys:
    """Our private keys: an age identity, `AGE-SECRET-KEY-1…`, and an armored OpenPGP one; empty where there is none."""

    age: str = field(default="", repr=False)
    openpgp: str = field(default="", repr=False)


def sealed(name: str, content: bytes) -> bool:
    """Whether the file is encrypted: by what it begins with, or by a name that says OpenPGP."""
    begins = content.lstrip()
    return begins.startswith((*_AGE, _PGP)) or name.lower().endswith((*_PGP_ENDINGS, ".age"))


def unseal(name: str, content: bytes, keys: OurKeys) -> bytes:
    """What the file holds; the content itself when it is not encrypted. Raises NotOpened."""
    if not sealed(name, content):
        return content
    if content.lstrip().startswith(_AGE) or name.lower().endswith(".age"):
        return _by_age(content, keys.age)
    return _by_openpgp(content, keys.openpgp)


def plain_name(name: str) -> str:
    """The name without the ending that says it is encrypted."""
    for ending in (".age", *_PGP_ENDINGS):
        if name.lower().endswith(ending):
            return name[: -len(ending)]
    return name


def _by_age(content: bytes, key: str) -> bytes:
    if not key:
        raise NotOpened("it is encrypted by age, and ARREARS_AGE_KEY is not set; set it to our identity")
    try:
        identity = x25519.Identity.from_str(key.strip())
    except pyrage.IdentityError:
        raise NotOpened("ARREARS_AGE_KEY is no identity of age; expected AGE-SECRET-KEY-1…") from None
    try:
        return pyrage.decrypt(content, [identity])
    except pyrage.DecryptError:
        raise NotOpened("it is not encrypted to our key of age, or it is damaged; ask for it anew") from None


def _by_openpgp(content: bytes, key: str) -> bytes:
    if not key:
        raise NotOpened("it is encrypted by OpenPGP, and ARREARS_OPENPGP_KEY is not set; set it to our private key")
    try:
        decryptor = pysequoia.Tsk.from_bytes(key.encode()).decryptor()
    except RuntimeError:
        raise NotOpened("ARREARS_OPENPGP_KEY is no private key of OpenPGP without a passphrase") from None
    try:
        opened = pysequoia.decrypt(content, decryptor=decryptor).bytes
    except RuntimeError:
        raise NotOpened("it is not encrypted to our key of OpenPGP, or it is damaged; ask for it anew") from None
    if opened is None:
        raise NotOpened("it holds nothing that is encrypted; ask for it anew")
    return bytes(opened)
