"""Encryption to a partner's public key: age or OpenPGP. Only the partner can read what leaves."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import assert_never

import pysequoia
from pyrage import EncryptError, encrypt_io, x25519

from arrears.engine.partners import AgeKey, OpenPgpKey, PublicKey


class HandOffFailed(Exception):
    """The file has not got its name at the partner's, or that is not known; the message says why.

    `everywhere`: no other file would fare better.
    """

    def __init__(self, why: str, *, everywhere: bool = False) -> None:
        super().__init__(why)
        self.everywhere = everywhere


def ending(key: PublicKey | None) -> str:
    """What a file's name ends in once it is encrypted to `key`."""
    match key:
        case None:
            return ""
        case AgeKey():
            return ".age"
        case OpenPgpKey():
            return ".pgp"
        case _:
            assert_never(key)


def seal(source: Path, target: Path, key: PublicKey, *, now: datetime) -> None:
    """Encrypt `source` to `key` into `target`, block by block. `now`: wall time. Raises HandOffFailed."""
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        match key:
            case AgeKey(recipient):
                with source.open("rb") as reader, target.open("wb") as writer:
                    encrypt_io(reader, writer, [x25519.Recipient.from_str(recipient)])
            case OpenPgpKey(certificate, fingerprint, expires):
                if expires is not None and expires <= now:
                    raise HandOffFailed(
                        f"the key {fingerprint} ran out on {expires:%Y-%m-%d}; ask the partner for its new one"
                    )
                to = pysequoia.Cert.from_bytes(certificate)
                pysequoia.encrypt_file(str(source), str(target), recipients=[to], armor=False)
            case _:
                assert_never(key)
    except (EncryptError, RuntimeError) as error:
        # What follows Sequoia's first line is a trace of its stack.
        raise HandOffFailed(f"could not be encrypted: {str(error).partition(chr(10))[0]}") from None
    except OSError as error:
        raise HandOffFailed(f"could not be encrypted: {error.strerror or type(error).__name__}") from None
