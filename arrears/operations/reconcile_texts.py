"""The ledger's texts held against the provider's list: by SID, and by the reference that each text prints."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from sqlmodel import col, select

import models
from arrears.channels.tracking import Fate, Tracked
from arrears.clock import iso
from arrears.engine.vocabulary import ChannelName, StepStatus
from arrears.operations.deliveries import report
from arrears.operations.services import Services

_SID: Final = re.compile(r"(SM|MM)[0-9a-f]{32}")
_UNSETTLED: Final = (StepStatus.INTENDED, StepStatus.UNKNOWN)


class TextsRefused(Exception):
    """The texts cannot be reconciled; the message says why."""


@dataclass(frozen=True, slots=True)
class _Text:
    """A text as the ledger has it."""

    reference: str
    account_id: str
    sid: str
    status: str
    settled: bool


@dataclass(slots=True)
class Reconciled:
    """What the ledger and the provider say of a window's texts, and where they differ.

    `missing`: in the ledger, and not at the provider. `unknown`: at the provider, and not in the ledger. `doubled`:
    references that more than one text prints. `differing`: known to both, with another status. `unsettled`: in
    doubt in the ledger, which the next sweep or a person settles. Every row names a reference or a SID.
    """

    since: datetime
    until: datetime
    listed: int = 0
    in_ledger: int = 0
    agreed: int = 0
    missing: list[dict[str, str]] = field(default_factory=list[dict[str, str]])
    unknown: list[dict[str, str]] = field(default_factory=list[dict[str, str]])
    doubled: list[dict[str, str]] = field(default_factory=list[dict[str, str]])
    differing: list[dict[str, str]] = field(default_factory=list[dict[str, str]])
    unsettled: list[dict[str, str]] = field(default_factory=list[dict[str, str]])

    @property
    def agrees(self) -> bool:
        """Whether there is nothing to look into."""
        return not (self.missing or self.unknown or self.doubled or self.differing)

    def to_json(self) -> dict[str, Any]:
        """The shape of `arrears texts reconcile --json`."""
        lists = {name: getattr(self, name) for name in ("missing", "unknown", "doubled", "differing", "unsettled")}
        counts = {"listed": self.listed, "in_ledger": self.in_ledger, "agreed": self.agreed}
        return {"from": iso(self.since), "to": iso(self.until), "agrees": self.agrees, **counts, **lists}


def reconcile_texts(
    services: Services, since: datetime, until: datetime, *, take: bool = False, who: str
) -> Reconciled:
    """Page through the provider's texts created from `since` to `until` (wall time) and compare.

    With `take`, the cases of texts whose status differs follow what the provider says. Raises TextsRefused and
    ProviderSilent.
    """
    channel = services.channels[ChannelName.SMS]
    if not isinstance(channel, Tracked):
        raise TextsRefused("texts do not go out through Twilio here: TWILIO_ACCOUNT_SID and its like are not all set")
    result = Reconciled(since, until)
    texts = {text.reference: text for text in _in_ledger(services, since, until)}
    by_sid = {text.sid: text for text in texts.values() if text.sid}
    found: dict[str, Fate] = {}
    for fate in channel.listed(since, until):
        if not fate.outbound:
            continue
        result.listed += 1
        text = by_sid.get(fate.sid) or next((texts[mark] for mark in fate.marks if mark in texts), None)
        if text is None:
            if (other := _outside(services, fate)) is None:
                mark = fate.marks[0] if fate.marks else ""
                result.unknown.append({"sid": fate.sid, "reference": mark, "status": fate.status})
            elif other != fate.sid:
                result.doubled.append({"sid": fate.sid, "reference": fate.marks[0], "other": other})
        elif text.reference in found or (text.sid and text.sid != fate.sid):
            other = text.sid or found[text.reference].sid
            result.doubled.append({"sid": fate.sid, "reference": text.reference, "other": other})
        else:
            found[text.reference] = fate
    result.in_ledger = len(texts)
    for text in texts.values():
        fate = found.get(text.reference)
        if fate is None and text.sid:
            # What has not been sent is in no list by date of sending.
            fate = channel.fate(text.sid)
        _compare(result, text, fate)
        if take and fate is not None and text.settled and fate.status != text.status:
            report(services, text.reference, sid=fate.sid, status=fate.status, error_code=fate.error_code, who=who)
    return result


def _compare(result: Reconciled, text: _Text, fate: Fate | None) -> None:
    row = {"reference": text.reference, "account_id": text.account_id, "sid": text.sid}
    if not text.settled:
        result.unsettled.append({**row, "twilio": fate.status if fate else "not listed"})
    elif fate is None:
        result.missing.append({**row, "ledger": text.status})
    elif fate.status != text.status:
        result.differing.append({**row, "ledger": text.status, "twilio": fate.status, "error_code": fate.error_code})
    else:
        result.agreed += 1


def _in_ledger(services: Services, since: datetime, until: datetime) -> Iterator[_Text]:
    """The texts that went to the provider, or may have, with an intent in the window."""
    with services.ledger.read() as session:
        rows = session.exec(
            select(models.Step, models.Delivery)
            .outerjoin(models.Delivery, col(models.Delivery.reference) == col(models.Step.reference))
            .where(
                col(models.Step.channel) == ChannelName.SMS,
                col(models.Step.carried_by) == "",
                col(models.Step.intended_wall) >= since,
                col(models.Step.intended_wall) < until,
            )
        ).all()
    for step, delivery in rows:
        sid = delivery.sid if delivery else step.proof
        settled = step.status not in _UNSETTLED
        if (settled and not _SID.fullmatch(sid)) or (not settled and "from" not in step.payload):
            continue  # a text in the outbox, or one that never left
        yield _Text(step.reference, step.account_id, sid, delivery.status if delivery else "queued", settled)


def _outside(services: Services, fate: Fate) -> str | None:
    """The SID under which the ledger has a text that was intended outside the window; None when it has none."""
    with services.ledger.read() as session:
        known = session.exec(
            select(models.Step.proof, models.Delivery.sid)
            .outerjoin(models.Delivery, col(models.Delivery.reference) == col(models.Step.reference))
            .where(
                (col(models.Step.reference).in_(fate.marks))
                | (col(models.Step.proof) == fate.sid)
                | (col(models.Delivery.sid) == fate.sid)
            )
        ).first()
    return (known[1] or known[0] or fate.sid) if known else None
