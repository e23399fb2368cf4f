"""What agencies, law firms and courts tell us."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from arrears.cli.accounts import At, Json
from arrears.cli.output import note, print_json, print_table, progress, say
from arrears.cli.session import nudge, opened, when, who
from arrears.clock import iso
from arrears.engine.life.placements import PlacementReport, ReferralReport
from arrears.engine.money import Money
from arrears.operations import agencies
from arrears.operations.finished_files import finished_files
from arrears.operations.hand_over import hand_over, settle_handoff
from arrears.operations.pay import Posted
from arrears.operations.place import write_agency_files
from arrears.operations.services import Services, instant, ledger_clock

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


class Settled(StrEnum):
    """What a person found out about a file in doubt."""

    ARRIVED = "arrived"
    AGAIN = "again"


@agency.command("send")
def send(
    partner: Annotated[str | None, typer.Option("--partner", metavar="NAME", help="To this one alone.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would go where; connect to nobody.")] = False,
    json: Json = False,
) -> None:
    """Hand finished files over to partners now, also those that wait for their next try."""
    with opened() as services:
        if partner is not None and partner not in services.partners.by_name:
            known = ", ".join(sorted(services.partners.by_name)) or "none"
            raise typer.BadParameter(f"there is no partner {partner!r} in policies/partners; there is {known}")
        if dry_run:
            _would_go(services, partner, json=json)
            return
        unwritten = write_agency_files(services.ledger, services.placements, ledger_clock(services), services.partners)
        with progress() as bar:
            task = bar.add_task("handing over", total=None, says="")
            done = hand_over(
                services.at(ledger_clock(services)),
                partner=partner,
                at_once=True,
                progress=lambda path: bar.update(task, says=path),
            )
    problems = [*unwritten, *done.problems]
    if json:
        print_json({"sent": done.sent, "waiting": done.waiting, "problems": problems})
    else:
        for path in done.sent:
            say(f"sent {path}")
        say(f"{len(done.sent)} files handed over, {done.waiting} wait")
    for line in problems:
        note(line)
    if problems:
        raise typer.Exit(1)


@agency.command("settle-file")
def settle_file(
    handoff: Annotated[int, typer.Argument(metavar="ID", help="As `arrears review` shows it.")],
    how: Annotated[Settled, typer.Argument()],
) -> None:
    """Say of a file in doubt whether it arrived, or is to be handed over again."""
    with opened(live=False) as services:
        row = settle_handoff(services, handoff, arrived=how is Settled.ARRIVED)
    say(f"{row.path} for {row.partner}: {row.status}")


def _would_go(services: Services, partner: str | None, *, json: bool) -> None:
    now = ledger_clock(services).now()
    with services.ledger.read() as session:
        found, unclaimed = finished_files(services, session, now=now)
    rows = [
        {"partner": each.partner.name, "kind": each.kind, "path": each.path, "to": each.partner.hand_off.to}
        for each in found
        if partner in (None, each.partner.name)
    ]
    for each in unclaimed:
        note(f"{each.path}: {each.why}")
    if json:
        print_json(rows)
        return
    print_table("would be handed over", list(rows[0]) if rows else [], [tuple(row.values()) for row in rows])


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
