"""Whether a partner's file is right: every line of it, what it adds up to, and what the partner keeps."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

import models
from arrears.clock import iso
from arrears.engine.commission import Earning, earned, given_back
from arrears.engine.life.placements import Objection, PlacementReport
from arrears.engine.money import Money, MoneyError
from arrears.engine.partner_files import (
    Collected,
    Line,
    NumberTold,
    PartnerFile,
    Reported,
    RestrictionTold,
    TakenBack,
    Totals,
    Wrong,
)
from arrears.engine.partners import Partner
from arrears.intake.fields import Cells
from arrears.operations.partner_books import PartnerBooks, Remittance, named, register_of, vintage_of

# A partner's clock may run ahead of ours.
_AHEAD = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Booked:
    """A line that is right, with what it comes to: `amount` and `commission` in minor units, above zero both ways.

    `of`: for money taken back, the partner's reference of the payment. `number`: E.164, for a number that was told.
    """

    line: Line
    account: models.Account
    placement: models.Placement
    at: datetime
    amount: int = 0
    commission: int = 0
    of: str = ""
    number: str = ""


@dataclass(slots=True)
class Checked:
    """What came of the check: lines to book when nothing is `wrong`; by currency what was collected and kept."""

    booked: list[Booked]
    wrong: list[Wrong]
    collected: Mapping[str, int]
    commissions: Mapping[str, int]


class _Refused(Exception):
    """The line is wrong."""

    def __init__(self, what: str, expected: str = "", came: str = "") -> None:
        super().__init__(what)
        self.expected, self.came = expected, came


def check_file(
    file: PartnerFile, books: PartnerBooks, partner: Partner, kinds: Sequence[str], *, needs_totals: bool, now: datetime
) -> Checked:
    """Judge every line as if those before it were booked; `kinds` are the holds that the rules know.

    `books` are changed as the lines go. What the file adds up to is looked at when its lines are right.
    """
    wrong, booked = list(file.wrong), list[Booked]()
    for line in file.lines:
        try:
            booked.append(_Judge(books, partner, kinds, now).booked(line))
        except (_Refused, MoneyError) as error:
            words = (
                error if isinstance(error, _Refused) else _Refused("the amount cannot be one of the account's currency")
            )
            wrong.append(Wrong(line.line, str(words), words.expected, words.came))
    collected, commissions = _sums(booked)
    if not wrong:
        if needs_totals and not file.totals:
            wrong.append(
                Wrong(0, "no control totals came with it; expected a trailer at its end or a manifest beside it")
            )
        for totals in file.totals:
            wrong.extend(_against(totals, len(file.lines), collected, commissions))
    return Checked(booked, wrong, collected, commissions)


@dataclass(slots=True)
class _Judge:
    """One line against what is known."""

    books: PartnerBooks
    partner: Partner
    kinds: Sequence[str]
    now: datetime

    def booked(self, line: Line) -> Booked:
        register, name = register_of(line), named(self.partner.name, line.reference)
        if (register, name) in self.books.known:
            raise _Refused(f"reference {line.reference!r} was told before; each fact has one of its own")
        placement = self._placement(line)
        account = self.books.accounts[placement.account_id]
        plain = Booked(line, account, placement, self._at(line, placement))
        booked = self._with_fact(plain)
        if register:
            self.books.known.add((register, name))
        return booked

    def _placement(self, line: Line) -> models.Placement:
        """The partner's placement that the line is about; of several of one account, the last made by its day."""
        if line.placement:
            placement = self.books.placements.get(line.placement)
            if placement is None:
                raise _Refused(f"there is no placement {line.placement!r}")
            if placement.agency != self.partner.name:
                raise _Refused(f"placement {line.placement} is another agency's")
            if line.account_id != placement.account_id:
                raise _Refused(
                    f"placement {line.placement} is of another account", placement.account_id, line.account_id
                )
            return placement
        numbered = self.books.placements.get(self.books.numbers.get(line.file_number.lstrip("0"), ""))
        if numbered is not None and numbered.agency == self.partner.name:
            if line.account_id not in ("", numbered.account_id):
                raise _Refused(
                    f"file number {line.file_number} is of another account", numbered.account_id, line.account_id
                )
            return numbered
        own = self.books.own(line.account_id)
        if not own:
            raise _Refused(f"account {line.account_id or line.file_number!r} was never placed with {self.partner.name}")
        return next((each for each in reversed(own) if each.at.date() <= line.at.date()), own[0])

    def _at(self, line: Line, placement: models.Placement) -> datetime:
        """When it happened; a day alone that is the placement's own is no sooner than that."""
        if line.at > self.now + _AHEAD:
            raise _Refused(f"at {iso(line.at)} lies in the future")
        if line.at.date() < placement.at.date():
            raise _Refused("it lies before the placement", f"from {placement.at:%Y-%m-%d} on", f"{line.at:%Y-%m-%d}")
        return max(line.at, placement.at)

    def _with_fact(self, plain: Booked) -> Booked:
        match plain.line.fact:
            case Collected() as fact:
                return self._collected(plain, fact)
            case TakenBack() as fact:
                return self._taken_back(plain, fact)
            case Reported() as fact:
                return self._reported(plain, fact)
            case NumberTold() as fact:
                return self._number(plain, fact)
            case RestrictionTold() as fact if fact.kind not in self.kinds:
                raise _Refused(f"hold is not known; expected one of {', '.join(self.kinds)}")
            case _:
                return plain

    def _collected(self, plain: Booked, fact: Collected) -> Booked:
        amount = self._money(plain, fact.amount, fact.currency)
        vintage = vintage_of(plain.placement)
        due = None
        if self.partner.commission is not None:
            due = earned(
                self.partner.commission,
                Earning(
                    amount=amount,
                    at=plain.at,
                    placed_at=plain.placement.at,
                    due_on=date.fromisoformat(plain.placement.row["due_date"]),
                    order=self.books.orders[plain.placement.reference],
                    reached=self.books.reached.get(vintage, 0),
                    placed=self.books.placed.get(vintage, 0),
                ),
            )
        commission = self._commission(plain, amount, fact.commission, due)
        reference = plain.line.reference
        self.books.remittances[reference] = Remittance(plain.account.id, plain.placement.reference, amount, commission)
        self.books.reached[vintage] = self.books.reached.get(vintage, 0) + amount
        return _with(plain, amount=amount, commission=commission)

    def _taken_back(self, plain: Booked, fact: TakenBack) -> Booked:
        amount = self._money(plain, fact.amount, fact.currency)
        of = self._paid(plain, fact.of, amount)
        paid = self.books.remittances[of]
        if amount > paid.gross - paid.back:
            raise _Refused(
                f"more is taken back than is left of payment {of!r}",
                _text(paid.gross - paid.back, plain),
                _text(amount, plain),
            )
        due = given_back(paid.commission, paid.gross, before=paid.back, amount=amount)
        commission = self._commission(plain, amount, fact.commission, due)
        paid.back += amount
        vintage = vintage_of(plain.placement)
        self.books.reached[vintage] = self.books.reached.get(vintage, 0) - amount
        return _with(plain, amount=amount, commission=commission, of=of)

    def _paid(self, plain: Booked, of: str, amount: int) -> str:
        """The payment that is taken back: as the line says, or the last of that amount on the placement."""
        theirs = {
            name: paid for name, paid in self.books.remittances.items() if paid.placement == plain.placement.reference
        }
        if of in theirs:
            return of
        if of and plain.line.placement:
            raise _Refused(f"payment {of!r}, which is taken back, did not come with this placement")
        same = [name for name, paid in theirs.items() if paid.gross - paid.back == amount]
        if not same:
            raise _Refused("it takes back a payment, and no such payment of this placement is known")
        return same[-1]

    def _reported(self, plain: Booked, fact: Reported) -> Booked:
        if fact.report is PlacementReport.OBJECTED and fact.reason not in list(Objection):
            raise _Refused(f"an objection needs a reason; expected one of {', '.join(Objection)}")
        placed = plain.placement
        if fact.balance and Money.parse(fact.balance, placed.currency).amount != placed.balance:
            raise _Refused("the balance is not the one placed", _text(placed.balance, plain), fact.balance)
        return plain

    def _number(self, plain: Booked, fact: NumberTold) -> Booked:
        cells = Cells({"phone": fact.number})
        number = cells.phone(plain.account.country)
        if cells.problems:
            raise _Refused("; ".join(cells.problems))
        return _with(plain, number=number)

    def _money(self, plain: Booked, amount: str, currency: str) -> int:
        placed = plain.placement.currency
        if currency and currency != placed:
            raise _Refused("the currency is not the placement's", placed, currency)
        money = Money.parse(amount, placed)
        if money.amount <= 0:
            raise _Refused("the amount must be above zero")
        return money.amount

    def _commission(self, plain: Booked, amount: int, told: str | None, due: int | None) -> int:
        """What the partner keeps, held against what it may keep; by our terms alone where it does not say."""
        if told is None:
            if due is None:
                raise _Refused(
                    f"no commission is told, and none is agreed in policies/partners/{self.partner.name}.yaml"
                )
            return due
        kept = Money.parse(told, plain.placement.currency).amount
        if not 0 <= kept <= amount:
            raise _Refused("the commission must lie between zero and the amount", f"0 to {_text(amount, plain)}", told)
        tolerance = self.partner.commission.tolerance if self.partner.commission else 0
        if due is not None and abs(kept - due) > tolerance:
            raise _Refused("the commission is not what the terms say", _text(due, plain), _text(kept, plain))
        return kept


def _with(plain: Booked, *, amount: int = 0, commission: int = 0, of: str = "", number: str = "") -> Booked:
    return Booked(plain.line, plain.account, plain.placement, plain.at, amount, commission, of, number)


def _text(amount: int, plain: Booked) -> str:
    return Money(amount, plain.placement.currency).decimal_text()


def _sums(booked: Sequence[Booked]) -> tuple[dict[str, int], dict[str, int]]:
    collected: dict[str, int] = defaultdict(int)
    commissions: dict[str, int] = defaultdict(int)
    for each in booked:
        if isinstance(each.line.fact, Collected | TakenBack):
            sign = 1 if isinstance(each.line.fact, Collected) else -1
            collected[each.placement.currency] += sign * each.amount
            commissions[each.placement.currency] += sign * each.commission
    return dict(collected), dict(commissions)


def _against(totals: Totals, count: int, collected: Mapping[str, int], commissions: Mapping[str, int]) -> list[Wrong]:
    """What a trailer or manifest says against what the lines add up to."""
    wrong: list[Wrong] = []
    if totals.count != count:
        wrong.append(Wrong(0, "the control total of the rows is not how many there are", str(totals.count), str(count)))
    for what, told, found in (
        ("collected", totals.collected, collected),
        ("commission", totals.commissions, commissions),
    ):
        for currency in sorted(told.keys() | found.keys()) if told is not None else ():
            came = Money(found.get(currency, 0), currency).decimal_text()
            said = told.get(currency, "0") if told is not None else ""
            try:
                right = Money.parse(said, currency).amount == found.get(currency, 0)
            except MoneyError:
                right = False
            if not right:
                what_is_wrong = f"the control total of {what} in {currency} is not what the rows add up to"
                wrong.append(Wrong(0, what_is_wrong, said, came))
    return wrong
