"""The alerts that matter as Prefect automations: declared here, made or set right by `arrears alerts deploy`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final, Literal

from prefect.client.orchestration import SyncPrefectClient
from prefect.events.actions import DoNothing, SendNotification
from prefect.events.schemas.automations import AutomationCore, EventTrigger, Posture
from prefect.exceptions import ObjectNotFound
from prefect.settings import PREFECT_API_URL

from arrears.orchestration.announcing import FAILING, LATE, SWEEP, SWEPT, UNKNOWN
from arrears.orchestration.timelines import prefect_api

NO_SWEEP_FOR: Final = timedelta(minutes=15)
# One late run is a worker that was busy for a moment.
LATE_RUNS: Final = 3
LATE_WITHIN: Final = timedelta(minutes=15)
_BODY: Final = "{{ automation.description }}\n{{ event.payload | default('') }}"


class AlertsRefused(Exception):
    """There is no server to make alerts on, or no such block to notify through."""


@dataclass(frozen=True, slots=True)
class Deployed:
    """What became of one alert: created, updated, unchanged. One that a person has paused stays paused."""

    name: str
    did: Literal["created", "updated", "unchanged"]
    enabled: bool


def alerts(*, pool: str, action: DoNothing | SendNotification) -> tuple[AutomationCore, ...]:
    """Every alert there is, for the work pool `pool`."""
    sweep = {"prefect.resource.id": SWEEP}

    def alert(name: str, about: str, **trigger: Any) -> AutomationCore:
        posture, threshold = trigger.pop("posture", Posture.Reactive), trigger.pop("threshold", 1)
        return AutomationCore(
            name=f"arrears: {name}",
            description=about,
            enabled=True,
            trigger=EventTrigger(posture=posture, threshold=threshold, **trigger),
            actions=[action],
        )

    return (
        alert(
            "no sweep",
            "No sweep has come to an end for 15 minutes: what is due is not done. Runbook: docs/operations.md#no-sweep",
            expect={SWEPT},
            match=sweep,
            posture=Posture.Proactive,
            within=NO_SWEEP_FOR,
        ),
        alert(
            "accounts fail",
            "Too great a share of a sweep's accounts failed. Runbook: docs/operations.md#accounts-fail",
            expect={FAILING},
            match=sweep,
        ),
        alert(
            "timelines are late",
            "The sweep had to step in for timelines: workers are too few, or stuck. "
            "Runbook: docs/operations.md#timelines-are-late",
            expect={LATE},
            match=sweep,
        ),
        alert(
            "runs are late",
            "Scheduled runs are not begun in time, sweeps, payments or events: workers are too few, or stuck. "
            "Runbook: docs/operations.md#runs-are-late",
            # Prefect's own word. A timeline that waits never gets it: its state is Waiting, not Scheduled.
            expect={"prefect.flow-run.Late"},
            match={"prefect.resource.id": "prefect.flow-run.*"},
            match_related={"prefect.resource.id": "prefect.tag.arrears", "prefect.resource.role": "tag"},
            threshold=LATE_RUNS,
            within=LATE_WITHIN,
        ),
        alert(
            "a step is unknown",
            "Nobody can know whether a contact went out; a person must settle it. "
            "Runbook: docs/operations.md#a-step-is-unknown",
            expect={UNKNOWN},
            match={"prefect.resource.id": "arrears.account.*"},
            for_each={"prefect.resource.id"},
        ),
        alert(
            "no worker",
            "The work pool has no worker that answers. Runbook: docs/operations.md#no-worker",
            expect={"prefect.work-pool.not-ready"},
            match={"prefect.resource.id": "prefect.work-pool.*", "prefect.resource.name": pool},
        ),
    )


def deploy_alerts(*, pool: str, notify: str | None = None, dry_run: bool = False) -> tuple[Deployed, ...]:
    """Make what is missing and set right what differs; with `dry_run`, only say so.

    `notify`: a notification block such as `slack-webhook/on-call`; without one a new alert shows in Prefect's event
    feed alone, and one that is there goes on telling whom it told. Raises AlertsRefused, PrefectUnreachable.
    """
    if PREFECT_API_URL.value() is None:
        raise AlertsRefused("there is no Prefect server to make alerts on: set PREFECT_API_URL")
    with prefect_api() as client:
        action = _action(client, notify)
        keep = notify is None
        return tuple(_deploy(client, alert, dry_run, keep) for alert in alerts(pool=pool, action=action))


def _deploy(client: SyncPrefectClient, alert: AutomationCore, dry_run: bool, keep_actions: bool) -> Deployed:
    found = client.read_automations_by_name(alert.name)
    if not found:
        if not dry_run:
            client.create_automation(alert)
        return Deployed(alert.name, "created", enabled=True)
    kept, *doubles = found
    wanted = alert.model_copy(update={"enabled": kept.enabled})
    if keep_actions:
        wanted.actions = kept.actions
    same = _told(AutomationCore.model_validate(kept.model_dump(exclude={"id"}))) == _told(wanted)
    if not dry_run:
        if not same:
            # An automation's owner cannot be changed, not even to the one it has.
            client.update_automation(kept.id, AutomationCore(**wanted.model_dump(exclude={"owner_resource"})))
        for double in doubles:
            client.delete_automation(double.id)
    return Deployed(alert.name, "unchanged" if same and not doubles else "updated", kept.enabled)


def _told(alert: AutomationCore) -> dict[str, Any]:
    """As the server would be told it; sets in one order."""
    return _sorted(alert.model_dump(mode="json", include={"name", "description", "enabled", "trigger", "actions"}))


def _sorted(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _sorted(each) for key, each in value.items() if key != "id"}  # pyright: ignore[reportUnknownVariableType]
    if isinstance(value, list):
        return sorted((_sorted(each) for each in value), key=repr)  # pyright: ignore[reportUnknownVariableType]
    return value


def _action(client: SyncPrefectClient, notify: str | None) -> DoNothing | SendNotification:
    if notify is None:
        return DoNothing()
    kind, _, name = notify.partition("/")
    try:
        block = client.read_block_document_by_name(name, kind, include_secrets=False)
    except ObjectNotFound:
        raise AlertsRefused(
            f"Prefect has no block {notify!r} to notify through; expected TYPE/NAME, such as slack-webhook/on-call"
        ) from None
    return SendNotification(block_document_id=block.id, subject="{{ automation.name }}", body=_BODY)


def summary(deployed: Sequence[Deployed]) -> list[dict[str, Any]]:
    """The shape of `arrears alerts deploy --json`."""
    return [{"name": each.name, "did": each.did, "enabled": each.enabled} for each in deployed]
