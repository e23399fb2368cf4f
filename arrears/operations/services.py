"""Everything an operation needs, put together once at the edge."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from pathlib import Path

import models
from arrears.channels.agency import AgencyFolder
from arrears.channels.documents import DocumentStore
from arrears.channels.effect import Channel
from arrears.channels.legal import LegalChannel
from arrears.channels.letter import LetterChannel
from arrears.channels.sms import OutboxSms, TwilioSms
from arrears.channels.voice import VoiceChannel
from arrears.clock import Clock, VirtualClock, iso, parse_clock, parse_instant
from arrears.engine.contact.disclosures import words_by_rule
from arrears.engine.contact.facts import Facts, contact_channel
from arrears.engine.contact.notices import with_notices
from arrears.engine.contact.rules import Rulebook
from arrears.engine.delivery import DeliveryPolicy
from arrears.engine.ladder import Ladder
from arrears.engine.partners import NO_PARTNERS, Partners
from arrears.engine.vocabulary import ChannelName
from arrears.ledger import state
from arrears.ledger.cases import CaseFile
from arrears.ledger.database import Ledger
from arrears.ledger.limits import Limits
from arrears.operations.call_queue import LedgerCallQueue
from arrears.operations.links import status_link
from arrears.operations.pace import LocalPace, NoPace, Pace
from arrears.operations.place import AgencyChannel
from arrears.policies.contact_rules import load_rulebook
from arrears.policies.delivery import load_delivery
from arrears.policies.floor import Floor, load_floor
from arrears.policies.ladders import LadderShelf, load_ladders
from arrears.policies.limitation import Limitation, Reckoned, load_limitation
from arrears.policies.partners import load_partners
from arrears.policies.referrals import ReferralPolicy, Referrals, load_referrals
from arrears.rendering.catalog import Catalog, Kind, open_catalog
from arrears.settings import ROOT, Settings

_LadderKey = tuple[str, tuple[str, ...], bool, frozenset[str], date]
_MOST_LADDERS = 10_000


@dataclass(frozen=True)
class Services:
    """One deployment: its ledger, clock, policies, templates and channels."""

    settings: Settings
    ledger: Ledger
    clock: Clock
    ladders: LadderShelf
    rulebook: Rulebook
    limitation: Limitation
    referrals: Referrals
    floor: Floor
    delivery: DeliveryPolicy
    catalog: Catalog
    channels: Mapping[ChannelName, Channel]
    letters: LetterChannel
    legal: LegalChannel
    documents: DocumentStore
    placements: AgencyFolder
    pace: Pace = field(default_factory=NoPace)
    partners: Partners = NO_PARTNERS
    live: bool = True
    _lawful: dict[_LadderKey, Ladder] = field(default_factory=dict[_LadderKey, Ladder])

    def ladder(self, name: str, version: int) -> Ladder:
        """The ladder a case started with. Raises UnknownLadder when the policies no longer hold it."""
        return self.ladders.versions.get((name, version)) or find_ladder(self.ladders, f"{name}@{version}")

    def lawful_ladder(self, ladder: Ladder, facts: Facts, day: date) -> Ladder:
        """The ladder with the notices that the law of `facts.jurisdictions` wants before its rungs.

        The ladder itself where it wants none. Of `facts`, only places, address and notices matter.
        """
        on_record = frozenset(notice.kind for notice in facts.notices)
        key = (ladder.id, facts.jurisdictions, facts.email_known, on_record, day)
        lawful = self._lawful.get(key)
        if lawful is None:
            if len(self._lawful) >= _MOST_LADDERS:
                self._lawful.clear()
            lawful = self._lawful[key] = with_notices(ladder, self.rulebook, facts, day=day)
        return lawful

    def limitation_ends(self, file: CaseFile) -> date | None:
        """First day on which the claim is time-barred; None when unknown."""
        reckoned = self.limitation_of(file)
        return reckoned.ends if reckoned else None

    def limitation_of(self, file: CaseFile) -> Reckoned | None:
        """The limitation period of the claim; None when nobody knows it."""
        account = vars(file.account)
        return self.limitation.reckon(
            account["country"], account["region"], file.last_payment_on, vars(file.case)["due_date"]
        )

    def referral_policy(self, account: models.Account) -> ReferralPolicy:
        """What a referral of this account holds."""
        return self.referrals.policy(account.country, account.region)

    def at(self, clock: Clock) -> Services:
        """The same deployment on another clock."""
        return replace(self, clock=clock)

    def close(self) -> None:
        """Give the ledger's connections back."""
        self.ledger.close()


def limits(settings: Settings) -> Limits:
    """What this process may take of its database server."""
    return Limits(
        pool=settings.database_pool_size,
        overflow=settings.database_pool_overflow,
        connect=settings.database_connect_seconds,
        statement=settings.database_statement_seconds,
        lock=settings.database_lock_seconds,
        idle=settings.database_idle_seconds,
        silent=settings.database_silent_seconds,
        name=settings.database_application_name,
    )


def open_services(settings: Settings, *, live: bool = True, pace: Pace | None = None) -> Services:
    """Open the ledger and load policies and templates; every broken one is named in the error.

    Texts go out through Twilio only when `live` and Twilio is configured, at `pace`; by default this process keeps
    the one that is set. Only a `live` sweep hands files over to partners.
    """
    ladders = load_ladders(settings.policies / "ladders")
    rulebook = load_rulebook(settings.policies / "contact-rules")
    limitation = load_limitation(settings.policies / "limitation.yaml")
    referrals = load_referrals(_policy(settings, "referrals"))
    floor = load_floor(_policy(settings, "floor.yaml"))
    delivery = load_delivery(_policy(settings, "delivery/twilio.yaml"))
    partners = load_partners(settings.policies / "partners")
    catalog = open_catalog(settings.templates)
    for ladder in ladders.versions.values():
        for rung in ladder.rungs:
            catalog.require(TEMPLATE_KINDS[rung.channel], rung.template, where=f"{ladder.id}: rung {rung.name!r}")
            _require_words(catalog, rulebook, rung.channel, rung.template)
    for pack in rulebook.packs.values():
        for notice in pack.notices:
            if notice.template:
                catalog.require(Kind.LETTERS, notice.template, where=f"{pack.jurisdiction}: rule {notice.id!r}")
                _require_words(catalog, rulebook, ChannelName.LETTER, notice.template)
    for place, locale, paper in referrals.papers():
        catalog.require(Kind.LEGAL, paper, locale, where=f"referrals/{place}.yaml")
    ledger = Ledger.open(settings.database_url, limits(settings))
    letters = LetterChannel(settings.outbox, catalog)
    documents = DocumentStore(settings.documents)
    legal = LegalChannel(settings.outbox, catalog, documents)
    placements = AgencyFolder(settings.outbox)
    sms: Channel = OutboxSms(settings.outbox)
    if live and settings.twilio_configured:
        sms = TwilioSms(
            settings.twilio_account_sid,
            settings.twilio_auth_token,
            settings.twilio_from,
            base_url=settings.twilio_base_url or None,
            settle=timedelta(seconds=settings.doubt_seconds),
            reports_to=lambda intent: status_link(settings, intent.reference, wall=intent.wall),
        )
    return Services(
        settings=settings,
        ledger=ledger,
        clock=_clock(settings, ledger),
        ladders=ladders,
        rulebook=rulebook,
        limitation=limitation,
        referrals=referrals,
        floor=floor,
        delivery=delivery,
        catalog=catalog,
        channels={
            ChannelName.SMS: sms,
            ChannelName.CALL: VoiceChannel(LedgerCallQueue(ledger)),
            ChannelName.LETTER: letters,
            ChannelName.AGENCY: AgencyChannel(ledger, placements),
            ChannelName.LEGAL: legal,
        },
        letters=letters,
        legal=legal,
        documents=documents,
        placements=placements,
        partners=partners,
        live=live,
        pace=pace or (LocalPace(settings.texts_per_second) if settings.texts_per_second else NoPace()),
    )


def _policy(settings: Settings, name: str) -> Path:
    """A lender's own file, or the one that comes with the program in a folder that has none."""
    own = settings.policies / name
    return own if own.exists() else ROOT / "policies" / name


class UnknownLadder(LookupError):
    """The policies hold no such ladder; the message says which and what there is."""


def find_ladder(shelf: LadderShelf, ladder_id: str) -> Ladder:
    """`card-standard@1`, or the current version by its bare name. Raises UnknownLadder."""
    ladder = shelf.find(ladder_id)
    if ladder is None:
        known = ", ".join(f"{name}@{version}" for name, version in sorted(shelf.versions))
        raise UnknownLadder(f"ladder {ladder_id!r} is not in policies/ladders; there is {known}")
    return ladder


def _require_words(catalog: Catalog, rulebook: Rulebook, channel: ChannelName, template: str) -> None:
    """TemplateError when the template has no room for words that some rule wants on its channel."""
    if not channel.reaches_the_holder:
        return
    wanted: dict[str, list[str]] = {}
    for part, rule in words_by_rule(rulebook, contact_channel(channel)):
        wanted.setdefault(part, []).append(rule.id)
    catalog.require_words(TEMPLATE_KINDS[channel], template, wanted)


TEMPLATE_KINDS: Mapping[ChannelName, str] = {
    ChannelName.SMS: Kind.SMS,
    ChannelName.CALL: Kind.CALLS,
    ChannelName.LETTER: Kind.LETTERS,
    ChannelName.AGENCY: "agency",
    ChannelName.LEGAL: Kind.LEGAL,
}


def _clock(settings: Settings, ledger: Ledger) -> Clock:
    """The configured clock. A lapse clock starts once for all processes: the ledger keeps its epoch."""
    clock = parse_clock(settings.clock, machine=ledger.machine)
    if settings.clock == "system":
        return clock
    name = f"{state.LAPSE_EPOCH}:{settings.clock}"
    with ledger.write() as session:
        kept = state.get(session, name)
        if kept is None:
            kept = iso(clock.wall())
            state.put(session, name, kept)
    return parse_clock(settings.clock, epoch=parse_instant(kept), machine=ledger.machine)


def ledger_clock(services: Services) -> Clock:
    """Where the ledger's time stands: at its virtual instant if `advance` drives it, else the clock's."""
    with services.ledger.read() as session:
        kept = state.get(session, state.VIRTUAL_NOW)
    return VirtualClock(parse_instant(kept), services.clock) if kept else services.clock


def instant(services: Services, given: datetime | None) -> datetime:
    """The instant an operation happens at: as given, else where the ledger's time stands."""
    return given if given is not None else ledger_clock(services).now()
