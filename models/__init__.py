"""The ledger's tables. Money in integer minor units, instants in UTC, ISO codes as text."""

from models.account import Account
from models.approval import Approval
from models.call_task import CallTask
from models.case import Case
from models.consent import Consent
from models.contact import Contact
from models.event import Event
from models.hold import Hold
from models.letter import Letter
from models.life_event import LifeEvent
from models.placement import Placement, PlacementBatch
from models.referral import Referral
from models.state import LedgerState
from models.step import Step
from models.types import naming_convention

# Alembic's newest revision; a test keeps it true. Opening a current ledger needs no alembic.
SCHEMA_VERSION = "0007"

__all__ = [
    "SCHEMA_VERSION",
    "Account",
    "Approval",
    "CallTask",
    "Case",
    "Consent",
    "Contact",
    "Event",
    "Hold",
    "LedgerState",
    "Letter",
    "LifeEvent",
    "Placement",
    "PlacementBatch",
    "Referral",
    "Step",
    "naming_convention",
]
