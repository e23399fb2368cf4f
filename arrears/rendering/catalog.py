"""All templates, loaded and checked once; found by kind, name and locale."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from enum import StrEnum
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import Final, TypeVar

from jinja2 import TemplateSyntaxError
from jinja2.meta import find_undeclared_variables

from arrears.rendering.check import Checker, Complaint, field_types
from arrears.rendering.context import ContactContext
from arrears.rendering.environment import FILTER_TYPES, WRITTEN_IN, text_environment, typst_environment
from arrears.rendering.errors import TemplateError
from arrears.rendering.formats import DEFAULT_LOCALE, language_of
from arrears.rendering.referral import ReferralFacts
from arrears.rendering.segments import Segments, segments


class Kind(StrEnum):
    """The folders of `templates/`."""

    SMS = "sms"
    CALLS = "calls"
    LETTERS = "letters"
    LEGAL = "legal"
    WORDS = "words"


# A rung of these kinds names no file: a placement's columns are code, a referral is several papers.
_SETS: Final[Mapping[tuple[str, str], tuple[str, ...]]] = {
    ("agency", "placement"): (),
    (Kind.LEGAL, "referral"): ("cover-sheet", "statement", "chronology", "index"),
}
# A part that a template gives by printing a fact: whoever names the creditor has said who is writing.
_SAID_BY: Final[Mapping[str, str]] = {"identity": "creditor"}
_FILLED: Final = re.compile(r"\{\{.*?\}\}|\{%.*?%\}|\{#.*?#\}")
_MOST_KEPT: Final = 10_000
_Key = TypeVar("_Key")
_Value = TypeVar("_Value")
_SLOT: Final = "required"
_OTHERS: Final = "others"
# Babel's spaces inside amounts are not in GSM-7: one of them would double the price of a text.
_SPACES: Final = str.maketrans({"\u00a0": " ", "\u202f": " "})
_TEXT: Final = ".txt.j2"
_TYPST: Final = ".typ.j2"
_SUFFIX: Final[Mapping[str, str]] = {
    Kind.SMS: _TEXT,
    Kind.CALLS: _TEXT,
    Kind.WORDS: _TEXT,
    Kind.LETTERS: _TYPST,
    Kind.LEGAL: _TYPST,
}


class Catalog:
    """The templates under `root`: `<kind>/<locale>/<name>.txt.j2` or `.typ.j2`.

    A file whose name begins with `_` is a part: others extend or include it by its bare file name, and
    it is looked for beside them, then in the kind's folder, in `root`, and in the fallback locales.
    A template that could fail for want of a fact is among the `problems`, by file and line, and using it raises
    the same TemplateError: it stops what needs it and nothing else.
    """

    def __init__(self, root: Path, sources: Mapping[str, str] | None = None) -> None:
        self.root = root
        self._sources = dict(_read(root) if sources is None else sources)
        if not self._sources:
            raise TemplateError(f"{root}: no templates here; expected <kind>/<locale>/<name>{_TEXT} or {_TYPST}")
        self._text = text_environment(self._sources, self._part)
        self._typst = typst_environment(self._sources, self._part)
        self._found: dict[tuple[str, str, str], str] = {}
        self._uses: dict[str, frozenset[str]] = {}
        self._parts: dict[str, tuple[str, ...]] = {}
        self._broken: dict[str, TemplateError] = {}
        self._used: dict[str, frozenset[str]] = {}
        self._counted: dict[tuple[object, ...], Segments] = {}
        self._sentences: dict[tuple[object, ...], str] = {}
        for path in self._sources:
            try:
                self._check(path)
            except TemplateError as error:
                self._broken[path] = error

    @property
    def problems(self) -> tuple[TemplateError, ...]:
        """What is wrong with templates, in order of their paths."""
        return tuple(self._broken[path] for path in sorted(self._broken))

    def require(self, kind: str, name: str, locale: str = DEFAULT_LOCALE, *, where: str) -> None:
        """TemplateError, beginning with `where`, unless what a rung calls `name` is here in `locale`'s language."""
        for member in _SETS.get((kind, name), (name,)):
            try:
                found = self.find(kind, member, locale)
                if language_of(found.split("/")[1]) != language_of(locale):
                    raise TemplateError(f"{self.root.name}/{kind}: no template {name!r} for {locale}")
            except TemplateError as error:
                raise TemplateError(f"{where}: {error}") from None

    def require_words(self, kind: str, name: str, wanted: Mapping[str, Sequence[str]]) -> None:
        """TemplateError unless every locale's `name` has room for the words that rules want of it.

        `wanted`: the rules by the part of `words/` they want. A template holds a part by printing the
        sentences in `required`, or a fact that says the same.
        """
        for part, rules in wanted.items():
            try:
                self.find(Kind.WORDS, part, DEFAULT_LOCALE)
            except TemplateError as error:
                raise TemplateError(f"{', '.join(rules)}: {error}") from None
        for path in self._versions(kind, name):
            try:
                used = self._facts_used(path)
            except TemplateError:
                continue
            lacks = [part for part in wanted if _SLOT not in used and _SAID_BY.get(part) not in used]
            if lacks:
                by = ", ".join(dict.fromkeys(rule for part in lacks for rule in wanted[part]))
                raise TemplateError(
                    f"{self.root.name}/{path}: lacks the required words {', '.join(lacks)} ({by}); "
                    f"print the sentences in {_SLOT!r} where they belong"
                )

    def words(self, parts: Iterable[str], kind: str, name: str, context: ContactContext) -> tuple[str, ...]:
        """The sentences for `parts` in the holder's language, but for those the template says itself."""
        used = self._facts_used(self.find(kind, name, context.locale))
        wanted = [part for part in parts if _SAID_BY.get(part) not in used]
        return tuple(self._said(part, context) for part in wanted)

    def tells_of_others(self, kind: str, name: str, locale: str) -> bool:
        """Whether what a rung calls `name` has room for the holder's other accounts, in the words `locale` gets."""
        return (kind, name) not in _SETS and _OTHERS in self._facts_used(self.find(kind, name, locale))

    def _versions(self, kind: str, name: str) -> list[str]:
        suffix = f"/{name}{_SUFFIX.get(kind, '')}"
        return [path for path in self._sources if path.startswith(f"{kind}/") and path.endswith(suffix)]

    def _facts_used(self, path: str) -> frozenset[str]:
        """What the template and all it extends or includes print or ask for. TemplateError when one is broken."""
        used = self._used.get(path)
        if used is None:
            if path in self._broken:
                raise self._broken[path]
            parts = (self._facts_used(part) for part in self._parts[path])
            used = self._used[path] = self._uses[path].union(*parts)
        return used

    def find(self, kind: str, name: str, locale: str) -> str:
        """The path under `root` that serves `locale`: exact, else the same language, else en-US.

        Raises TemplateError when no locale has the template.
        """
        known = self._found.get((kind, name, locale))
        if known is not None:
            return known
        for folder in self._locales(kind, locale):
            path = f"{kind}/{folder}/{name}{_SUFFIX.get(kind, '')}"
            if path in self._sources and not name.startswith("_"):
                return self._found.setdefault((kind, name, locale), path)
        raise TemplateError(
            f"{self.root.name}/{kind}: no template {name!r} for {locale} or {DEFAULT_LOCALE}; "
            f"there are: {', '.join(sorted(self.names(kind))) or 'none'}"
        )

    def names(self, kind: str) -> frozenset[str]:
        """The templates of a kind, in any locale."""
        paths = [PurePosixPath(path) for path in self._sources if path.startswith(f"{kind}/")]
        return frozenset(p.name.removesuffix(_SUFFIX.get(kind, "")) for p in paths if not p.name.startswith("_"))

    def locales(self, kind: str) -> dict[str, frozenset[str]]:
        """The templates of a kind, and the locales that have each."""
        return {name: frozenset(path.split("/")[1] for path in self._versions(kind, name)) for name in self.names(kind)}

    def text(self, kind: str, name: str, context: ContactContext) -> str:
        """A text or a call script, without surrounding white space. TemplateError when there is none."""
        return self.render(kind, name, context).translate(_SPACES).strip()

    def segments(self, name: str, context: ContactContext) -> Segments:
        """How the text of that name counts. Those in which all facts that the template uses are the same count once."""
        return _kept(
            self._counted,
            self._told_apart_by(Kind.SMS, name, context),
            lambda: segments(self.text(Kind.SMS, name, context)),
        )

    def _said(self, part: str, context: ContactContext) -> str:
        """A sentence that some rule wants, which for most holders of one language is the same."""
        key = self._told_apart_by(Kind.WORDS, part, context)
        return _kept(self._sentences, key, lambda: self.text(Kind.WORDS, part, context))

    def _told_apart_by(self, kind: str, name: str, context: ContactContext) -> tuple[object, ...]:
        """The same for two texts of one name exactly when they read the same."""
        path = self.find(kind, name, context.locale)
        return (path, context.locale, *(getattr(context, fact, None) for fact in self._facts_used(path)))

    def render(self, kind: str, name: str, context: ContactContext, extra: ReferralFacts | None = None) -> str:
        """The template filled in: text for sms and calls, Typst source for letters and legal.

        `extra` is required by `legal` templates and unknown to all others.
        """
        path = self.find(kind, name, context.locale)
        used = self._facts_used(path)
        spoken = path.split("/")[1]
        written = context.locale if language_of(context.locale) == language_of(spoken) else spoken
        facts = {fact: getattr(each, fact) for each in (context, extra) for fact in used if hasattr(each, fact)}
        environment = self._typst if path.endswith(_TYPST) else self._text
        return environment.get_template(path).render(facts, **{WRITTEN_IN: written})

    def line_of(self, path: str, written: str) -> str:
        """`templates/letters/en-US/x.typ.j2:12`, the line that was filled in to become `written`; else the file."""
        for part in self._chain(path):
            for number, line in enumerate(self._sources[part].splitlines(), start=1):
                fixed = [re.escape(text) for text in _FILLED.split(line.strip())]
                if any(fixed) and re.fullmatch(".*".join(fixed), written.strip()):
                    return f"{self.root.name}/{part}:{number}"
        return f"{self.root.name}/{path}"

    def _chain(self, path: str) -> list[str]:
        """The template and all it extends or includes."""
        return [path, *(each for part in self._parts[path] for each in self._chain(part))]

    def _check(self, path: str) -> None:
        environment = self._typst if path.endswith(_TYPST) else self._text
        names = field_types(ContactContext)
        if path.startswith(f"{Kind.LEGAL}/"):
            names |= field_types(ReferralFacts)
        checker = Checker(names, FILTER_TYPES, typst=path.endswith(_TYPST))
        try:
            parsed = environment.parse(self._sources[path])
            checker.check(parsed)
            for line, part in checker.references:
                if self._part(part, path) not in self._sources:
                    raise Complaint(line, f"there is no template {part!r}")
            environment.get_template(path)
            self._uses[path] = frozenset(find_undeclared_variables(parsed))
            self._parts[path] = tuple(self._part(part, path) for _, part in checker.references)
        except (Complaint, TemplateSyntaxError) as error:
            line = error.line if isinstance(error, Complaint) else error.lineno
            raise TemplateError(f"{self.root.name}/{path}:{line}: {error.args[0]}") from None

    def _part(self, name: str, parent: str) -> str:
        """Which file `name` means in the template `parent`; `name` itself when there is none."""
        kind, *deeper = parent.split("/")[:-1] or [""]
        own, *others = [f"{kind}/{locale}/" for locale in self._locales(kind, deeper[0])] if deeper else [""]
        folders = [own, f"{kind}/", "", *others]
        return next((folder + name for folder in folders if folder + name in self._sources), name)

    def _locales(self, kind: str, locale: str) -> list[str]:
        """Folders to try for `locale`, best first; among those of one language, alphabetically."""
        present = sorted({path.split("/")[1] for path in self._sources if path.startswith(f"{kind}/")})
        alike = [folder for folder in present if language_of(folder) == language_of(locale)]
        if language_of(locale) == language_of(DEFAULT_LOCALE):
            alike.insert(0, DEFAULT_LOCALE)
        # A notice that one country's law prescribes exists in that country's words alone.
        others = [folder for folder in present if language_of(folder) == language_of(DEFAULT_LOCALE)]
        return list(dict.fromkeys([locale, *alike, DEFAULT_LOCALE, *others]))


def _kept(kept: dict[_Key, _Value], key: _Key, make: Callable[[], _Value]) -> _Value:
    found = kept.get(key)
    if found is None:
        if len(kept) >= _MOST_KEPT:
            kept.clear()
        found = kept[key] = make()
    return found


def open_catalog(root: Path) -> Catalog:
    """The templates under `root` as they are now; not compiled and checked again if this process has had the same."""
    return _compiled(root, tuple(_read(root).items()))


@lru_cache(maxsize=8)
def _compiled(root: Path, sources: tuple[tuple[str, str], ...]) -> Catalog:
    return Catalog(root, dict(sources))


def _read(root: Path) -> dict[str, str]:
    return {str(PurePosixPath(path.relative_to(root))): path.read_text("utf-8") for path in _files(root)}


def _files(root: Path) -> Iterator[Path]:
    return (path for path in sorted(root.rglob("*.j2")) if path.name.endswith((_TEXT, _TYPST)))
