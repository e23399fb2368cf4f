"""Which of the lender's numbers a person is texted from: always the same one."""

from __future__ import annotations

from hashlib import blake2b

import phonenumbers

from arrears.settings import Settings

_ANYWHERE = "*"


def sender_for(settings: Settings, number: str, holder_id: str) -> str:
    """The sender for texts to `number` (E.164): of the pool of its country, or of `*`, or TWILIO_FROM.

    Of a pool, the holder's own: highest hash of person and sender, so that a sender that joins or leaves the pool
    moves none but its own people.
    """
    pools = settings.senders
    region = phonenumbers.region_code_for_number(phonenumbers.parse(number)) if pools else None
    pool = pools.get(region or "") or pools.get(_ANYWHERE) or (settings.twilio_from,)
    return max(pool, key=lambda sender: blake2b(f"{holder_id}|{sender}".encode(), digest_size=8).digest())
