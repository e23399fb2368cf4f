"""Alerts on Prefect's server."""

from __future__ import annotations

from typing import Annotated

import typer

from arrears.cli.accounts import Json
from arrears.cli.output import print_json, print_table


class AlertsNotDeployed(Exception):
    """Prefect did not take the alerts; the message says why."""


app = typer.Typer(help="Alerts, as Prefect automations.", no_args_is_help=True)


@app.command()
def deploy(
    pool: Annotated[str, typer.Option(help="The work pool whose workers are watched.")] = "arrears",
    notify: Annotated[
        str | None, typer.Option(metavar="TYPE/NAME", help="A notification block, such as slack-webhook/on-call.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be done; change nothing.")] = False,
    json: Json = False,
) -> None:
    """Make the alerts, or set them right; run again, it changes nothing."""
    # Importing Prefect takes seconds; other commands need none of it.
    from arrears.orchestration.alerts import AlertsRefused, deploy_alerts, summary
    from arrears.orchestration.timelines import PrefectUnreachable

    try:
        deployed = deploy_alerts(pool=pool, notify=notify, dry_run=dry_run)
    except (AlertsRefused, PrefectUnreachable) as error:
        raise AlertsNotDeployed(str(error)) from None
    if json:
        print_json({"dry_run": dry_run, "alerts": summary(deployed)})
        return
    print_table(
        "dry run: nothing was changed" if dry_run else "",
        ("alert", "would be" if dry_run else "was", ""),
        [(each.name, each.did, "" if each.enabled else "paused") for each in deployed],
    )
