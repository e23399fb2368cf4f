"""Short unique references, made to be read aloud and typed back."""

from __future__ import annotations

from hashlib import blake2b

from sqlmodel import Session, select

import models
from arrears.ledger.ahead import person_of

# Crockford's base 32: no I, L, O or U to misread.
_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


def step_reference(case_id: str, rung: str, attempt: int, *, salt: int = 0) -> str:
    """Eight characters (40 bits) that are the same for the same step; `salt` makes another one.

    The ledger refuses a second use, so on the rare collision the caller asks again with a new salt.
    """
    digest = blake2b(f"{case_id}|{rung}|{attempt}|{salt}".encode(), digest_size=5).digest()
    number = int.from_bytes(digest)
    return "".join(_ALPHABET[number >> shift & 31] for shift in range(35, -5, -5))


def free_reference(session: Session, case: models.Case, rung: str, attempt: int) -> str:
    """The step's reference, or the next one that no other step has.

    Of what was read ahead it is not asked whether it is free: one in a hundred thousand is not among ten million
    steps, the ledger refuses it, and whoever reads ahead then goes one by one.
    """
    case_id = case.id
    if person_of(session, account_id=case.account_id):
        return step_reference(case_id, rung, attempt)
    for salt in range(16):
        reference = step_reference(case_id, rung, attempt, salt=salt)
        if session.exec(select(models.Step.id).where(models.Step.reference == reference)).first() is None:
            return reference
    raise AssertionError("sixteen reference collisions in a row")
