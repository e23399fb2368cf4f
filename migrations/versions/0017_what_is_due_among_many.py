"""Indexes by which a sweep finds what is due, and the day's ceiling what went out, whatever else the ledger holds."""

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0015"
branch_labels = None
depends_on = None

_DUE = sa.text("next_due_at IS NOT NULL")
_RECALL = sa.text("recall_at IS NOT NULL")


def upgrade() -> None:
    op.drop_index("ix_cases_due", "cases")
    op.create_index("ix_cases_due", "cases", ["next_due_at", "account_id"], sqlite_where=_DUE, postgresql_where=_DUE)
    op.drop_index("ix_cases_recall_at", "cases")
    op.create_index("ix_cases_recall_at", "cases", ["recall_at"], sqlite_where=_RECALL, postgresql_where=_RECALL)
    op.create_index("ix_steps_at", "steps", ["at"], postgresql_using="brin")


def downgrade() -> None:
    op.drop_index("ix_steps_at", "steps")
    op.drop_index("ix_cases_recall_at", "cases")
    op.create_index("ix_cases_recall_at", "cases", ["recall_at"])
    op.drop_index("ix_cases_due", "cases")
    op.create_index("ix_cases_due", "cases", ["next_due_at", "status"])
