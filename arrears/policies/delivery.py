"""What a provider's error codes mean for a case. Data in `policies/delivery/`."""

from __future__ import annotations

import re
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Final

from pydantic import Field

from arrears.engine.delivery import Consequence, DeliveryPolicy, Meaning, Unfinished
from arrears.policies.check import Row, check
from arrears.policies.document import Place
from arrears.policies.fields import Text, one_of
from arrears.policies.source import read_document

Hours = Annotated[int, Field(ge=1, le=240)]
ConsequenceWord = Annotated[Consequence, one_of(Consequence, "consequence")]
_CODE: Final = re.compile(r"[0-9]{5}")


class MeaningRow(Row):
    """`{means: the phone could not be reached, consequence: retry_later}`."""

    means: Text
    consequence: ConsequenceWord
    retry_after_hours: Annotated[list[Hours], Field(default_factory=list)]


class UnfinishedRow(Row):
    """When to ask about a text, and what one means that never left the provider."""

    ask_after_hours: Hours
    ask_again_hours: Hours
    give_up_after_hours: Hours
    code: Text
    means: Text
    consequence: ConsequenceWord


class _File(Row):
    provider: Text
    version: Annotated[int, Field(ge=1)]
    source: Text
    retry_after_hours: Annotated[list[Hours], Field(min_length=1)]
    unlisted: MeaningRow
    unfinished: UnfinishedRow
    codes: Annotated[dict[str, object], Field(min_length=1)]


def load_delivery(path: Path) -> DeliveryPolicy:
    """The policy in one file. Raises PolicyError with every problem, each with its line."""
    document = read_document(path)
    document.subject = _subject
    head = check(document, (), _File)
    codes: dict[str, Meaning] = {}
    for code in head.codes if head else ():
        place: Place = ("codes", code)
        row = check(document, place, MeaningRow)
        if not _CODE.fullmatch(code):
            document.report(place, f"{code!r} is no code of Twilio's; expected five digits in quotes", of_key=True)
        if row is None or head is None:
            continue
        later = row.consequence is Consequence.RETRY_LATER
        if row.retry_after_hours and not later:
            document.report(place, f"retry_after_hours belongs to retry_later, not to {row.consequence}")
        hours = (row.retry_after_hours or head.retry_after_hours) if later else ()
        codes[code] = Meaning(code, row.means, row.consequence, tuple(timedelta(hours=each) for each in hours))
    for name, row in (("unlisted", head.unlisted), ("unfinished", head.unfinished)) if head else ():
        # Nobody knows whether such a text has gone or may still go.
        if row.consequence is Consequence.RETRY_LATER:
            document.report((name, "consequence"), "retry_later is not safe here: the text might arrive twice")
    document.settle()
    assert head is not None
    last = head.unfinished
    return DeliveryPolicy(
        version=head.version,
        codes=codes,
        unlisted=Meaning("", head.unlisted.means, head.unlisted.consequence),
        unfinished=Unfinished(
            ask_after=timedelta(hours=last.ask_after_hours),
            ask_again_after=timedelta(hours=last.ask_again_hours),
            give_up_after=timedelta(hours=last.give_up_after_hours),
            meaning=Meaning(last.code, last.means, last.consequence),
        ),
    )


def _subject(place: Place) -> str:
    match place:
        case ("codes", str(code), *_):
            return f"code {code}: "
        case _:
            return ""
