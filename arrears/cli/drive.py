"""Driving by hand: advance, sweep, the kill switch."""

from __future__ import annotations

from collections import Counter
from datetime import datetime
from enum import StrEnum
from time import monotonic
from typing import Annotated, Any

import typer

from arrears.cli.accounts import Json
from arrears.cli.output import note, print_json, print_table, progress, say
from arrears.cli.session import opened, when, who
from arrears.clock import iso
from arrears.operations import brakes, drivers
from arrears.operations.brakes import Budget
from arrears.operations.outbox import require_outbox
from arrears.operations.preview import as_line, preview
from arrears.operations.record_sweep import record_sweep
from arrears.operations.rehearse import rehearse
from arrears.operations.replay import all_accounts
from arrears.operations.replay import replay as replay_account
from arrears.operations.restored import restored as recall_restored
from arrears.operations.services import Services, ledger_clock
from arrears.operations.strain import strain
from arrears.operations.sweep import Swept, catch_up
from arrears.operations.sweep import sweep as sweep_due


def add_to(app: typer.Typer) -> None:
    """Register this group's commands."""
    app.command()(advance)
    app.command()(sweep)
    app.command("driver")(change_driver)
    app.command()(replay)
    app.command()(restored)
    app.command()(stop)
    app.command()(start)


def advance(
    until: Annotated[str | None, typer.Option("--until", metavar="WHEN", help="Default: now.")] = None,
    live: Annotated[bool, typer.Option("--live", help="Text for real, if Twilio is configured.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Count effects by channel; change nothing.")] = False,
    json: Json = False,
) -> None:
    """Drive the ledger on a virtual clock from its last instant, jumping from due time to due time."""
    moment = when(until)
    with opened(live=live) as services:
        target = moment or services.clock.now()
        if dry_run:
            _say_counts(rehearse(services, target, who=who()), json=json)
            return
        require_outbox(services.settings)
        with progress() as bar:
            task = bar.add_task("advancing", total=None, says="")

            def show(at: datetime, swept: Swept) -> None:
                bar.update(task, says=f"{at:%Y-%m-%d %H:%M} UTC, {swept.effects:,} effects")

            budget = Budget(services.settings.most_effects_per_run)
            swept = catch_up(services, target, who=who(), budget=budget, progress=show)
        _say(swept, iso(ledger_clock(services).now()), json=json)


def sweep(
    limit: Annotated[int, typer.Option(help="Most accounts to look at.")] = 10_000,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Count effects by channel; change nothing.")] = False,
    json: Json = False,
) -> None:
    """Advance whatever is due now, once, without Prefect."""
    with opened() as services:
        if dry_run:
            _say_counts(preview(services, limit=limit), json=json)
            return
        require_outbox(services.settings)
        with progress() as bar:
            started = monotonic()
            task = bar.add_task("sweeping", total=None, says="")
            swept = sweep_due(
                services,
                who=who(),
                budget=Budget(services.settings.most_effects_per_run),
                limit=limit,
                progress=lambda swept, total: bar.update(
                    task, completed=swept.looked_at, total=total, says=f"{swept.looked_at:,}/{total:,}"
                ),
            )
        record_sweep(
            services,
            seconds=monotonic() - started,
            looked_at=swept.looked_at,
            failed=len(swept.failed),
            by_channel=swept.by_channel,
        )
        if warning := strain(services):
            note(warning)
        if swept.more and not swept.braked:
            note(f"more than these {limit:,} accounts may be due: sweep again, or with a higher --limit")
        _say(swept, iso(services.clock.now()), json=json)


class Driver(StrEnum):
    """Who may drive cases."""

    TIMELINE = "timeline"
    SWEEP = "sweep"


def change_driver(
    driver: Annotated[Driver, typer.Argument(help="Who drives them from now on.")],
    accounts: Annotated[list[str] | None, typer.Argument(metavar="[ACCOUNT]...")] = None,
    portfolio: Annotated[str | None, typer.Option("--portfolio", help="All open cases of this portfolio.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Count them; change nothing.")] = False,
    json: Json = False,
) -> None:
    """Let a timeline each, or the sweep, drive accounts that are open now."""
    if bool(accounts) == (portfolio is not None):
        raise typer.BadParameter("name accounts, or a portfolio with --portfolio")
    with opened(live=False) as services:
        chosen = drivers.driven_otherwise(services, driver, portfolio=portfolio, accounts=accounts or ())
        changed = list(chosen)
        if not dry_run:
            at = ledger_clock(services).now()
            changed = [key for key in chosen if drivers.give_to(services, key, driver, who=who(), at=at)]
            _tell_prefect(services, driver, changed)
    if json:
        print_json({"driver": driver, "changed": len(changed), "dry_run": dry_run})
    else:
        say(f"{len(changed):,} cases {'would be' if dry_run else 'are'} driven by the {driver} from now on")


def _tell_prefect(services: Services, driver: Driver, changed: list[str]) -> None:
    """Start or end the runs; what Prefect does not hear now follows from the ledger when it is back."""
    if not changed:
        return
    # Importing Prefect takes seconds; most commands on most ledgers never need it.
    from arrears.orchestration.timelines import PrefectUnreachable, retire, start_timelines

    try:
        (start_timelines if driver is Driver.TIMELINE else retire)(services, changed)
    except PrefectUnreachable as error:
        later = "the next sweep starts them" if driver is Driver.TIMELINE else "they end when they wake"
        note(f"recorded; {error}: of their runs, {later}")


def _say(swept: Swept, at: str, *, json: bool) -> None:
    document: dict[str, Any] = {
        "accounts": swept.looked_at,
        "effects": swept.effects,
        "by_channel": dict(swept.by_channel),
        "closed": swept.closed,
        "failed": swept.failed,
        "unwritten": list(swept.unwritten),
        "handed_over": swept.handed.sent,
        "not_handed_over": swept.handed.problems,
        "texts_asked_about": swept.asked.asked,
        "braked": swept.braked,
        "as_of": at,
    }
    if json:
        print_json(document)
    else:
        by_channel = as_line(swept.by_channel) if swept.effects else "none"
        say(f"as of {at}: {swept.effects:,} effects ({by_channel}), {swept.closed:,} cases closed")
    if swept.braked:
        note(f"not everything went out: {swept.braked}")
    if swept.asked.silent:
        note(f"texts without an end were not asked about: {swept.asked.silent}; the next sweep asks again")
    for line in swept.unwritten:
        note(f"{line}; the accounts are placed, the next sweep writes it")
    for line in swept.handed.problems:
        note(line)
    if swept.failed:
        note(f"{len(swept.failed)} accounts failed and will be tried again: {', '.join(swept.failed[:10])}")
    if swept.failed or swept.unwritten or swept.handed.problems:
        raise typer.Exit(1)


def _say_counts(counts: Counter[str], *, json: bool) -> None:
    if json:
        print_json({"dry_run": True, "by_channel": dict(counts)})
    else:
        say(f"dry run: {as_line(counts)}")


def replay(
    accounts: Annotated[list[str] | None, typer.Argument(metavar="ACCOUNT...", help="Default: all.")] = None,
    json: Json = False,
) -> None:
    """Reckon balances, cases, holds and consents anew from the events; nothing is sent."""
    with opened(live=False) as services, progress() as bar:
        wanted = accounts or all_accounts(services)
        task = bar.add_task("replaying", total=len(wanted), says="")
        changed: list[str] = []
        for done, account_id in enumerate(wanted, start=1):
            if replay_account(services, account_id, who=who()):
                changed.append(account_id)
            bar.update(task, completed=done, says=f"{done:,}/{len(wanted):,}")
    if json:
        print_json({"accounts": len(wanted), "changed": changed})
        return
    say(f"{len(wanted):,} accounts replayed, {len(changed):,} changed{': ' + ', '.join(changed) if changed else ''}")


def restored(
    since: Annotated[str, typer.Option("--since", metavar="WHEN", help="When the backup was taken, in wall time.")],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be recalled; change nothing.")] = False,
    json: Json = False,
) -> None:
    """After a restore: pull the kill switch, and recall from outbox and provider what was made since the backup.

    Exit 1 when the provider has texts that no account here explains: find them before `arrears start`.
    """
    moment = when(since)
    assert moment is not None
    with opened() as services:
        result = recall_restored(services, moment, who=who(), dry_run=dry_run)
    rows = [(each.account_id, each.rung, each.attempt, each.reference, each.proof) for each in result.recalled]
    columns = ("account_id", "rung", "attempt", "reference", "proof")
    if json:
        recalled = [dict(zip(columns, row, strict=True)) for row in rows]
        print_json({"dry_run": dry_run, "recalled": recalled, "foreign": list(result.foreign)})
    else:
        print_table("", ("account", *columns[1:]), rows)
        say(f"{'dry run: ' if dry_run else ''}{len(rows):,} steps recalled; nothing goes out until `arrears start`")
    if not result.asked_provider:
        note("the provider was not asked: texts do not go out through Twilio here")
    if result.foreign:
        note(f"{len(result.foreign)} texts at the provider are nobody's here: {', '.join(result.foreign[:10])}")
        raise typer.Exit(1)


def stop(why: Annotated[str, typer.Option("--why", help="Kept, and shown to whoever asks.")]) -> None:
    """Pull the kill switch: no driver makes another contact until `arrears start`."""
    with opened(live=False) as services:
        clock = ledger_clock(services)
        brakes.stop(services.ledger, why=why, who=who(), at=clock.now(), wall=clock.wall())
    say("stopped: nothing goes out until `arrears start`")


def start() -> None:
    """Release the kill switch."""
    with opened(live=False) as services:
        clock = ledger_clock(services)
        was_stopped = brakes.start(services.ledger, who=who(), at=clock.now(), wall=clock.wall())
    say("started" if was_stopped else "was not stopped")
