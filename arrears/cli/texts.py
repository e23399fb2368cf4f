"""Texts: held against the provider's list, counted, and what its error codes mean here."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

import typer

from arrears.cli.accounts import Json
from arrears.cli.output import print_json, print_table, say
from arrears.cli.session import opened, when, who
from arrears.clock import iso
from arrears.operations.reconcile_texts import Reconciled, reconcile_texts
from arrears.rendering.segments import beyond_gsm_7, segments

app = typer.Typer(help="Texts: at the provider, and how they are counted.", no_args_is_help=True)
_KINDS = {
    "missing": "in the ledger, not at Twilio",
    "unknown": "at Twilio, not in the ledger",
    "doubled": "two texts with one reference",
    "differing": "another status",
    "unsettled": "in doubt in the ledger",
}


@app.command()
def reconcile(
    since: Annotated[str | None, typer.Option("--from", metavar="WHEN", help="Default: a day before --to.")] = None,
    until: Annotated[str | None, typer.Option("--to", metavar="WHEN", help="Default: now.")] = None,
    take: Annotated[bool, typer.Option("--take", help="Let cases follow the statuses that Twilio has.")] = False,
    json: Json = False,
) -> None:
    """Page through Twilio's list of texts and compare it with the ledger; exit 1 where they differ."""
    with opened() as services:
        to = when(until) or services.clock.wall()
        begins = when(since) or to - timedelta(days=1)
        if begins >= to:
            raise typer.BadParameter(f"--from {iso(begins)} does not lie before --to {iso(to)}")
        result = reconcile_texts(services, begins, to, take=take, who=who())
    if json:
        print_json(result.to_json())
    else:
        _say(result)
    if not result.agrees:
        raise typer.Exit(1)


def _say(result: Reconciled) -> None:
    document = result.to_json()
    rows = [
        (words, row.get("reference"), row.get("account_id"), row.get("sid"), row.get("ledger"), row.get("twilio"))
        for kind, words in _KINDS.items()
        for row in document[kind]
    ]
    if rows:
        print_table("", ["what", "reference", "account", "sid", "ledger", "Twilio"], rows)
    window = f"from {document['from']} to {document['to']}"
    say(f"{window}: {result.listed:,} texts listed, {result.in_ledger:,} in the ledger, {result.agreed:,} agree")


@app.command()
def count(text: Annotated[str, typer.Argument(metavar="TEXT")], json: Json = False) -> None:
    """How a text is encoded, and how many segments are paid for."""
    counted = segments(text)
    dear = beyond_gsm_7(text)
    if json:
        print_json(
            {"encoding": counted.encoding, "units": counted.units, "segments": counted.count, "beyond_gsm_7": dear}
        )
        return
    say(f"{counted}, {counted.units} units{f'; because of {dear}' if dear else ''}")


@app.command()
def codes(json: Json = False) -> None:
    """What Twilio's error codes mean for a case, by policies/delivery."""
    with opened(live=False) as services:
        policy = services.delivery
    meanings = [*policy.codes.values(), policy.unfinished.meaning]
    rows = [
        (
            meaning.code,
            meaning.means,
            str(meaning.consequence),
            [wait // timedelta(hours=1) for wait in meaning.retry_after],
        )
        for meaning in meanings
    ]
    columns = ["code", "means", "consequence", "again_after_hours"]
    if json:
        print_json([dict(zip(columns, row, strict=True)) for row in rows])
        return
    print_table(f"Twilio, version {policy.version}", columns, [(*row[:3], ", ".join(map(str, row[3]))) for row in rows])
