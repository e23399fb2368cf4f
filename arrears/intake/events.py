"""Outside facts as documents: one shape for what is posted over HTTP and for the rows of an event file."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Final, Literal, get_args

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from arrears.engine.contact.facts import ContactChannel
from arrears.engine.life.placements import PlacementReport, ReferralReport
from arrears.engine.vocabulary import Disposition, ReturnReason
from arrears.intake.fields import account_id_in, is_country
from arrears.intake.rows import Record, RejectedRow, read_records

_FIRST_YEAR, _LAST_YEAR = 1990, 2100
# Control characters, and marks that reverse what a reader sees; a line break may stand in words.
_FORBIDDEN = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")
E164: Final = re.compile(r"\+[1-9][0-9]{6,14}")
_ACCOUNT_ID = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$"


def _account_id(text: str) -> str:
    if account_id_in(text) != text:
        raise ValueError("expected letters, digits, '.', '_' and '-' only, at most 64, a letter or digit first")
    return text


def _plain(text: str) -> str:
    if _FORBIDDEN.search(text):
        raise ValueError("a control character is in the text")
    return text


def _e164(text: str) -> str:
    if text and not E164.fullmatch(text):
        raise ValueError("expected a number as +14155550123")
    return text


def _country(code: str) -> str:
    if not is_country(code):
        raise ValueError("expected an ISO 3166 code such as US")
    return code


def _year(moment: Any) -> Any:
    if not _FIRST_YEAR <= moment.year <= _LAST_YEAR:
        raise ValueError(f"lies outside {_FIRST_YEAR} to {_LAST_YEAR}")
    return moment


AccountId = Annotated[str, AfterValidator(_account_id), Field(json_schema_extra={"pattern": _ACCOUNT_ID})]
Reference = Annotated[str, Field(min_length=1, max_length=128), AfterValidator(_plain)]
Words = Annotated[str, Field(max_length=2000), AfterValidator(_plain)]
Amount = Annotated[str, Field(pattern=r"^[+-]?[0-9]{1,16}(\.[0-9]{1,4})?$", examples=["120.00"])]
Currency = Annotated[str, Field(pattern=r"^[A-Z]{3}$", examples=["USD"])]
Day = Annotated[date, AfterValidator(_year)]
Instant = Annotated[AwareDatetime, AfterValidator(_year)]
Country = Annotated[str, Field(pattern=r"^[A-Z]{2}$", examples=["US"]), AfterValidator(_country)]
Number = Annotated[str, Field(max_length=16), AfterValidator(_e164)]


class Document(BaseModel):
    """One fact about one account: `reference` is its name in the register of its kind, `at` when it happened."""

    model_config = ConfigDict(extra="forbid", str_strip_whitespace=True, frozen=True)

    account_id: AccountId
    reference: Reference
    at: Instant


class PaymentDocument(Document):
    """Money received."""

    event: Literal["payment"] = "payment"
    amount: Amount
    currency: Currency


class ReversalDocument(Document):
    """A payment, or `amount` of it, taken back; `of` is the payment's reference."""

    event: Literal["reversal"] = "reversal"
    of: Reference
    amount: Amount | None = None


class ChargeDocument(Document):
    """A fee or interest."""

    event: Literal["charge"] = "charge"
    kind: Literal["fee", "interest"]
    amount: Amount
    currency: Currency


class AdjustmentDocument(Document):
    """A correction: below zero it is owed less."""

    event: Literal["adjustment"] = "adjustment"
    amount: Amount
    currency: Currency


class LeftoverDocument(Document):
    """What a person decided about fees and interest that are left."""

    event: Literal["leftover"] = "leftover"
    waive: bool


class PromiseDocument(Document):
    """The holder's word to pay by the end of `due_on`."""

    event: Literal["promise"] = "promise"
    amount: Amount
    due_on: Day


class InstalmentDocument(BaseModel):
    """One part of a plan."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    due_on: Day
    amount: Amount


class PlanDocument(Document):
    """Instalments agreed upon."""

    event: Literal["plan"] = "plan"
    instalments: Annotated[list[InstalmentDocument], Field(min_length=1, max_length=120)]
    misses_allowed: Annotated[int, Field(ge=0, le=120)] = 0


class WithdrawalDocument(Document):
    """A promise or plan (its reference) that no longer counts."""

    event: Literal["withdrawal"] = "withdrawal"
    of: Reference


class HoldDocument(Document):
    """A reason not to collect."""

    event: Literal["hold"] = "hold"
    kind: Words
    channel: ContactChannel | None = None
    until: Instant | None = None
    evidence: Words = ""
    review_on: Day | None = None


class ReleaseDocument(Document):
    """Every hold of `kind` set before is over."""

    event: Literal["release"] = "release"
    kind: Words


class ConsentDocument(Document):
    """The holder's yes to a channel."""

    event: Literal["consent"] = "consent"
    channel: ContactChannel
    evidence: Annotated[Words, Field(min_length=1)]


class RevocationDocument(Document):
    """The holder's no to channels."""

    event: Literal["revocation"] = "revocation"
    channels: Annotated[list[ContactChannel], Field(min_length=1, max_length=16)]
    how: Annotated[Words, Field(min_length=1)]


class Direction(StrEnum):
    """Who made a contact."""

    INBOUND = "inbound"
    OUTBOUND = "outbound"


class ContactDocument(Document):
    """A contact that no rung made."""

    event: Literal["contact"] = "contact"
    channel: ContactChannel
    direction: Direction
    outcome: Disposition | Literal["conversation", ""] = ""
    notice: Words = ""
    note: Words = ""


class TextDocument(Document):
    """A text message that the holder sent."""

    event: Literal["text"] = "text"
    text: Words
    number: Number = ""


class CallDocument(Document):
    """The outcome of the open call task; a promise may bring its amount and date, a callback its time."""

    event: Literal["call"] = "call"
    outcome: Disposition
    by: Annotated[Words, Field(min_length=1)]
    note: Words = ""
    amount: Amount | None = None
    due_on: Day | None = None
    call_back_at: Instant | None = None


class NumberDocument(Document):
    """Whether the holder can be reached at a number; a good one that is new is added."""

    event: Literal["number"] = "number"
    number: Annotated[Number, Field(min_length=1)]
    good: bool
    why: Words = ""


class ReturnedMailDocument(Document):
    """A letter that the post brought back; `reference` is the letter's own."""

    event: Literal["returned_mail"] = "returned_mail"
    reason: ReturnReason


class AddressDocument(Document):
    """Where the holder gets mail."""

    event: Literal["address"] = "address"
    street: Annotated[Words, Field(min_length=1)]
    city: Annotated[Words, Field(min_length=1)]
    region: Words = ""
    postal_code: Annotated[Words, Field(min_length=1)]
    country: Country
    why: Words = ""


class PlacementReportDocument(Document):
    """What an agency says of a placement; an objection needs one of its two reasons."""

    event: Literal["placement_report"] = "placement_report"
    placement: Reference
    report: PlacementReport
    reason: Words = ""


class RemittanceDocument(Document):
    """A payment that came through an agency, and what the agency keeps of it."""

    event: Literal["remittance"] = "remittance"
    placement: Reference
    amount: Amount
    commission: Amount
    currency: Currency


class ReferralReportDocument(Document):
    """What a law firm or a court says of a referral; `amount` is a judgment's."""

    event: Literal["referral_report"] = "referral_report"
    referral: Reference
    report: ReferralReport
    detail: Words = ""
    amount: Amount | None = None


EventDocument = Annotated[
    PaymentDocument
    | ReversalDocument
    | ChargeDocument
    | AdjustmentDocument
    | LeftoverDocument
    | PromiseDocument
    | PlanDocument
    | WithdrawalDocument
    | HoldDocument
    | ReleaseDocument
    | ConsentDocument
    | RevocationDocument
    | ContactDocument
    | TextDocument
    | CallDocument
    | NumberDocument
    | ReturnedMailDocument
    | AddressDocument
    | PlacementReportDocument
    | RemittanceDocument
    | ReferralReportDocument,
    Field(discriminator="event"),
]
_ADAPTER: Final[TypeAdapter[EventDocument]] = TypeAdapter(EventDocument)
KINDS: Final = tuple(sorted(shape.model_fields["event"].default for shape in get_args(get_args(EventDocument)[0])))

REQUIRED: Final = ("account_id", "event", "reference", "at")
OPTIONAL: Final = (
    "amount", "by", "call_back_at", "channel", "channels", "city", "commission", "country", "currency", "detail",
    "direction", "due_on", "evidence", "good", "how", "instalments", "kind", "misses_allowed", "note", "notice",
    "number", "of", "outcome", "placement", "postal_code", "reason", "referral", "region", "report", "review_on",
    "street", "text", "until", "waive", "why",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class EventRow:
    """One good row of an event file."""

    line: int
    document: EventDocument
    raw: tuple[str, ...]

    @property
    def account_id(self) -> str:
        """Whose fact it is."""
        return self.document.account_id


def read_events(path: Path) -> Iterator[EventRow | RejectedRow]:
    """Good rows and refused ones, in the file's order. An empty cell is a column the row does not have.

    `channels` are separated by spaces; `instalments` are `2026-12-01=50.00`, separated by spaces. Raises
    PortfolioError before the first row when the file as a whole cannot be read.
    """
    for record in read_records(path, required=REQUIRED, optional=OPTIONAL, multiline=("text", "note")):
        yield _row(record) if isinstance(record, Record) else record


def problems(errors: Sequence[Mapping[str, Any]]) -> str:
    """What is wrong with a document, field by field, without any value: those may be personal."""
    return "; ".join(dict.fromkeys(f"{_where(error['loc'])}: {_what(error)}" for error in errors))


def _where(place: Sequence[str | int]) -> str:
    parts = [str(part) for part in place if part != "body"]
    return ".".join(parts[1:] if parts and parts[0] in KINDS else parts) or "event"


def _what(error: Mapping[str, Any]) -> str:
    match error["type"]:
        case "union_tag_invalid" | "union_tag_not_found":
            return f"expected one of {', '.join(KINDS)}"
        case "value_error":
            return str(error["msg"]).removeprefix("Value error, ")
        case _:
            return str(error["msg"])


def _row(record: Record) -> EventRow | RejectedRow:
    try:
        document = _ADAPTER.validate_python(_values(record.cells))
    except ValidationError as error:
        account_id = account_id_in(record.cells.get("account_id", ""))
        return RejectedRow(record.line, account_id, problems(error.errors()), record.raw)
    return EventRow(record.line, document, record.raw)


def _values(cells: Mapping[str, str]) -> dict[str, Any]:
    values: dict[str, Any] = {name: cell for name, cell in cells.items() if cell}
    if "channels" in values:
        values["channels"] = values["channels"].split()
    if "instalments" in values:
        parts = (part.partition("=") for part in values["instalments"].split())
        values["instalments"] = [{"due_on": day, "amount": amount} for day, _, amount in parts]
    return values
