"""The call floor: what to call next and why, the script, the telephone, the outcome, and what came of it all."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, timedelta
from typing import Annotated, Any

import typer

from arrears.cli.accounts import At, Json
from arrears.cli.output import note, print_json, print_table, say
from arrears.cli.session import a_day, nudge, opened, when
from arrears.clock import VirtualClock, iso
from arrears.engine.floor import Score
from arrears.engine.vocabulary import Disposition
from arrears.intake.events import E164
from arrears.operations import calls as call_operations
from arrears.operations.claim import Claimed, NothingToCall, next_call, release_claim
from arrears.operations.day_list import Listed, day_list, share_out
from arrears.operations.dial import DialRefused, dial, dialler_of
from arrears.operations.performance import DEFINITIONS, Collector, performance
from arrears.operations.services import instant, ledger_clock

Account = Annotated[str, typer.Argument(metavar="ACCOUNT")]
By = Annotated[str, typer.Option("--by", metavar="NAME", help="The collector.")]
app = typer.Typer(help="The call floor: day list, scripts, dialling, outcomes, performance.", no_args_is_help=True)


@app.command("list")
def list_calls(
    limit: Annotated[int, typer.Option()] = 50,
    by: Annotated[str, typer.Option("--by", metavar="NAME", help="Only this collector's day list.")] = "",
    at: At = None,
    json: Json = False,
) -> None:
    """Open call tasks, the highest score first, with what the score is made of."""
    moment = when(at)
    with opened(live=False) as services:
        listed = day_list(services, now=instant(services, moment))
    shown = [one for one in listed if not by or one.task.dealt_to == by][:limit]
    if json:
        print_json([_task(one) for one in shown])
        return
    print_table(
        "call list",
        ["account", "number", "best local hours", "score", "why", "day list of", "with", "task"],
        [
            (
                one.task.account_id,
                one.task.number,
                f"{one.task.best_from}-{one.task.best_to} {one.task.zone}",
                one.score.points,
                _why(one.score),
                one.task.dealt_to,
                one.claimed_by,
                one.task.key,
            )
            for one in shown
        ],
    )


@app.command("next")
def next_one(by: By, at: At = None, json: Json = False) -> None:
    """The best call that the law allows this minute, yours until you record its outcome or your claim lapses."""
    moment = when(at)
    with opened(live=False) as services:
        got = next_call(services, by=by, now=instant(services, moment))
        closes = services.floor.claim
    if isinstance(got, NothingToCall):
        first = iso(got.first) if got.first else None
        if json:
            print_json({"account_id": None, "looked_at": got.looked_at, "first": first})
        else:
            later = f"; the first may be called at {first}" if first else ""
            say(f"nothing to call now: {got.looked_at} tasks were judged{later}")
        return
    if json:
        print_json(_claimed(got))
        return
    task = got.task
    say(f"{task.account_id}: {task.number}, until {iso(got.claim.until)} ({closes.total_seconds() / 60:.0f} minutes)")
    if got.listed is not None:
        say(f"score {got.listed.score.points}: {_why(got.listed.score)}")
    if not got.new:
        say("yours already: record its outcome before the next one")
    say("")
    say(task.script)


@app.command()
def release(
    account: Account,
    by: By,
    why: Annotated[str, typer.Option("--why", metavar="TEXT")] = "",
    at: At = None,
) -> None:
    """Give a claimed task back to the queue as it was."""
    moment = when(at)
    with opened(live=False) as services:
        release_claim(services, account, by=by, why=why, now=instant(services, moment))
    say(f"{account}: back in the queue")


@app.command("script")
def script_of(account: Account, json: Json = False) -> None:
    """What to say on the call: made for this account and the law of its places when the task was queued."""
    with opened(live=False) as services:
        tasks = [one for one in day_list(services, now=instant(services, None)) if one.task.account_id == account]
    if not tasks:
        raise call_operations.CallRefused(f"account {account} has no open call task")
    if json:
        print_json(_task(tasks[0]))
    else:
        say(tasks[0].task.script)


@app.command("dial")
def dial_one(
    account: Account,
    by: By,
    agent: Annotated[str, typer.Option("--agent", metavar="+NUMBER", help="The collector's own telephone.")],
    json: Json = False,
) -> None:
    """Ring the collector's telephone; who answers and presses one is put through, if the gate allows it then."""
    if not E164.fullmatch(agent):
        raise typer.BadParameter("expected a number as +14155550123", param_hint="--agent")
    with opened(live=True) as services:
        if isinstance(ledger_clock(services), VirtualClock):
            raise DialRefused("this ledger stands on a virtual clock: nobody is called for real from it")
        row = dial(services, dialler_of(services), account, by=by, agent_number=agent, now=instant(services, None))
    if json:
        print_json({"account_id": account, "dial": row.reference, "state": row.state, "reason": row.reason})
    else:
        say(f"{account}: {row.state}, dial {row.reference}" + (f": {row.reason}" if row.reason else ""))


@app.command("outcome")
def call_outcome(
    account: Account,
    disposition: Annotated[Disposition, typer.Argument()],
    by: By,
    text: Annotated[str, typer.Option("--note", help="Needed for some outcomes.")] = "",
    amount: Annotated[str | None, typer.Option("--amount", help="What was promised.")] = None,
    on: Annotated[str | None, typer.Option("--on", metavar="DATE", help="By when it was promised.")] = None,
    call_back: Annotated[
        str | None, typer.Option("--call-back-at", metavar="WHEN", help="When they asked for.")
    ] = None,
    at: At = None,
) -> None:
    """Record what came of the account's open call task."""
    moment, later = when(at), when(call_back)
    if (amount is None) != (on is None):
        raise typer.BadParameter("--amount and --on belong together")
    promised = call_operations.Promised(amount, a_day(on)) if amount is not None and on is not None else None
    with opened(live=False) as services:
        call_operations.must_be_noted(services, disposition, text)
        call_operations.record_call(
            services,
            account,
            disposition,
            by=by,
            note=text,
            promised=promised,
            call_back_at=later,
            at=instant(services, moment),
        )
        nudge(services, account)
    say(f"{account}: {disposition}")


@app.command()
def deal(
    collectors: Annotated[list[str], typer.Argument(metavar="NAME...")],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be dealt.")] = False,
    at: At = None,
    json: Json = False,
) -> None:
    """Share the open tasks out into day lists of like worth; a person's tasks stay with one collector."""
    moment = when(at)
    with opened(live=False) as services:
        hands = share_out(services, collectors, now=instant(services, moment), dry_run=dry_run)
    if json:
        print_json([asdict(hand) for hand in hands])
        return
    rows = [(hand.collector, len(hand.keys), hand.points) for hand in hands]
    print_table("day lists" + (" (dry run)" if dry_run else ""), ["collector", "tasks", "score in all"], rows)


@app.command("performance")
def performance_of(
    since: Annotated[str | None, typer.Option("--from", metavar="DATE", help="Default: 30 days ago.")] = None,
    until: Annotated[str | None, typer.Option("--to", metavar="DATE", help="Default: now. Not included.")] = None,
    json: Json = False,
) -> None:
    """By collector: attempts, contacts, promises, kept, cash, per hour; the definitions are printed with them."""
    first, last = when(since), when(until)
    with opened(live=False) as services:
        now = instant(services, None)
        begins, ends = first or now - timedelta(days=30), last or now + timedelta(seconds=1)
        found = performance(services, since=begins, until=ends, now=now)
    if json:
        print_json(
            {
                "from": iso(begins.astimezone(UTC)),
                "to": iso(ends.astimezone(UTC)),
                "collectors": [_collector(one) for one in found],
                "definitions": DEFINITIONS,
            }
        )
        return
    print_table(
        f"collectors, {iso(begins)} to {iso(ends)}",
        [
            "collector",
            "attempts",
            "contacts",
            "promises",
            "kept",
            "broken",
            "cash",
            "hours",
            "attempts/h",
            "contacts/h",
        ],
        [
            (
                one.name,
                one.attempts,
                one.contacts,
                one.promises,
                one.kept,
                one.broken,
                ", ".join(f"{money.decimal_text()} {money.currency}" for money in one.cash.values()),
                f"{one.hours:.2f}",
                _rate(one.per_hour(one.attempts)),
                _rate(one.per_hour(one.contacts)),
            )
            for one in found
        ],
    )
    for name, meaning in DEFINITIONS.items():
        note(f"{name}: {meaning}")


def _rate(value: float | None) -> str:
    return "" if value is None else f"{value:.1f}"


def _why(score: Score) -> str:
    return ", ".join(f"{part.name} {part.points} ({part.why})" for part in score.parts)


def _task(one: Listed) -> dict[str, Any]:
    task = one.task
    shown = task.model_dump(mode="json", include={"key", "account_id", "number", "zone", "priority", "script"})
    return shown | {
        "best": f"{task.best_from}-{task.best_to}",
        "score": one.score.points,
        "why": [asdict(part) for part in one.score.parts],
        "dealt_to": task.dealt_to,
        "claimed_by": one.claimed_by,
    }


def _claimed(got: Claimed) -> dict[str, Any]:
    task = got.task
    shown = task.model_dump(mode="json", include={"key", "account_id", "number", "zone", "script"})
    why = [asdict(part) for part in got.listed.score.parts] if got.listed else []
    return shown | {"by": got.claim.collector, "until": iso(got.claim.until), "new": got.new, "why": why}


def _collector(one: Collector) -> dict[str, Any]:
    cash = {currency: money.decimal_text() for currency, money in sorted(one.cash.items())}
    return {
        "collector": one.name,
        "attempts": one.attempts,
        "contacts": one.contacts,
        "promises": one.promises,
        "kept": one.kept,
        "broken": one.broken,
        "cash": cash,
        "hours": round(one.hours, 2),
        "attempts_per_hour": one.per_hour(one.attempts),
        "contacts_per_hour": one.per_hour(one.contacts),
    }
