"""What goes to court: referrals and how they stand, the lender's documents that they enclose."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from arrears.cli.accounts import At, Json
from arrears.cli.output import print_json, print_table, say
from arrears.cli.session import a_day, nudge, opened, when, who
from arrears.clock import iso
from arrears.engine.referral import DocumentKind
from arrears.operations.documents import documents_of, supply
from arrears.operations.referred import all_referrals
from arrears.operations.services import instant

Account = Annotated[str, typer.Argument(metavar="ACCOUNT")]


def add_to(group: typer.Typer) -> None:
    """Register these commands beside `arrears legal report`."""
    group.command("list")(list_referrals)
    group.command("document")(document)
    group.command("documents")(documents)


def list_referrals(limit: Annotated[int, typer.Option(min=1)] = 50, json: Json = False) -> None:
    """Referrals, the newest first, with what was heard of them."""
    with opened(live=False) as services:
        found = all_referrals(services, limit=limit)
    if json:
        print_json(found)
        return
    columns = ["referral", "account_id", "firm", "at", "approved_by", "status", "detail", "judgment", "file"]
    print_table("referrals", columns, [[each[name] for name in columns] for each in found])


def document(
    account: Account,
    kind: Annotated[DocumentKind, typer.Argument(metavar="KIND", help="Such as card_agreement; a wrong one lists all")],
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A PDF.", exists=True, dir_okay=False, readable=True)],
    reference: Annotated[str, typer.Option("--reference", metavar="REF", help="Taken once per reference.")],
    seller: Annotated[str | None, typer.Option("--from", metavar="SELLER", help="Of a bill of sale.")] = None,
    buyer: Annotated[str | None, typer.Option("--to", metavar="BUYER", help="Of a bill of sale.")] = None,
    sold_on: Annotated[str | None, typer.Option("--on", metavar="DATE", help="Of a bill of sale.")] = None,
    at: At = None,
) -> None:
    """Supply a document of the lender that a referral encloses."""
    moment = when(at)
    parts = (seller, buyer, sold_on)
    if any(parts) and not all(parts):
        raise typer.BadParameter("a bill of sale needs --from, --to and --on together")
    sale = (seller, buyer, a_day(sold_on)) if seller and buyer and sold_on else None
    with opened(live=False) as services:
        supplied = supply(
            services,
            account,
            kind,
            file.read_bytes(),
            name=file.name,
            reference=reference,
            sale=sale,
            at=instant(services, moment),
            who=who(),
        )
        nudge(services, account)
    say(f"{account}: {kind} {'kept' if supplied.new else 'was on file before'}, sha256 {supplied.sha256}")
    if supplied.lacks:
        say(f"  still not on file: {supplied.lacks}")


def documents(account: Account, json: Json = False) -> None:
    """What is on file for court, and what a referral of the account still lacks."""
    with opened(live=False) as services:
        papers = documents_of(services, account)
    rows = [
        {
            "kind": d.kind,
            "reference": d.reference,
            "name": d.name,
            "sha256": d.sha256,
            "bytes": d.size,
            "at": iso(d.at),
            "added_by": d.added_by,
        }
        for d in papers.given
    ]
    lacking = [
        {"kind": str(n.kind), "title": n.title, "source": n.source, "verified": n.verified} for n in papers.lacking
    ]
    gaps = [{"from": buyer, "to": owner} for buyer, owner in papers.gaps]
    if json:
        print_json({"account_id": account, "documents": rows, "lacking": lacking, "gaps": gaps})
        return
    print_table("documents", list(rows[0]) if rows else [], [tuple(row.values()) for row in rows])
    for need in lacking:
        say(f"lacking: {need['kind']} ({need['title']}; {need['source']})")
        say(f"  arrears legal document {account} {need['kind']} FILE --reference REF")
    for gap in gaps:
        say(f"lacking: a bill of sale from {gap['from']} to {gap['to']}")
