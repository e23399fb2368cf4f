"""Facts from outside: files of them, money in and back, charges and corrections, promises and plans."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from arrears.cli.accounts import At, Json
from arrears.cli.output import note, print_json, say
from arrears.cli.session import a_day, nudge, opened, when, who
from arrears.intake.rows import rejected_path
from arrears.operations import arrange
from arrears.operations import pay as money
from arrears.operations.pay import ChargeKind, Posted
from arrears.operations.services import Services, instant
from arrears.operations.take_file import take_event_file

Account = Annotated[str, typer.Argument(metavar="ACCOUNT")]
Amount = Annotated[str, typer.Argument(metavar="AMOUNT", help="Decimal, in the account's currency.")]
Reference = Annotated[str, typer.Option("--reference", metavar="REF", help="Taken once per reference.")]


def add_to(app: typer.Typer) -> None:
    """Register this group's commands."""
    for command in (tell, pay, reverse, charge, adjust, leftover, promise, plan, withdraw):
        app.command()(command)


def tell(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Events as CSV: account_id, event, reference, at, …")],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Check the file and count; change nothing.")] = False,
    json: Json = False,
) -> None:
    """Take a file of outside facts in. Good rows count once per reference, bad ones go to FILE.rejected.csv."""
    with opened(live=False) as services:
        result = take_event_file(services, file, who=who(), dry_run=dry_run)
        for account_id in dict.fromkeys(result.touched):
            nudge(services, account_id)
    if json:
        print_json(
            {
                "rows": result.rows,
                "taken": len(result.touched),
                "already": result.already,
                "closed": result.closed,
                "refused": [
                    {"line": row.line, "account_id": row.account_id, "reason": row.reason} for row in result.rejected
                ],
            }
        )
    else:
        verb = "would be refused" if dry_run else "refused"
        say(
            f"{result.rows:,} rows: {len(result.touched):,} taken, {result.already:,} known already, "
            f"{len(result.rejected):,} {verb}"
        )
    for row in result.rejected[:20]:
        note(f"{file.name}:{row.line}: {row.reason}")
    if result.rejected and not dry_run:
        note(f"refused rows: {rejected_path(file)}")


def pay(account: Account, amount: Amount, reference: Reference, at: At = None) -> None:
    """Post a payment. One that clears what is past due closes the case at once."""
    moment = when(at)
    with opened(live=False) as services:
        posted = money.pay(
            services, account, amount, reference=reference, at=instant(services, moment), source="cli", who=who()
        )
        _tell(services, posted, f"payment {reference}", "posted")


def reverse(
    account: Account,
    of: Annotated[str, typer.Argument(metavar="PAYMENT", help="Reference of the payment.")],
    reference: Reference,
    amount: Annotated[str | None, typer.Option("--amount", help="Only so much of it; default all.")] = None,
    at: At = None,
) -> None:
    """Take a payment back that was returned or charged back; what it paid is owed again."""
    moment = when(at)
    with opened(live=False) as services:
        posted = money.reverse(
            services,
            account,
            of,
            amount=amount,
            reference=reference,
            at=instant(services, moment),
            source="cli",
            who=who(),
        )
        _tell(services, posted, f"reversal {reference}", "posted")


def charge(
    account: Account,
    kind: Annotated[ChargeKind, typer.Argument()],
    amount: Amount,
    reference: Reference,
    at: At = None,
) -> None:
    """Add a fee or interest."""
    moment = when(at)
    with opened(live=False) as services:
        posted = money.charge(
            services, account, kind, amount, reference=reference, at=instant(services, moment), source="cli", who=who()
        )
        _tell(services, posted, f"{kind} {reference}", "posted")


def adjust(
    account: Account,
    reference: Reference,
    by: Annotated[str, typer.Option("--by", metavar="AMOUNT", help="Below zero: it is owed less.")],
    at: At = None,
) -> None:
    """Correct what is owed."""
    moment = when(at)
    with opened(live=False) as services:
        posted = money.adjust(
            services, account, by, reference=reference, at=instant(services, moment), source="cli", who=who()
        )
        _tell(services, posted, f"correction {reference}", "posted")


def leftover(
    account: Account,
    waive: Annotated[bool, typer.Option("--waive/--keep", help="Waive them, or go on for them.")],
    at: At = None,
) -> None:
    """Decide about fees and interest that are left when everything else is paid."""
    moment = when(at)
    with opened(live=False) as services:
        posted = money.leftover(services, account, waive=waive, at=instant(services, moment), who=who())
        _tell(services, posted, "charges left over", "waived" if waive else "kept")


def promise(
    account: Account,
    amount: Amount,
    reference: Reference,
    on: Annotated[str, typer.Option("--on", metavar="DATE", help="The last day of the promise.")],
    at: At = None,
) -> None:
    """Record a promise to pay: nothing goes out while it is open."""
    moment, day = when(at), a_day(on)
    with opened(live=False) as services:
        posted = arrange.promise(
            services, account, amount, day, reference=reference, at=instant(services, moment), source="cli", who=who()
        )
        _tell(services, posted, f"promise {reference} for {day}", "recorded")


def plan(
    account: Account,
    instalments: Annotated[list[str], typer.Argument(metavar="DATE=AMOUNT…", help="Such as 2026-12-01=50.00.")],
    reference: Reference,
    misses_allowed: Annotated[int, typer.Option("--misses-allowed", min=0)] = 0,
    at: At = None,
) -> None:
    """Record a payment plan: nothing goes out while it is kept."""
    moment = when(at)
    parts = [(a_day(day), amount) for day, _, amount in (text.partition("=") for text in instalments)]
    with opened(live=False) as services:
        posted = arrange.plan(
            services,
            account,
            parts,
            misses_allowed=misses_allowed,
            reference=reference,
            at=instant(services, moment),
            source="cli",
            who=who(),
        )
        _tell(services, posted, f"plan {reference} of {len(parts)} instalments", "recorded")


def withdraw(
    account: Account,
    of: Annotated[str, typer.Argument(metavar="REF", help="Reference of the promise or plan.")],
    at: At = None,
) -> None:
    """End an open promise or plan; the ladder goes on."""
    moment = when(at)
    with opened(live=False) as services:
        posted = arrange.withdraw(services, account, of, at=instant(services, moment), source="cli", who=who())
        _tell(services, posted, f"arrangement {of}", "ended")


def _tell(services: Services, posted: Posted, what: str, done: str) -> None:
    if posted.new:
        nudge(services, posted.account_id)
    said = done if posted.new else f"was {done} before; nothing changed"
    say(f"{posted.account_id}: {what} {said}{'; case closed' if posted.new and posted.closed else ''}")
