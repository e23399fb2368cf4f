"""The blocks of a ladder file, and the engine's shapes they stand for."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from arrears.engine.ladder import (
    AfterDone,
    AnyOf,
    Approved,
    Attempts,
    BalanceAtLeast,
    Contacts,
    ContactsWithoutPayment,
    DaysAfter,
    DaysPastDue,
    Due,
    Late,
    Leftover,
    NotTimeBarred,
    RecallTerms,
    Requirement,
    Returned,
    Rung,
    SeveralAccounts,
    Terms,
    UnreachedCalls,
)
from arrears.engine.money import Money, MoneyError
from arrears.engine.vocabulary import ChannelName, Disposition, Stage
from arrears.policies.check import Row
from arrears.policies.fields import ClockTime, Days, Name, Text, Word, one_of, wrong_block, wrong_value
from arrears.policies.problems import listed

Count = Annotated[int, Field(ge=1, le=1000)]
StageWord = Annotated[Stage, one_of(Stage, "stage", without=frozenset({Stage.NONE}))]
ChannelWord = Annotated[ChannelName, one_of(ChannelName, "channel")]
LateWord = Annotated[Late, one_of(Late, "word for lateness")]
DispositionWord = Annotated[Disposition, one_of(Disposition, "outcome of a call")]


class DueRow(Row):
    """`{dpd: 30, at: "10:00"}` or `{after: letter-2, days: 15, at: "10:00"}`."""

    at: ClockTime
    dpd: Days | None = None
    after: Name | None = None
    days: Days | None = None

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if (self.dpd is None) == (self.after is None):
            raise wrong_block("due needs either dpd, or after and days")
        if (self.after is None) != (self.days is None):
            raise wrong_block("due needs after and days together")
        return self

    def due(self) -> Due:
        """The engine's shape."""
        if self.dpd is not None:
            return DaysPastDue(self.dpd, self.at)
        assert self.after is not None
        assert self.days is not None
        return DaysAfter(self.after, self.days, self.at)


class AttemptsRow(Row):
    """`{most: 15, days_apart: 4}`."""

    most: Count
    days_apart: Annotated[int, Field(ge=1, le=3650)] = 1


class UntilRow(Row):
    """`{dpd: 90}`: from that day past due on, the rung is no longer made."""

    dpd: Days


class RequirementRow(Row):
    """One condition, such as `{done: letter-3, days: 10}`; `approved` and `not_time_barred` are words."""

    done: Name | None = None
    days: Days | None = None
    contacts_without_payment: Count | None = None
    unreached_calls: Count | None = None
    balance_at_least: Annotated[dict[str, object], Field(min_length=1)] | None = None
    any: Annotated[list[RequirementRow], Field(min_length=1)] | None = None
    not_time_barred: bool | None = None
    approved: bool | None = None
    returned: Name | None = None

    @model_validator(mode="before")
    @classmethod
    def _words(cls, value: object) -> object:
        if isinstance(value, str):
            if value not in _WORDS:
                raise wrong_value(f"{value!r} is no requirement; expected {listed(_WORDS)}, or a block of keys")
            return {value: True}
        return value

    @model_validator(mode="after")
    def _one_kind(self) -> Self:
        given = [kind for kind in _KINDS if getattr(self, kind) is not None]
        if len(given) != 1:
            said = listed(given, "and") if given else "none"
            raise wrong_block(f"a requirement is one of {listed(_KINDS)}; this one has {said}")
        if self.days is not None and self.done is None:
            raise wrong_block("days in a requirement belongs to done")
        if self.not_time_barred is False or self.approved is False:
            raise wrong_block(f"{given[0]} cannot be false; leave the requirement out")
        for currency, amount in (self.balance_at_least or {}).items():
            _money(currency, amount)
        return self

    def names(self) -> list[str]:
        """Rungs that must be done or back, in `any` as well."""
        own = self.done or self.returned
        return [own] if own else [name for row in self.any or () for name in row.names()]

    def requirement(self) -> Requirement:
        """The engine's shape."""
        if self.done is not None:
            return AfterDone(self.done, self.days or 0)
        if self.contacts_without_payment is not None:
            return ContactsWithoutPayment(self.contacts_without_payment)
        if self.unreached_calls is not None:
            return UnreachedCalls(self.unreached_calls)
        if self.balance_at_least is not None:
            return BalanceAtLeast({code: _money(code, amount) for code, amount in self.balance_at_least.items()})
        if self.returned is not None:
            return Returned(self.returned)
        if self.any is not None:
            return AnyOf(tuple(row.requirement() for row in self.any))
        return Approved() if self.approved else NotTimeBarred()


_WORDS = ("not_time_barred", "approved")
_KINDS = ("done", "contacts_without_payment", "unreached_calls", "balance_at_least", "any", "returned", *_WORDS)


def _money(currency: str, amount: object) -> Money:
    try:
        money = Money.parse(str(amount), currency)
    except MoneyError as error:
        raise _wrong_amount(currency, str(error)) from None
    if money.amount < 0:
        raise _wrong_amount(currency, f"{str(amount)!r} is below zero")
    return money


def _wrong_amount(currency: str, message: str) -> PydanticCustomError:
    return wrong_block(f"balance_at_least.{currency}: {message}")


class TermsRow(Row):
    """What promises and plans are worth; every key may be left out."""

    grace_days: Annotated[int, Field(ge=0, le=30)] = 2
    furthest_days: Annotated[int, Field(ge=1, le=365)] = 45
    after_broken: Name | None = None
    leftover_charges: Annotated[Leftover, one_of(Leftover, "word for charges left over")] = Leftover.ASK

    def terms(self) -> Terms:
        """The engine's shape."""
        return Terms(self.grace_days, self.furthest_days, self.after_broken or "", self.leftover_charges)


class SeveralAccountsRow(Row):
    """`{contacts: merge, hours: 20}`."""

    contacts: Annotated[Contacts, one_of(Contacts, "word for contacts with one person")]
    hours: Annotated[int, Field(ge=1, le=720)] = 20

    def several(self) -> SeveralAccounts:
        """The engine's shape."""
        return SeveralAccounts(self.contacts, self.hours)


class RecallRow(Row):
    """When an agency's accounts are called back; every key may be left out."""

    without_result_days: Annotated[int, Field(ge=1, le=3650)] = 180
    objection_days: Annotated[int, Field(ge=0, le=90)] = 5
    extension_days: Annotated[int, Field(ge=0, le=365)] = 30
    on_hold: bool = True

    def terms(self) -> RecallTerms:
        """The engine's shape."""
        return RecallTerms(self.without_result_days, self.objection_days, self.extension_days, self.on_hold)


class AmongRow(Row):
    """`{among: [northside, southbank]}`; a bare name stands for a list of one."""

    among: Annotated[list[Name], Field(min_length=1)]

    @model_validator(mode="before")
    @classmethod
    def _bare(cls, value: object) -> object:
        return {"among": [value]} if isinstance(value, str) else value

    @model_validator(mode="after")
    def _once(self) -> Self:
        if len(set(self.among)) < len(self.among):
            raise wrong_block("an agency stands twice in among")
        return self


class RungRow(Row):
    """One rung; `channel` is the stage's own unless said."""

    rung: Name
    stage: StageWord
    channel: ChannelWord | None = None
    template: Name
    due: DueRow
    late: LateWord
    attempts: AttemptsRow = AttemptsRow(most=1)
    until: UntilRow | None = None
    ends_on: Annotated[list[DispositionWord], Field(default_factory=list)]
    requires: Annotated[list[RequirementRow], Field(default_factory=list)]
    purpose: Text = "payment_reminder"
    agency: AmongRow | None = None
    recall: RecallRow | None = None
    gives: Word | None = None
    threatens_suit: bool = False
    otherwise: Name | None = None
    firm: Name | None = None

    @model_validator(mode="after")
    def _firm(self) -> Self:
        if self.firm is not None and self.made_by is not ChannelName.LEGAL:
            raise wrong_block(f"firm belongs to a referral; this rung is made by {self.made_by}")
        return self

    @model_validator(mode="after")
    def _texts(self) -> Self:
        if self.otherwise is not None and self.made_by is not ChannelName.SMS:
            raise wrong_block(f"otherwise belongs to a text; this rung is made by {self.made_by}")
        return self

    @model_validator(mode="after")
    def _agency(self) -> Self:
        if (self.made_by is ChannelName.AGENCY) != (self.agency is not None):
            raise wrong_block(
                f"agency {self.agency.among[0]!r} is named, but the channel is {self.made_by}"
                if self.agency
                else "missing key 'agency': the agency that gets the account"
            )
        if self.recall is not None and self.agency is None:
            raise wrong_block("recall belongs to a rung that hands the account to an agency")
        return self

    @property
    def made_by(self) -> ChannelName:
        """The channel, by default that of the stage."""
        return self.channel or ChannelName(self.stage.value)

    def as_rung(self) -> Rung:
        """The engine's shape."""
        return Rung(
            name=self.rung,
            stage=self.stage,
            channel=self.made_by,
            template=self.template,
            due=self.due.due(),
            late=self.late,
            attempts=Attempts(self.attempts.most, self.attempts.days_apart),
            until_dpd=self.until.dpd if self.until else None,
            ends_on=frozenset(self.ends_on),
            requires=tuple(row.requirement() for row in self.requires),
            purpose=self.purpose,
            agencies=tuple(self.agency.among) if self.agency else (),
            recall=self.recall.terms() if self.recall else RecallTerms(),
            gives=self.gives or "",
            threatens_suit=self.threatens_suit,
            otherwise=self.otherwise or "",
            firm=self.firm or "",
        )
