"""What the holder says about being contacted, and contacts that no rung made."""

from __future__ import annotations

from typing import Annotated

import typer

from arrears.cli.accounts import At, Json
from arrears.cli.output import print_json, say
from arrears.cli.session import nudge, opened, when, who
from arrears.clock import VirtualClock
from arrears.operations import consent as consent_operations
from arrears.operations.consent import channel_named
from arrears.operations.replies import receive_text
from arrears.operations.services import instant, ledger_clock

Account = Annotated[str, typer.Argument(metavar="ACCOUNT")]
Channel = Annotated[str, typer.Argument(metavar="CHANNEL", help="Such as sms or call; a wrong one lists all.")]


def add_to(app: typer.Typer) -> None:
    """Register this group's commands."""
    for command in (consent, revoke, contact, reply):
        app.command()(command)


def consent(
    account: Account,
    channel: Channel,
    evidence: Annotated[str, typer.Option("--evidence", help="Where it is written or recorded.")],
    at: At = None,
) -> None:
    """Record the holder's consent to a channel; it ends an opt-out from that channel."""
    moment, named = when(at), channel_named(channel)
    with opened(live=False) as services:
        start = instant(services, moment)
        new = consent_operations.give_consent(services, account, named, at=start, evidence=evidence, who=who())
        if new:
            nudge(services, account)
    say(f"{account}: consent to {channel} {'recorded' if new else 'was on file already'}")


def revoke(
    account: Account,
    channels: Annotated[list[str], typer.Argument(metavar="CHANNEL...", help="What is not wanted any more.")],
    how: Annotated[str, typer.Option("--how", help="By which means and in which words the holder said so.")],
    at: At = None,
) -> None:
    """Record that the holder takes consent back, by whatever reasonable means: nothing goes out there any more."""
    moment, named = when(at), [channel_named(channel) for channel in channels]
    with opened(live=False) as services:
        start = instant(services, moment)
        revoked = consent_operations.revoke(services, account, named, at=start, how=how, who=who())
        if revoked.new:
            nudge(services, account)
    say(f"{account}: {'closed ' + ', '.join(revoked.closed) if revoked.closed else 'was closed already'}")


def contact(
    account: Account,
    channel: Channel,
    inbound: Annotated[bool, typer.Option("--inbound/--outbound", help="Who made it.")] = False,
    outcome: Annotated[str, typer.Option("--outcome", help="A disposition, or conversation.")] = "",
    notice: Annotated[str, typer.Option("--notice", help="The statutory notice it gave, such as default_notice.")] = "",
    note: Annotated[str, typer.Option("--note")] = "",
    at: At = None,
) -> None:
    """Put a contact on record that no rung made: caps count it, a conversation starts its cooldown."""
    moment, named = when(at), channel_named(channel)
    with opened(live=False) as services:
        consent_operations.record_contact(
            services,
            account,
            named,
            inbound=inbound,
            at=instant(services, moment),
            outcome=outcome,
            notice=notice,
            note=note,
            who=who(),
        )
        nudge(services, account)
    say(f"{account}: {'inbound' if inbound else 'outbound'} {channel} recorded")


def reply(
    account: Account,
    text: Annotated[str, typer.Argument(metavar="TEXT", help="The message as it was received.")],
    live: Annotated[
        bool | None,
        typer.Option("--live/--outbox", help="Where the answer goes. Default: live unless time is virtual."),
    ] = None,
    at: At = None,
    json: Json = False,
) -> None:
    """A text from the holder: STOP and its cousins, in any words, take effect at once; START and HELP too."""
    moment = when(at)
    with opened(live=False) as services:
        virtual = isinstance(ledger_clock(services), VirtualClock)
    with opened(live=live if live is not None else not virtual) as services:
        services = services.at(ledger_clock(services))
        received = receive_text(services, account, text, at=instant(services, moment), who=who())
        nudge(services, account)
    document = {
        "account_id": account,
        "wish": str(received.meaning.wish),
        "closed": list(received.closed),
        "opened": list(received.opened),
        "answered": received.answered or None,
    }
    if json:
        print_json(document)
        return
    done = [f"closed {', '.join(received.closed)}"] if received.closed else []
    done += [f"opened {', '.join(received.opened)}"] if received.opened else []
    done += [f"answered, reference {received.answered}"] if received.answered else []
    say(f"{account}: {document['wish']}: {'; '.join(done) or 'on record, nothing to change'}")
