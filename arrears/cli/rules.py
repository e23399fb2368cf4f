"""Contact law at the terminal: verdicts, explanations, evidence, and the rules themselves."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from arrears.cli.accounts import At, Json
from arrears.cli.output import note, print_json, print_table, say
from arrears.cli.session import opened, when
from arrears.engine.contact.rules import Pack, Rule, Rulebook
from arrears.operations.check_contact import check_file
from arrears.operations.evidence import write_evidence
from arrears.operations.explain import explain as explain_account
from arrears.operations.limits import limitation_in_words
from arrears.policies.contact_rules import load_rulebook
from arrears.policies.plain import in_words, kind_of, strength_in_words
from arrears.settings import read_settings

Account = Annotated[str, typer.Argument(metavar="ACCOUNT")]
rules = typer.Typer(help="The contact rules: law by jurisdiction, and the lender's own.", no_args_is_help=True)


def add_to(app: typer.Typer) -> None:
    """Register this group's commands."""
    for command in (explain, evidence):
        app.command()(command)
    app.command("check-contact")(check_contact)


def check_contact(file: Annotated[Path, typer.Argument(metavar="FILE", help="One case, or {cases: [...]}.")]) -> None:
    """Facts in, verdict out: may this contact be made, and by which rules?"""
    print_json(check_file(file, _rulebook()))


def explain(
    account: Account,
    rung: Annotated[str | None, typer.Option("--rung", metavar="R", help="Default: every step, and the next.")] = None,
    at: At = None,
    json: Json = False,
) -> None:
    """Why a contact was made or was not, and what the rules would say at `--at`."""
    moment = when(at)
    with opened(live=False) as services:
        document = explain_account(services, account, rung=rung, at=moment)
    if json:
        print_json(document)
        return
    say(f"{account}: law of {', '.join(document['jurisdictions'])}; zones {', '.join(document['zones']) or 'unknown'}")
    for step in document["steps"]:
        say(f"\n{step['in_words']}", style="bold")
        if step["verdict"]:
            say(f"  judged {step['judged_at']} by rules {step['rulebook']}: {step['verdict']}")
        # What allowed a contact is a long list of rules that did not object; what withheld it is told in full.
        if step["verdict"] == "allow" and rung is None:
            say(f"  {', '.join(rule['id'] for rule in step['rules']) or 'no rule speaks of it'}")
        else:
            _print_citations(step["rules"])
        _print_cautions(step["cautions"])
    judged = document["if_proposed"]
    if judged:
        say(f"\nIf proposed: {judged['in_words']}", style="bold")
        _print_citations(judged["rules"])
        _print_cautions(judged["cautions"])
    elif document["next"]:
        say(f"\nnext: {document['next']}")
    for given in document["approvals"]:
        lapsed = f", lapsed: {given['lapsed']}" if given["lapsed"] else ""
        say(f"{given['rung']} approved by {given['by']} on {given['at']}{lapsed}")
    say(limitation_in_words(document["limitation"]))


def _print_citations(rules: list[dict[str, Any]]) -> None:
    for rule in rules:
        say(f"  {rule['id']} ({rule['strength'] or 'built in'}{', ' + rule['place'] if rule['place'] else ''})")
        say(f"    {rule['says']}")
        if rule["source"]:
            say(f"    {rule['source']}", style="dim")


def _print_cautions(cautions: list[str]) -> None:
    for caution in cautions:
        say(f"  note: {caution}")


def evidence(
    account: Account,
    out: Annotated[Path | None, typer.Option("--out", metavar="FILE", help="Default: evidence-ACCOUNT.zip.")] = None,
    json: Json = False,
) -> None:
    """Pack chronology, verdicts with citations, texts, letters, payments and holds into one zip."""
    path = out or Path(f"evidence-{account}.zip")
    with opened(live=False) as services:
        index = write_evidence(services, account, path)
    if json:
        print_json({"path": str(path), **index})
        return
    say(f"{path}: {len(index['members'])} files")
    for what in index["missing"]:
        note(f"missing: {what}")


@rules.command("list")
def list_rules(
    place: Annotated[
        str | None, typer.Option("--place", metavar="US-MA", help="Only what may bind there, inherited rules included.")
    ] = None,
    json: Json = False,
) -> None:
    """Every rule: where, what kind, how binding, and what it says."""
    rulebook = _rulebook()
    packs = rulebook.packs.values() if place is None else rulebook.matching((place.upper(),))
    found = [(pack, rule) for pack in packs for rule in pack.rules()]
    if json:
        print_json({"version": rulebook.version, "rules": [_document(pack, rule) for pack, rule in found]})
        return
    print_table(
        "",
        ["rule", "place", "kind", "binding", "says"],
        [(r.id, pack.jurisdiction, kind_of(r), r.strength, in_words(r)) for pack, r in found],
        caption=f"{len(found)} rules, version {rulebook.version}",
    )


@rules.command("show")
def show_rule(rule_id: Annotated[str, typer.Argument(metavar="RULE")], json: Json = False) -> None:
    """One rule: what it says, its source, its dates, and whether somebody has read the source."""
    rulebook = _rulebook()
    documents = [
        _document(pack, r) for pack in rulebook.packs.values() for r in pack.rules() if r.id == rule_id.upper()
    ]
    if not documents:
        raise UnknownRule(f"rule {rule_id!r} is not in the rules; `arrears rules list` shows them")
    if json:
        print_json(documents[0] if len(documents) == 1 else documents)
        return
    head = documents[0]
    say(f"{head['id']}  {head['kind']}, {head['place']}", style="bold")
    for document in documents:
        say(document["says"])
    say(f"binding: {head['binding']}; source read: {'yes' if head['verified'] else 'no'}")
    say(f"source: {head['source']}")
    dates = [("in force from", "effective_from"), ("until", "effective_to"), ("to be read again by", "review_by")]
    for label, name in dates:
        if head[name]:
            say(f"{label}: {head[name]}")


@rules.command("check")
def check_rules(
    folder: Annotated[Path | None, typer.Argument(metavar="FOLDER", help="Default: the policies in use.")] = None,
    json: Json = False,
) -> None:
    """Read every rules file; each mistake is told with file and line, and rules soon to be read again are named."""
    rulebook = load_rulebook(folder) if folder else _rulebook()
    listed = [rule for pack in rulebook.packs.values() for rule in pack.rules()]
    due = sorted({(rule.review_by.isoformat(), rule.id) for rule in listed if rule.review_by})
    if json:
        print_json({"version": rulebook.version, "packs": len(rulebook.packs), "rules": len(listed), "review": due})
        return
    say(f"{len(listed)} rules in {len(rulebook.packs)} files are good; version {rulebook.version}")
    if due:
        first = [rule for day, rule in due if day == due[0][0]]
        say(f"first to be read again, by {due[0][0]}: {', '.join(first[:5])}{' …' if len(first) > 5 else ''}")


class UnknownRule(LookupError):
    """No rule has this id."""


def _rulebook() -> Rulebook:
    return load_rulebook(read_settings().policies / "contact-rules")


def _document(pack: Pack, rule: Rule) -> dict[str, Any]:
    return {
        "id": rule.id,
        "jurisdiction": pack.jurisdiction,
        "place": pack.name,
        "kind": kind_of(rule),
        "says": in_words(rule),
        "applies_to": sorted(rule.applies_to),
        "channels": sorted(rule.channels),
        "strength": rule.strength,
        "binding": strength_in_words(rule),
        "verified": rule.verified,
        "source": rule.source,
        "effective_from": rule.effective_from.isoformat() if rule.effective_from else None,
        "effective_to": rule.effective_to.isoformat() if rule.effective_to else None,
        "review_by": rule.review_by.isoformat() if rule.review_by else None,
    }
