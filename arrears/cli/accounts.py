"""Portfolios in, accounts and counts out."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from arrears.cli.output import note, print_json, print_table, progress, say
from arrears.cli.session import opened, when, who
from arrears.operations.enroll import Enrolment
from arrears.operations.enroll import enroll as enroll_portfolio
from arrears.operations.limits import limitation_in_words
from arrears.operations.services import instant
from arrears.operations.show import show as show_account
from arrears.operations.show import status as portfolio_status
from arrears.operations.strain import strain

Json = Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")]
At = Annotated[str | None, typer.Option("--at", metavar="WHEN", help="ISO 8601 instant; default now.")]


def add_to(app: typer.Typer) -> None:
    """Register this group's commands."""
    app.command()(enroll)
    app.command()(show)
    app.command()(status)


def enroll(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Portfolio as CSV.")],
    at: At = None,
    driver: Annotated[str, typer.Option(help="Who advances the accounts: sweep or timeline.")] = "sweep",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Check the file and count; change nothing.")] = False,
    json: Json = False,
) -> None:
    """Take a portfolio in. Good rows go in once per account id, bad ones to FILE.rejected.csv."""
    if driver not in ("sweep", "timeline"):
        raise typer.BadParameter("expected sweep or timeline", param_hint="--driver")
    moment = when(at)
    with opened() as services, progress() as bar:
        task = bar.add_task(f"enrolling {file.name}", total=None, says="")
        result = enroll_portfolio(
            services,
            file,
            at=instant(services, moment),
            who=who(),
            driver=driver,
            virtual=moment is not None,
            dry_run=dry_run,
            progress=lambda rows: bar.update(task, says=f"{rows:,} rows"),
        )
        warning = strain(services)
        started = _start_timelines(result) if driver == "timeline" and not dry_run else 0
    if warning:
        note(warning)
    if json:
        print_json(_document(result, started))
        return
    verb = "would be enrolled" if dry_run else "enrolled"
    say(
        f"{result.rows:,} rows: {result.enrolled:,} {verb}, {_renewed(result)}{result.already:,} known already, "
        f"{len(result.rejected):,} refused"
    )
    if result.first:
        counts = ", ".join(f"{channel} {count:,}" for channel, count in sorted(result.first.items()))
        say(f"due at once: {counts}")
    for row in result.rejected[:20]:
        note(f"{file.name}:{row.line}: {row.reason}")
    if len(result.rejected) > 20:
        note(f"… and {len(result.rejected) - 20:,} more")
    if result.rejected_path:
        note(f"refused rows: {result.rejected_path}")


def _start_timelines(result: Enrolment) -> int:
    from arrears.orchestration.at_work import services
    from arrears.orchestration.timelines import PrefectUnreachable, start_timelines, without_timeline

    try:
        return start_timelines(services(), without_timeline(services(), result.portfolio))
    except PrefectUnreachable as error:
        note(f"enrolled; timelines could not be started ({error}); run the same command again")
        return 0


def _document(result: Enrolment, started: int) -> dict[str, Any]:
    return {
        "portfolio": result.portfolio,
        "rows": result.rows,
        "enrolled": result.enrolled,
        "already": result.already,
        "renewed": result.renewed,
        "moved": result.moved,
        "rejected": [{"line": r.line, "account_id": r.account_id, "reason": r.reason} for r in result.rejected],
        "rejected_file": str(result.rejected_path) if result.rejected_path else None,
        "due_at_once": dict(result.first),
        "timelines_started": started,
        "dry_run": result.dry_run,
    }


def _renewed(result: Enrolment) -> str:
    moved = f"{result.moved:,} with another address, " if result.moved else ""
    return f"{result.renewed:,} behind again, {moved}" if result.renewed else moved


def show(account: Annotated[str, typer.Argument(metavar="ACCOUNT")], json: Json = False) -> None:
    """One account: where it stands, what was done, what is next and why."""
    with opened(live=False) as services:
        document = show_account(services, account)
    if json:
        print_json(document)
        return
    nxt = document["next"]
    say(
        f"{document['account_id']}  {document['status']}, stage {document['stage']}, "
        f"{document['days_past_due']} days past due, balance {document['balance']['amount']} "
        f"{document['balance']['currency']}",
        style="bold",
    )
    for hold in document["holds"]:
        say(f"hold {hold['kind']} {hold['channel'] or ''} since {hold['since']} until {hold['until'] or 'released'}")
    for each in document["arrangements"]:
        what = f"{each['kind']} {each['reference']} for {each['due_on']}"
        say(f"{what}: {each['status'].replace('_', ' ')}, {each['paid']} of {each['amount']} paid")
    print_table(
        "",
        ["rung", "#", "status", "due (UTC)", "at (UTC)", "reference", "why"],
        [
            (
                step["rung"],
                step["attempt"],
                step["status"],
                _short(step["due_at"]),
                _short(step["at"]),
                step["reference"],
                step["disposition"] or step["reason"] or (step["delivery"]["status"] if step["delivery"] else ""),
            )
            for step in document["steps"]
        ],
    )
    for each in document["mail"]["returned"]:
        say(f"mail {each['letter']} came back on {each['on']}: {each['reason'].replace('_', ' ')}")
    if document["mail"]["address"] == "bad":
        say("no letter goes to this address; `arrears address` takes another")
    for given in document["approvals"]:
        lapsed = f", lapsed: {given['lapsed']}" if given["lapsed"] else ""
        say(f"{given['rung']} approved by {given['by']} on {_short(given['at'])}{lapsed}")
    if document["status"] not in ("closed", "current"):
        say(limitation_in_words(document["limitation"]))
    for milestone in document["milestones"]:
        when = "reached on" if milestone["reached"] else "on"
        say(f"{milestone['milestone'].replace('_', ' ')} {when} {milestone['on']} ({milestone['rule']})")
    if nxt:
        say(f"next: {nxt['rung'] or '-'} at {nxt['at'] or 'no date'}: {nxt['reason']}")
    elif document["outcome"]:
        say(f"closed: {document['outcome']}")


def _short(moment: str | None) -> str:
    """`2026-08-02 14:00`: what a table has room for. The JSON has it to the second."""
    return moment[:16].replace("T", " ") if moment else ""


def status(json: Json = False) -> None:
    """Counts of accounts by status and stage."""
    with opened(live=False) as services:
        portfolio = portfolio_status(services)
    document = portfolio.to_json()
    if json:
        print_json(document)
        return
    print_table("by status", ["status", "accounts"], portfolio.by_status.items())
    print_table("by stage", ["stage", "accounts"], portfolio.by_stage.items(), caption=f"as of {document['as_of']}")
    if portfolio.unknown_steps:
        note(f"{portfolio.unknown_steps} steps are unknown and need a person: `arrears show ACCOUNT`, `arrears settle`")
    if portfolio.stopped is not None:
        note(f"stopped: {portfolio.stopped}; `arrears start` lets it go on")
