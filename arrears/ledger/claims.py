"""Whether intents are still those of who made them, held fast until the caller's transaction ends."""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy import select
from sqlmodel import Session, col

import models
from arrears.engine.vocabulary import StepStatus
from arrears.ledger.among import among


def hold_fast(session: Session, claims: Mapping[str, str]) -> set[str]:
    """Those of the references in `claims` whose claim still stands; nobody can take them until this transaction ends.

    For effects that are rows of the ledger: committed with them, an effect is either there for whoever looks it up, or
    never will be. A reference without a claim is nobody's to take.
    """
    rows = session.connection().execute(
        select(col(models.Step.reference), col(models.Step.owner))
        .where(
            among(session, col(models.Step.reference), [reference for reference, claim in claims.items() if claim]),
            col(models.Step.status) == StepStatus.INTENDED,
        )
        .order_by(col(models.Step.id))
        .with_for_update()
    )
    ours = {reference for reference, owner in rows if owner == claims[reference]}
    return ours | {reference for reference, claim in claims.items() if not claim}
