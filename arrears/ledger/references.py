"""Short unique references, made to be read aloud and typed back."""

from __future__ import annotations

from hashlib import blake2b

# Crockford's base 32: no I, L, O or U to misread.
_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
LENGTH = 8


def step_reference(case_id: str, rung: str, attempt: int, *, salt: int = 0) -> str:
    """Eight characters (40 bits) that are the same for the same step; `salt` makes another one.

    The ledger refuses a second use, so on the rare collision the caller asks again with a new salt.
    """
    digest = blake2b(f"{case_id}|{rung}|{attempt}|{salt}".encode(), digest_size=5).digest()
    number = int.from_bytes(digest)
    return "".join(_ALPHABET[number >> shift & 31] for shift in range(35, -5, -5))
