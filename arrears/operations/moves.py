"""One locked look at a case: decide, ask the gate, and commit what follows.

This is the first half of the checkpoint. Whatever comes out has been committed: an intent that is now
ours to carry out, a step in doubt that is now ours to look up, or a standstill with its reason.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlmodel import Session

import models
from arrears.channels.effect import Intent
from arrears.clock import iso
from arrears.engine.case import Turn
from arrears.engine.contact.facts import Facts
from arrears.engine.contact.gate import gate
from arrears.engine.contact.spread import spread_out
from arrears.engine.contact.verdict import Allow, Defer, Deny, Review, Scope
from arrears.engine.decide import Close, Perform, Skip, Wait, decide
from arrears.engine.ladder import Contacts, Ladder, Rung
from arrears.engine.partners import Choice
from arrears.engine.vocabulary import CaseStatus, ChannelName, StepStatus
from arrears.ledger.ahead import next_step_id
from arrears.ledger.cases import CaseFile, lock_person, read_case_file
from arrears.ledger.events import log_event
from arrears.ledger.owner import is_free, new_claim
from arrears.ledger.references import free_reference
from arrears.operations.brakes import Budget, braked, spend
from arrears.operations.choose_agency import choose_agency
from arrears.operations.close import close_case
from arrears.operations.court import papers_lacking, papers_of
from arrears.operations.documents import say_what_lacks
from arrears.operations.facts import gate_facts, ladder_of, proposal_of
from arrears.operations.limits import heed_limit
from arrears.operations.neighbours import Contact, company_of, turn_of
from arrears.operations.prepare import CannotPrepare, PackIncomplete, TemplateUnusable, prepare
from arrears.operations.recall import recall_what_is_due
from arrears.operations.services import Services
from arrears.operations.standstill import snapshot_of
from arrears.operations.told import CARRIES, carrier_of, told_in, what_was_said
from arrears.operations.verdicts import recorded
from arrears.operations.work import Work, open_item

# How long a brake keeps a timeline from looking again, in wall time.
_BRAKE_PAUSE = timedelta(minutes=1)
# How long a step that a person must unblock outside the ladder (an unknown zone) waits to be judged again.
_JUDGE_AGAIN = timedelta(days=1)
# How long a step whose template is broken waits before somebody may have repaired it.
_TRY_AGAIN = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Intended:
    """Committed and ours: carry it out."""

    intent: Intent
    channel: ChannelName


@dataclass(frozen=True, slots=True)
class InDoubt:
    """Somebody's unfinished intent, now ours: look it up."""

    intent: Intent
    channel: ChannelName


@dataclass(frozen=True, slots=True)
class Ready:
    """This rung may go, but the caller asked not to intend it yet.

    `tells` of these other accounts of the holder in the same contact; `in_turn`: contacts about others wait for it.
    """

    rung: str
    attempt: int
    channel: ChannelName
    tells: tuple[str, ...] = ()
    in_turn: bool = False


@dataclass(frozen=True, slots=True)
class Standstill:
    """Nothing to do before `until` (ledger time) or `wall_until`; both None: until something happens."""

    reason: str
    until: datetime | None = None
    wall_until: datetime | None = None
    rung: str | None = None
    zone: str = ""
    braked: bool = False


@dataclass(frozen=True, slots=True)
class Closed:
    """The case is over."""

    outcome: str


Move = Intended | InDoubt | Ready | Standstill | Closed


def next_move(
    services: Services,
    account_id: str,
    *,
    who: str,
    budget: Budget,
    intend: bool = True,
    only: str | None = None,
) -> Move:
    """Bring the case as far as it goes without touching the world, in one transaction.

    With `intend=False` a rung that may go is reported as Ready and nothing is intended; with `only`,
    nothing but that rung is. Raises UnknownAccount and UnknownLadder.
    """
    with services.ledger.write() as session:
        others = lock_person(session, account_id)
        file = read_case_file(session, account_id, lock=True)
        return look(services, session, file, others, who=who, budget=budget, intend=intend, only=only)


def look(
    services: Services,
    session: Session,
    file: CaseFile,
    others: Sequence[str],
    *,
    who: str,
    budget: Budget,
    intend: bool,
    only: str | None = None,
) -> Move:
    """`next_move` inside the caller's transaction; `others`: the holder's other accounts."""
    return _Desk(services, session, file, others, who, budget).move(intend=intend, only=only)


@dataclass(slots=True)
class _Desk:
    """One case on the table, inside one transaction."""

    services: Services
    session: Session
    file: CaseFile
    others: Sequence[str]
    who: str
    budget: Budget
    turn: Turn | None = None
    recall_at: datetime | None = None

    def move(self, *, intend: bool, only: str | None) -> Move:
        wall = self.services.clock.wall()
        for step in self.file.steps:
            if vars(step)["status"] == StepStatus.INTENDED:
                return self._in_flight(step, wall)
        retry_at = self.file.case.retry_at
        if retry_at is not None and retry_at > wall:
            return Standstill(
                self.file.case.next_reason,
                wall_until=retry_at,
                rung=self.file.case.next_rung,
                zone=self.file.zone,
            )
        ladder = ladder_of(self.services, self.session, self.file, now=self.services.clock.now())
        if self.others:
            self.turn = turn_of(self.services, self.session, self.file, ladder, now=self.services.clock.now())
        # Before anything is decided: an account that comes back is the bank's to contact again.
        now = self.services.clock.now()
        self.recall_at = recall_what_is_due(self.services, self.session, self.file, at=now, who=self.who)
        heed_limit(self.services, self.session, self.file, at=now)
        lacks = papers_lacking(self.services, self.session, self.file, ladder, now=now)
        while True:
            now = self.services.clock.now()
            case = snapshot_of(self.services, self.file, now=now, turn=self.turn, papers_lacking=lacks)
            match decide(case, ladder, now=now):
                case Close(outcome):
                    close_case(self.session, self.file, outcome, who=self.who, at=now, wall=wall)
                    recall_what_is_due(self.services, self.session, self.file, at=now, who=self.who)
                    return Closed(self.file.case.outcome)
                case Skip(rung, attempt, due_at, reason, unreached):
                    self._skip(self._planned(rung, attempt, due_at), reason, now, unreached=unreached)
                case Wait(until, reason, rung_name):
                    if lacks and lacks in reason:
                        say_what_lacks(self.session, self.file, rung_name or "", lacks, at=now)
                    return self._stand(until, reason, rung_name, now)
                case Perform(rung, attempt, due_at):
                    move = self._approach(ladder, rung, attempt, due_at, now, intend=intend, only=only)
                    if move is not None:
                        return move

    def _approach(
        self,
        ladder: Ladder,
        rung: Rung,
        attempt: int,
        due_at: datetime,
        now: datetime,
        *,
        intend: bool,
        only: str | None,
    ) -> Move | None:
        """Brakes, then the gate, then the intent. None: something was recorded, decide again."""
        if only is not None and rung.name != only:
            return Ready(rung.name, attempt, rung.channel)
        per_day = self.services.settings.most_effects_per_day
        # To choose an agency takes a lock of its own, after that of the ceiling wherever both are taken.
        shared = rung.channel is not ChannelName.AGENCY
        if brake := braked(self.session, self.budget, per_day=per_day, now=now, shared=shared):
            wall_until = self.services.clock.wall() + _BRAKE_PAUSE
            return Standstill(brake.why, brake.until, wall_until, rung=rung.name, zone=self.file.zone, braked=True)
        proposal = proposal_of(self.file, rung)
        facts = gate_facts(self.services, self.session, self.file, ladder, rung, now=now)
        verdict = gate(proposal, self.services.rulebook, facts, now=now)
        step = self._planned(rung, attempt, due_at)
        step.take(
            rules=list(verdict.rules),
            verdict=recorded(verdict, proposal, facts, self.services.rulebook.version, now),
            actor=proposal.actor,
            number=proposal.number,
        )
        match verdict:
            case Allow():
                mine = Contact(self.file, rung, attempt, due_at, proposal, facts, verdict)
                company = company_of(self.services, self.session, mine, ladder, self.others, now=now)
                if company.turn is not None:
                    self.turn = company.turn
                    return None
                if intend:
                    return self._intend(step, rung, facts, company.told, now)
                in_turn = rung.takes_turns and ladder.several.contacts is not Contacts.EACH
                tells = tuple(other.file.account.id for other in company.told)
                return Ready(rung.name, attempt, rung.channel, tells, in_turn)
            case Defer(until, rules, reason):
                until = spread_out(
                    proposal, self.services.rulebook, facts, opening=until, preferred=rung.due.at, key=step.reference
                )
                step.not_before, step.reason = until, reason
                self._log("deferred", now, step, why=reason, rules=rules, until=iso(until))
            case Deny(rules, reason, Scope.CONTACT) if rung.channel.reaches_the_holder:
                # Texts are closed, not the case: a letter may stand in, if the gate lets it.
                self._skip(step, reason, now, unreached=rung.channel is ChannelName.SMS)
            case Deny(rules, reason, _):
                # Nothing replaces a placement or a referral, and a hold can end: judge it again.
                step.not_before, step.reason = now + _JUDGE_AGAIN, reason
                self._log("denied", now, step, why=reason, rules=rules)
            case Review(rules, reason):
                # An approval that did not help must not be asked for again in the same breath.
                if facts.approved:
                    step.not_before = now + _JUDGE_AGAIN
                step.needs_person, step.reason = True, reason
                self._log("review", now, step, why=reason, rules=rules)
        return None

    def _intend(
        self, step: models.Step, rung: Rung, facts: Facts, told: Sequence[Contact], now: datetime
    ) -> Move | None:
        wall = self.services.clock.wall()
        agency: Choice | None = None
        if rung.channel is ChannelName.AGENCY:
            agency = choose_agency(self.services, self.session, self.file, rung, now=now)
            if agency.partner is None:
                return self._nobody_takes(step, agency, now)
        try:
            others = [other.file for other in told]
            step.payload = prepare(
                self.services, self.session, self.file, step, rung, facts, others=others, agency=agency, now=now
            )
        except CannotPrepare as error:
            if told:
                # What another account brings into the message must not be what keeps it from going out.
                return self._intend(step, rung, facts, (), now)
            if isinstance(error, PackIncomplete):
                # Nothing leaves incomplete, and nothing is given up: whoever can make it good is told, once.
                if step.reason != str(error):
                    self._log("pack incomplete", now, step, why=str(error))
                say_what_lacks(self.session, self.file, rung.name, str(error), at=now)
                step.not_before, step.reason = now + _JUDGE_AGAIN, str(error)
                self.session.add(step)
                return None
            if isinstance(error, TemplateUnusable):
                # Nothing is skipped for a slip of the pen: what is repaired goes out, and the other rungs meanwhile.
                if step.reason != str(error):
                    self._log("template unusable", now, step, why=str(error))
                step.not_before, step.reason = now + _TRY_AGAIN, str(error)
                return None
            step.status, step.at, step.reason = StepStatus.FAILED, now, str(error)
            step.unreached = rung.channel is ChannelName.SMS and not self.file.text_numbers
            self._log("failed", now, step, why=step.reason)
            return None
        step.take(status=StepStatus.INTENDED, at=now, reason="", needs_person=False, intended_wall=wall)
        claim(self.services, step, wall)
        # Until the outcome is known there is nothing here for another sweep to look at.
        self.file.case.retry_at = step.lease_until
        spend(self.session, self.budget)
        self._log("intended", now, step, rules=tuple(step.rules))
        if rung.channel is ChannelName.LEGAL:
            self._say_what_follows(rung, now)
        if told:
            step.payload = {**step.payload, CARRIES: [other.file.account.id for other in told]}
            for other in told:
                desk = _Desk(self.services, self.session, other.file, (), self.who, self.budget)
                desk.be_told(other, step, now)
        return Intended(intent_of(step), ChannelName(step.channel))

    def _say_what_follows(self, rung: Rung, now: datetime) -> None:
        """What goes to the lender's own lawyers may leave before all is there: somebody must bring the rest."""
        if follows := papers_of(self.services, self.session, self.file.account).lacks:
            say_what_lacks(self.session, self.file, rung.name, follows, at=now)

    def _nobody_takes(self, step: models.Step, choice: Choice, now: datetime) -> None:
        """No agency may have the account: a person is told why, and it is asked again later."""
        step.not_before, reason = now + _JUDGE_AGAIN, f"no agency takes it: {choice.in_words()}"
        if step.reason != reason:
            step.reason = reason
            self._log("no agency", now, step, why=reason)
        open_item(self.session, step.account_id, Work.NO_AGENCY, key=step.reference, note=reason, at=now)
        self.session.add(step)

    def be_told(self, mine: Contact, carrier: models.Step, now: datetime) -> None:
        """This account's contact is intended as part of another's."""
        step = self._planned(mine.rung, mine.attempt, mine.due_at)
        step.rules = list(mine.verdict.rules)
        step.verdict = recorded(mine.verdict, mine.proposal, mine.facts, self.services.rulebook.version, now)
        step.actor, step.number = mine.proposal.actor, mine.proposal.number
        step.status, step.at, step.reason, step.needs_person = StepStatus.INTENDED, now, told_in(carrier), False
        step.carried_by, step.payload = carrier.reference, what_was_said(carrier.payload)
        step.intended_wall, step.owner, step.lease_until = carrier.intended_wall, carrier.owner, carrier.lease_until
        self.file.case.next_rung, self.file.case.next_reason = step.rung, step.reason
        self._log("intended", now, step, why=step.reason, rules=tuple(step.rules))

    def _in_flight(self, step: models.Step, wall: datetime) -> Move:
        """An intent without an outcome: leave it to its owner, or take it over if the owner is gone."""
        if step.carried_by:
            step = carrier_of(self.session, step)
        if not is_free(step.owner, step.lease_until, wall):
            self.file.case.retry_at = step.lease_until
            self.file.case.next_rung = step.rung
            self.file.case.next_reason = step.reason or f"{step.rung} is being carried out"
            return Standstill(
                self.file.case.next_reason, wall_until=step.lease_until, rung=step.rung, zone=self.file.zone
            )
        # Without an owner it has been nobody's since it was last looked up, or since its outcome was in doubt.
        just_taken = bool(step.owner)
        claim(self.services, step, wall)
        return InDoubt(intent_of(step, just_taken=just_taken), ChannelName(step.channel))

    def _stand(self, until: datetime | None, reason: str, rung: str | None, now: datetime) -> Standstill:
        case = self.file.case
        held = reason.startswith("held:")
        status = case.status
        if status != CaseStatus.HALTED:
            status = CaseStatus.HELD if held else CaseStatus.DELINQUENT
        if (case.next_due_at, case.next_reason, case.status) != (until, reason, status):
            if case.status != status:
                self._log(str(status), now, why=reason)
            case.next_due_at, case.next_rung, case.next_reason, case.status = until, rung, reason, status
        case.recall_at = self.recall_at
        case.retry_at = None
        case.failures = 0
        looks_again = min((moment for moment in (until, self.recall_at) if moment is not None), default=None)
        return Standstill(reason, until=looks_again, rung=rung, zone=self.file.zone)

    def _planned(self, rung: Rung, attempt: int, due_at: datetime) -> models.Step:
        step = self.file.step(rung.name, attempt)
        if step is None:
            step = models.Step(
                id=next_step_id(self.session),
                case_id=self.file.case.id,
                account_id=self.file.account.id,
                rung=rung.name,
                attempt=attempt,
                stage=rung.stage,
                channel=rung.channel,
                status=StepStatus.PLANNED,
                reference=free_reference(self.session, self.file.case, rung.name, attempt),
                due_at=due_at,
                # Given, because pydantic takes longer to find out what a default of `dict` wants than all else here.
                rules=[],
                verdict={},
                payload={},
            )
            self.file.steps.append(step)
            self.session.add(step)
        return step

    def _skip(self, step: models.Step, reason: str, now: datetime, *, unreached: bool = False) -> None:
        step.status, step.at, step.reason, step.unreached = StepStatus.SKIPPED, now, reason, unreached
        self._log("skipped", now, step, why=reason, rules=tuple(step.rules))

    def _log(
        self,
        what: str,
        now: datetime,
        step: models.Step | None = None,
        *,
        why: str = "",
        rules: tuple[str, ...] = (),
        until: str = "",
    ) -> None:
        data: dict[str, object] = {}
        if step is not None:
            data = {"rung": step.rung, "attempt": step.attempt, "reference": step.reference}
        if rules:
            data["rules"] = list(rules)
        if until:
            data["until"] = until
        wall = self.services.clock.wall()
        log_event(self.session, what, who=self.who, at=now, wall=wall, case=self.file.case, why=why, data=data)


def claim(services: Services, step: models.Step, wall: datetime) -> None:
    """The step is the caller's alone to carry out or look up, until the lease from `wall` runs out."""
    step.take(owner=new_claim(), lease_until=wall + timedelta(seconds=services.settings.lease_seconds))


def intent_of(step: models.Step, *, just_taken: bool = False) -> Intent:
    """The committed intent as a channel sees it."""
    of = vars(step)
    assert of["at"] is not None
    assert of["intended_wall"] is not None
    return Intent(
        key=models.step_key(of["case_id"], of["rung"], of["attempt"]),
        account_id=of["account_id"],
        rung=of["rung"],
        attempt=of["attempt"],
        reference=of["reference"],
        payload=of["payload"],
        at=of["at"],
        wall=of["intended_wall"],
        claim=of["owner"],
        lease_until=of["lease_until"],
        just_taken=just_taken,
    )
