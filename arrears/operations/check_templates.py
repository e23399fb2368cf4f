"""All templates, checked before any holder sees one: variables, required words, locales, lengths, layout."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, time
from pathlib import Path
from typing import Any

from arrears.engine.contact.disclosures import required_words, words_by_rule
from arrears.engine.contact.facts import ContactChannel, Facts, Party, Proposal, contact_channel
from arrears.engine.contact.rules import Rulebook
from arrears.engine.vocabulary import ChannelName
from arrears.operations.services import TEMPLATE_KINDS
from arrears.policies.contact_rules import load_rulebook
from arrears.policies.ladders import load_ladders
from arrears.rendering.catalog import Catalog, Kind
from arrears.rendering.context import ContactContext
from arrears.rendering.errors import TemplateError
from arrears.rendering.letters import page_count, render_pdf
from arrears.rendering.many import in_parallel
from arrears.rendering.segments import segments
from arrears.rendering.specimens import longest_context, specimen_context
from arrears.settings import Settings

_PLACE = re.compile(r"(?P<path>\S+?\.j2)(?::(?P<line>\d+))?")
# A letter is one sheet; the longest names and amounts may take both of its sides.
_SIDES = 2


@dataclass(frozen=True, slots=True)
class Finding:
    """What is wrong with a template; `place` is its file and line."""

    place: str
    says: str


@dataclass(slots=True)
class CheckedTemplates:
    """`errors` stop what needs the template; `warnings` do not. `texts` and `letters` measure what there is."""

    errors: list[Finding] = field(default_factory=list[Finding])
    warnings: list[Finding] = field(default_factory=list[Finding])
    locales: dict[str, list[str]] = field(default_factory=dict[str, list[str]])
    texts: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    letters: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])

    def to_json(self) -> dict[str, Any]:
        """The shape of `arrears templates check --json`."""
        told = {"errors": self.errors, "warnings": self.warnings}
        return {
            **{name: [{"place": each.place, "says": each.says} for each in found] for name, found in told.items()},
            "locales": self.locales,
            "texts": self.texts,
            "letters": self.letters,
        }


def check_templates(settings: Settings) -> CheckedTemplates:
    """Read every template and make each with invented facts. Raises PolicyError, and TemplateError without any."""
    catalog = Catalog(settings.templates)
    rulebook = load_rulebook(settings.policies / "contact-rules")
    result = CheckedTemplates(errors=[_finding(problem) for problem in catalog.problems])
    used = [*_of_ladders(settings.policies), *_of_notices(rulebook)]
    result.errors += _words_lacking(catalog, rulebook, used)
    _locales(catalog, used, result)
    _texts(catalog, rulebook, result)
    _letters(catalog, rulebook, result)
    # A broken part breaks all that include it: told once, where it stands.
    result.errors = list({(finding.place): finding for finding in reversed(result.errors)}.values())[::-1]
    return result


@dataclass(frozen=True, slots=True)
class _Use:
    """A template that a rung or a notice names, and the countries it is written for (all, when none is said)."""

    kind: str
    name: str
    channel: ChannelName
    where: str
    country: str = ""


def _of_ladders(policies: Path) -> Iterator[_Use]:
    for ladder in load_ladders(policies / "ladders").versions.values():
        for rung in ladder.rungs:
            if rung.channel.reaches_the_holder:
                where = f"{ladder.id}: rung {rung.name!r}"
                yield _Use(TEMPLATE_KINDS[rung.channel], rung.template, rung.channel, where)


def _of_notices(rulebook: Rulebook) -> Iterator[_Use]:
    for pack in rulebook.packs.values():
        for notice in pack.notices:
            if notice.template:
                where = f"{pack.jurisdiction}: rule {notice.id!r}"
                yield _Use(Kind.LETTERS, notice.template, ChannelName.LETTER, where, pack.jurisdiction[:2])


def _words_lacking(catalog: Catalog, rulebook: Rulebook, used: Sequence[_Use]) -> Iterator[Finding]:
    """Templates that are not there, or have no room for what contact law wants said."""
    for use in {(each.kind, each.name): each for each in used}.values():
        wanted: dict[str, list[str]] = {}
        for part, rule in words_by_rule(rulebook, contact_channel(use.channel)):
            wanted.setdefault(part, []).append(rule.id)
        try:
            catalog.require(use.kind, use.name, where=use.where)
            catalog.require_words(use.kind, use.name, wanted)
        except TemplateError as error:
            yield _finding(error)


def _locales(catalog: Catalog, used: Sequence[_Use], result: CheckedTemplates) -> None:
    """Which template lacks which locale. A notice of one country's law is wanted in that country's alone."""
    only = {(use.kind, use.name): use.country for use in used if use.country}
    spoken = (*catalog.locales(Kind.SMS).values(), *catalog.locales(Kind.LETTERS).values())
    everywhere = sorted({locale for locales in spoken for locale in locales})
    for kind in Kind:
        for name, locales in sorted(catalog.locales(kind).items()):
            country = only.get((kind, name), "")
            wanted = [locale for locale in everywhere if not country or locale.endswith(country)]
            lacks = [locale for locale in wanted if locale not in locales]
            result.locales[f"{kind}/{name}"] = sorted(locales)
            if lacks and kind in (Kind.SMS, Kind.LETTERS, Kind.CALLS):
                stands_in = catalog.find(kind, name, lacks[0])
                says = f"lacks {', '.join(lacks)}; {catalog.root.name}/{stands_in} stands in"
                result.warnings.append(Finding(f"{catalog.root.name}/{kind}/{name}", says))


def _texts(catalog: Catalog, rulebook: Rulebook, result: CheckedTemplates) -> None:
    for name, locales in sorted(catalog.locales(Kind.SMS).items()):
        for locale in sorted(locales):
            place = f"{catalog.root.name}/{catalog.find(Kind.SMS, name, locale)}:1"
            usual, long = specimen_context(locale), longest_context(locale)
            try:
                counted = [segments(_text(catalog, rulebook, name, context)) for context in (usual, long)]
            except TemplateError as error:
                result.errors.append(_finding(error))
                continue
            here = {"template": f"{name}/{locale}", "encoding": str(counted[0].encoding), "units": counted[0].units}
            result.texts.append({**here, "segments": counted[0].count, "at_most": counted[1].count})
            if counted[0].count > 1:
                result.warnings.append(Finding(place, f"spills: it takes {counted[0]} ({counted[0].units} units)"))


def _text(catalog: Catalog, rulebook: Rulebook, name: str, context: ContactContext) -> str:
    return catalog.text(Kind.SMS, name, _with_words(catalog, rulebook, Kind.SMS, ContactChannel.SMS, name, context))


def _letters(catalog: Catalog, rulebook: Rulebook, result: CheckedTemplates) -> None:
    there = [(name, locale) for name, locales in catalog.locales(Kind.LETTERS).items() for locale in locales]

    def made(which: tuple[str, str]) -> list[int] | TemplateError:
        name, locale = which
        try:
            contexts = [
                _with_words(catalog, rulebook, Kind.LETTERS, ContactChannel.LETTER, name, context)
                for context in (specimen_context(locale), longest_context(locale))
            ]
            return [page_count(render_pdf(catalog, Kind.LETTERS, name, context)) for context in contexts]
        except TemplateError as error:
            return error

    for (name, locale), pages in zip(sorted(there), in_parallel(made, sorted(there)), strict=True):
        if isinstance(pages, TemplateError):
            result.errors.append(_finding(pages))
            continue
        result.letters.append({"template": f"{name}/{locale}", "pages": pages[0], "at_most": pages[1]})
        place = f"{catalog.root.name}/{catalog.find(Kind.LETTERS, name, locale)}:1"
        if pages[0] > 1:
            result.warnings.append(Finding(place, f"runs over: an ordinary letter takes {pages[0]} pages"))
        elif pages[1] > _SIDES:
            result.warnings.append(Finding(place, f"runs over: with long names it takes {pages[1]} pages"))


def _with_words(
    catalog: Catalog, rulebook: Rulebook, kind: str, channel: ContactChannel, name: str, context: ContactContext
) -> ContactContext:
    address = context.address
    facts = Facts((address.country, f"{address.country}-{address.region}"), ())
    now = datetime.combine(context.today, time(12), tzinfo=UTC)
    parts = required_words(Proposal(channel, Party.FIRST), rulebook, facts, now=now)
    return replace(context, required=catalog.words(parts, kind, name, context))


def _finding(error: TemplateError) -> Finding:
    """File and line in front; a complaint that has no line of its own is about the whole file."""
    text = str(error)
    at = _PLACE.search(text)
    if at is None:
        return Finding(text.partition(":")[0], text.partition(": ")[2] or text)
    place = f"{at['path']}:{at['line'] or 1}"
    rest = text[at.end() :].lstrip(": ")
    before = text[: at.start()].rstrip()
    return Finding(place, rest if not before else text)
