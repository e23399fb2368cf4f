"""The facts a template may use. A template that names anything else is refused at load."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from arrears.engine.money import Money


@dataclass(frozen=True, slots=True)
class Address:
    """A postal address; `country` is ISO 3166-1 alpha-2."""

    street: str
    city: str
    region: str
    postal_code: str
    country: str


@dataclass(frozen=True, slots=True)
class OtherAccount:
    """Another past-due account of the same holder, told about in the same message.

    `ending`: the last four characters of its id, enough for its holder to know which is meant.
    """

    ending: str
    amount_due: Money
    due_date: date


@dataclass(frozen=True, slots=True)
class AccountItem:
    """One part of the balance: `opening` (as the account was taken in, `on` that due date), or the sum since then.

    `kind`: opening, statements, fees, interest, payments (below zero) or corrections.
    """

    kind: str
    on: date
    amount: Money


@dataclass(frozen=True, slots=True)
class ContactContext:
    """Everything a text, script or letter about one account may say, as of `today` (the holder's date).

    `required`: the sentences that contact law wants in this very message. `respond_by`: the last day of the
    period that a statutory notice sets. `others`: the holder's other accounts that the message is about as well;
    only a template that names them may be used for several. `pay_link`: the holder's own page, for a code to scan;
    the payment page where no link is signed. `items` add up to the balance; none where nothing has changed it.
    """

    account_id: str
    holder_name: str
    address: Address
    locale: str
    creditor: str
    creditor_phone: str
    creditor_address: str
    payment_url: str
    amount_due: Money
    balance: Money
    due_date: date
    days_past_due: int
    today: date
    reference: str
    rung: str
    attempt: int
    agency: str
    email: str = ""
    respond_by: date | None = None
    required: tuple[str, ...] = ()
    others: tuple[OtherAccount, ...] = ()
    pay_link: str = ""
    items: tuple[AccountItem, ...] = ()


@dataclass(frozen=True, slots=True)
class StatementLine:
    """One line of the itemised statement of account in a legal referral.

    `what`: the kind of entry in the ledger's word, such as payment; `reference`: the name by which it is known.
    """

    on: date
    what: str
    reference: str
    amount: Money


@dataclass(frozen=True, slots=True)
class ChronologyLine:
    """One step of the case, as the legal referral's chronology prints it. `at` is ISO 8601 UTC."""

    at: str
    rung: str
    attempt: int
    channel: str
    status: str
    reference: str
    reason: str
