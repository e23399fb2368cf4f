"""What people decide and report: holds, approvals, settlements."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from arrears.cli.accounts import At, Json
from arrears.cli.output import note, print_json, print_table, say
from arrears.cli.session import a_day, nudge, opened, when, who
from arrears.clock import iso
from arrears.intake.events import E164
from arrears.operations import hold as hold_operations
from arrears.operations import steer, work
from arrears.operations.numbers import check_number
from arrears.operations.review import waiting_for_people
from arrears.operations.services import instant

Account = Annotated[str, typer.Argument(metavar="ACCOUNT")]


def add_to(app: typer.Typer) -> None:
    """Register this group's commands."""
    for command in (hold, release, approve, resume, halt, settle, review, attend, number):
        app.command()(command)


def hold(
    account: Account,
    kind: Annotated[str, typer.Argument(metavar="KIND", help="Such as DISPUTE_OPEN; a wrong one lists all.")],
    until: Annotated[str | None, typer.Option("--until", metavar="DATE", help="Default: until released.")] = None,
    channel: Annotated[str | None, typer.Option("--channel", help="Only this channel, for opt-outs.")] = None,
    evidence: Annotated[str, typer.Option("--evidence", help="Where it is written.")] = "",
    review: Annotated[str | None, typer.Option("--review", metavar="DATE", help="When to look at it again.")] = None,
    at: At = None,
) -> None:
    """Place a hold: nothing it forbids goes out from now on."""
    moment, end, look_again = when(at), when(until), a_day(review) if review else None
    with opened(live=False) as services:
        start = instant(services, moment)
        new = hold_operations.hold(
            services,
            account,
            kind,
            at=start,
            until=end,
            channel=channel,
            evidence=evidence,
            review_on=look_again,
            who=who(),
        )
        late = hold_operations.would_have_stopped(services, account, kind) if new else []
        if new:
            nudge(services, account)
    say(f"{account}: {'held' if new else 'was held already'}: {kind.upper()}")
    for step in late:
        at_instant = iso(step.at) if step.at else ""
        say(f"  known in time it would have stopped {step.rung} of {step.account_id} on {at_instant}")


def release(account: Account, kind: Annotated[str, typer.Argument(metavar="KIND")], at: At = None) -> None:
    """Release every open hold of a kind."""
    moment = when(at)
    with opened(live=False) as services:
        released = hold_operations.release(services, account, kind, at=instant(services, moment), who=who())
        nudge(services, account)
    say(f"{account}: released {released.count} × {kind.upper()}")


def approve(
    account: Account,
    rung: Annotated[str, typer.Argument(metavar="RUNG")],
    by: Annotated[str, typer.Option("--by", metavar="NAME", help="The person who approves.")],
    at: At = None,
) -> None:
    """Give the approval a rung asks for."""
    moment = when(at)
    with opened(live=False) as services:
        at_instant = instant(services, moment)
        approved = steer.approve(services, account, rung, by=by, at=at_instant)
        asked = steer.questions(services, account, rung, at=at_instant)
        nudge(services, account)
    more = "; a second person must approve it, too" if approved.missing else ""
    say(f"{account}: {rung} {'approved' if approved.new else 'was approved before'} by {by}{more}")
    for rule, question in asked:
        say(f"  whoever approves answers for: {question} ({rule})")


def resume(account: Account) -> None:
    """Let a halted case go on; a timeline that was cancelled gets a successor."""
    with opened(live=False) as services:
        case = steer.resume(services, account, who=who(), at=instant(services, None))
        if case.driver == "timeline":
            _restart(account)
    say(f"{account}: resumed")


def _restart(account: str) -> None:
    from arrears.orchestration.at_work import services
    from arrears.orchestration.timelines import PrefectUnreachable, revive

    try:
        revive(services(), [account], restart_cancelled=True)
    except PrefectUnreachable as error:
        note(f"resumed; its timeline could not be started ({error}), the next sweep will see to it")


def halt(account: Account, why: Annotated[str, typer.Option("--why")]) -> None:
    """Stop one case until `arrears resume`."""
    with opened(live=False) as services:
        new = steer.halt(services, account, why=why, who=who(), at=instant(services, None))
    say(f"{account}: {'halted' if new else 'was halted or closed already'}")


def settle(
    account: Account,
    rung: Annotated[str, typer.Argument(metavar="RUNG")],
    how: Annotated[steer.Settlement, typer.Argument(help="done, again or skip")],
    by: Annotated[str, typer.Option("--by", metavar="NAME")],
    why: Annotated[str, typer.Option("--why", help="What the person knows.")],
) -> None:
    """Settle a step that is unknown, failed or skipped, by a person's word."""
    with opened(live=False) as services:
        status = steer.settle(services, account, rung, how, by=by, why=why, at=instant(services, None))
        nudge(services, account)
    say(f"{account}: {rung} is {status}")


def review(json: Json = False) -> None:
    """What waits for a person, and the command that moves it."""
    with opened(live=False) as services:
        waiting = waiting_for_people(services)
    if json:
        print_json([asdict(item) for item in waiting])
        return
    columns = ["account", "rung", "why", "what to do"]
    print_table("waits for a person", columns, [(w.account_id, w.rung, w.reason, w.do) for w in waiting])


def attend(
    item: Annotated[int, typer.Argument(metavar="ITEM", help="Its number in `arrears review`.")],
    by: Annotated[str, typer.Option("--by", metavar="NAME")],
    answer: Annotated[str, typer.Option("--answer", help="What came of it.")],
) -> None:
    """A person has seen to something that the holder said or asked for."""
    with opened(live=False) as services:
        finished = work.finish(services, item, by=by, answer=answer, at=instant(services, None))
    whose = finished.account_id or f"item {item}"
    say(f"{whose}: {finished.kind} {'seen to' if finished.new else 'was seen to before'}")


def number(
    account: Account,
    telephone: Annotated[str, typer.Argument(metavar="NUMBER", help="As +14155550123.")],
    good: Annotated[bool, typer.Option("--good/--bad", help="Whether the holder can be reached there.")],
    why: Annotated[str, typer.Option("--why", help="How it is known, such as skip trace.")],
    reference: Annotated[str, typer.Option("--reference", metavar="REF", help="Taken once per reference.")],
    at: At = None,
) -> None:
    """Say that a number is bad, or add one that was found."""
    moment = when(at)
    if not E164.fullmatch(telephone):
        raise typer.BadParameter("expected a number as +14155550123", param_hint="NUMBER")
    with opened(live=False) as services:
        posted = check_number(
            services,
            account,
            telephone,
            good=good,
            why=why,
            reference=reference,
            at=instant(services, moment),
            source="cli",
            who=who(),
        )
        if posted.new:
            nudge(services, account)
    say(f"{account}: number {'recorded' if posted.new else 'was recorded before; nothing changed'}")
