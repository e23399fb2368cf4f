"""Indexes by which a sweep finds what is due, and the day's ceiling what went out, whatever else the ledger holds."""

from arrears.ledger.online import create_index, drop_index, replace_index

revision = "0017"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    replace_index("ix_cases_due", "cases", ["next_due_at", "account_id"], where="next_due_at IS NOT NULL")
    replace_index("ix_cases_recall_at", "cases", ["recall_at"], where="recall_at IS NOT NULL")
    create_index("ix_steps_at", "steps", ["at"], using="brin")


def downgrade() -> None:
    drop_index("ix_steps_at", "steps")
    replace_index("ix_cases_recall_at", "cases", ["recall_at"])
    replace_index("ix_cases_due", "cases", ["next_due_at", "status"])
