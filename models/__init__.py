"""The ledger's tables. Money in integer minor units, instants in UTC, ISO codes as text."""

from models.account import Account
from models.account_number import AccountNumber
from models.agency_file import AgencyFile, AgencyReceipt
from models.approval import Approval
from models.call_claim import CallClaim
from models.call_dial import CallDial
from models.call_task import CallTask
from models.case import Case
from models.consent import Consent
from models.contact import Contact
from models.delivery import Delivery
from models.event import Event
from models.handoff import Handoff
from models.hold import Hold
from models.legal_document import LegalDocument
from models.letter import Letter
from models.life_event import LifeEvent
from models.placement import Placement, PlacementBatch, PlacementNumber
from models.print_batch import PrintBatch
from models.recall import Recall, RecallBatch
from models.referral import Referral
from models.state import LedgerState
from models.step import Step, step_key
from models.types import naming_convention
from models.webhook_request import WebhookRequest
from models.work_item import WorkItem

# Alembic's newest revision; a test keeps it true. Opening a current ledger needs no alembic.
SCHEMA_VERSION = "0017"

__all__ = [
    "SCHEMA_VERSION",
    "Account",
    "AccountNumber",
    "AgencyFile",
    "AgencyReceipt",
    "Approval",
    "CallClaim",
    "CallDial",
    "CallTask",
    "Case",
    "Consent",
    "Contact",
    "Delivery",
    "Event",
    "Handoff",
    "Hold",
    "LedgerState",
    "LegalDocument",
    "Letter",
    "LifeEvent",
    "Placement",
    "PlacementBatch",
    "PlacementNumber",
    "PrintBatch",
    "Recall",
    "RecallBatch",
    "Referral",
    "Step",
    "WebhookRequest",
    "WorkItem",
    "naming_convention",
    "step_key",
]
