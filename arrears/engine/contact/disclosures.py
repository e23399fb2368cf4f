"""Which words the law wants in a message."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from arrears.engine.contact.facts import ContactChannel, Facts, Proposal
from arrears.engine.contact.rules import Disclosure, Rulebook, When


def required_words(proposal: Proposal, rulebook: Rulebook, facts: Facts, *, now: datetime) -> tuple[str, ...]:
    """The parts that this message must hold, in the order of the rules, each once.

    A first communication is one before which the same party made none to this person. Words that only
    later messages need are left out where the first message's words already say as much.
    """
    first = not any(c.outbound and c.actor in (None, proposal.actor) for c in facts.history)
    day = now.date()
    time_barred = facts.limitation_ends is not None and day >= facts.limitation_ends
    occasions = {When.EVERY, When.INITIAL if first else When.SUBSEQUENT}
    if time_barred:
        occasions.add(When.TIME_BARRED)
    return tuple(
        dict.fromkeys(
            part
            for pack in rulebook.matching(facts.jurisdictions)
            for rule in pack.disclosures
            if rule.when in occasions and rule.binds(proposal) and rule.in_force(day)
            for part in rule.words
        )
    )


def words_by_rule(rulebook: Rulebook, channel: ContactChannel) -> Iterator[tuple[str, Disclosure]]:
    """Every part that some message on `channel` may need, and the rule that wants it."""
    for pack in rulebook.packs.values():
        for rule in pack.disclosures:
            if channel in rule.channels:
                yield from ((part, rule) for part in rule.words)
