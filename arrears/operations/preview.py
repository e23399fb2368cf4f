"""What would go out if everything due were advanced now: counted, nothing changed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from arrears.ledger.cases import accounts_of_holder, read_case_file
from arrears.operations.brakes import Budget
from arrears.operations.moves import Closed, InDoubt, Ready, look
from arrears.operations.services import Services
from arrears.operations.sweep import due_accounts


def preview(services: Services, account_ids: Iterable[str] | None = None, *, limit: int = 10_000) -> Counter[str]:
    """Effects by channel for the accounts that are due (or `account_ids`), plus what else would happen.

    Keys are channel names, `look up` for steps in doubt, `told together` for accounts that are told about in the
    contact of another, `close` and `wait`. Each account is decided as
    the real run would decide it, in a transaction that is rolled back.
    """
    counts: Counter[str] = Counter()
    told: set[str] = set()
    contacted: set[str] = set()
    for account_id in account_ids if account_ids is not None else due_accounts(services, limit=limit):
        with services.ledger.read() as session:
            file = read_case_file(session, account_id)
            others = accounts_of_holder(session, account_id)
            move = look(services, session, file, others, who="preview", budget=Budget(), intend=False)
            match move:
                case Ready(in_turn=True) if account_id in told or file.account.holder_id in contacted:
                    # Told about, or put off, by what goes out about another account of the holder.
                    counts["told together" if account_id in told else "wait"] += 1
                case Ready(channel=channel, tells=tells):
                    told.update(tells)
                    if channel.reaches_the_holder:
                        contacted.add(file.account.holder_id)
                    counts[str(channel)] += 1
                case InDoubt():
                    counts["look up"] += 1
                case Closed():
                    counts["close"] += 1
                case _:
                    counts["wait"] += 1
    return counts


def as_line(counts: Counter[str]) -> str:
    """`sms 12, call 3, wait 5`."""
    return ", ".join(f"{what} {count}" for what, count in counts.most_common()) or "nothing is due"
