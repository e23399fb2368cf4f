"""What agencies, law firms and courts tell us."""

from __future__ import annotations

from typing import Annotated

import typer

from arrears.cli.accounts import At, Json
from arrears.cli.output import print_json, print_table, say
from arrears.cli.session import nudge, opened, when, who
from arrears.clock import iso
from arrears.engine.life.placements import PlacementReport, ReferralReport
from arrears.engine.money import Money
from arrears.operations import agencies
from arrears.operations.pay import Posted
from arrears.operations.services import Services, instant

agency = typer.Typer(help="Placements with agencies: what they report, what is called back.", no_args_is_help=True)
legal = typer.Typer(help="Referrals: what law firms and courts report.", no_args_is_help=True)
Placement = Annotated[str, typer.Argument(metavar="PLACEMENT", help="Its id in the placement file.")]
Reference = Annotated[str, typer.Option("--reference", metavar="REF", help="Taken once per reference.")]


@agency.command("list")
def list_placements(
    limit: Annotated[int, typer.Option()] = 50,
    json: Json = False,
) -> None:
    """Placements, the newest first, with what came of them."""
    with opened(live=False) as services:
        found = agencies.all_placements(services, limit=limit)
    rows = [
        {
            "placement": row.reference,
            "account_id": row.account_id,
            "agency": row.agency,
            "placed_at": iso(row.at),
            "status": str(state.status),
            "reason": state.reason,
            "remitted": Money(state.remitted, row.currency).decimal_text(),
            "commission": Money(state.commission, row.currency).decimal_text(),
            "currency": row.currency,
        }
        for row, state in found
    ]
    if json:
        print_json(rows)
        return
    print_table("placements", list(rows[0]) if rows else [], [tuple(row.values()) for row in rows])


@agency.command("report")
def report_placement(
    placement: Placement,
    report: Annotated[PlacementReport, typer.Argument()],
    reference: Reference,
    reason: Annotated[str, typer.Option("--reason", help="For objected: open_promise or recent_payment.")] = "",
    at: At = None,
) -> None:
    """Record what the agency says of a placement."""
    moment = when(at)
    with opened(live=False) as services:
        posted = agencies.report_placement(
            services,
            placement,
            report,
            reason=reason,
            reference=reference,
            at=instant(services, moment),
            source="cli",
            who=who(),
        )
        _tell(services, posted, f"placement {placement} {report}")


@agency.command("remit")
def remit(
    placement: Placement,
    gross: Annotated[str, typer.Argument(metavar="AMOUNT", help="What the holder paid.")],
    commission: Annotated[str, typer.Option("--commission", help="What the agency keeps of it.")],
    reference: Reference,
    at: At = None,
) -> None:
    """Post a payment that came through an agency."""
    moment = when(at)
    with opened(live=False) as services:
        start = instant(services, moment)
        posted = agencies.remit(
            services, placement, gross, commission, reference=reference, at=start, source="cli", who=who()
        )
        _tell(services, posted, f"remittance {reference}", closes=posted.closed)


@agency.command("recall")
def recall(
    placement: Placement,
    why: Annotated[str, typer.Option("--why")],
    at: At = None,
) -> None:
    """Call an account back at once and finally."""
    moment = when(at)
    with opened(live=False) as services:
        new = agencies.recall_by_hand(services, placement, why=why, at=instant(services, moment), who=who())
    say(f"placement {placement} {'recalled; the file leaves with the next sweep' if new else 'was over already'}")


@legal.command("report")
def report_referral(
    referral: Annotated[str, typer.Argument(metavar="REFERRAL", help="Its reference on the cover sheet.")],
    report: Annotated[ReferralReport, typer.Argument()],
    reference: Reference,
    detail: Annotated[str, typer.Option("--detail", help="The court's number, or why it was withdrawn.")] = "",
    amount: Annotated[str | None, typer.Option("--amount", help="Of a judgment.")] = None,
    at: At = None,
) -> None:
    """Record what the law firm or the court says of a referral."""
    moment = when(at)
    with opened(live=False) as services:
        posted = agencies.report_referral(
            services,
            referral,
            report,
            detail=detail,
            amount=amount,
            reference=reference,
            at=instant(services, moment),
            source="cli",
            who=who(),
        )
        _tell(services, posted, f"referral {referral} {report}")


def _tell(services: Services, posted: Posted, what: str, *, closes: bool = False) -> None:
    if posted.new:
        nudge(services, posted.account_id)
    said = "recorded" if posted.new else "was recorded before; nothing changed"
    say(f"{posted.account_id}: {what} {said}{'; case closed' if posted.new and closes else ''}")
