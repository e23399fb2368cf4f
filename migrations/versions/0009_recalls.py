"""Recalls from agencies, and the files that they leave in."""

import sqlalchemy as sa
import sqlmodel
from alembic import op

from models.types import UTCDateTime

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

_TEXT = sqlmodel.sql.sqltypes.AutoString()


def upgrade() -> None:
    op.add_column("cases", sa.Column("recall_at", UTCDateTime(), nullable=True))
    op.create_index("ix_cases_recall_at", "cases", ["recall_at"])
    op.create_table(
        "recalls",
        sa.Column("placement", sa.String(16), sa.ForeignKey("placements.reference"), primary_key=True),
        sa.Column("final", sa.Boolean(), primary_key=True),
        sa.Column("account_id", _TEXT, sa.ForeignKey("accounts.id"), nullable=False, index=True),
        sa.Column("agency", _TEXT, nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("why", _TEXT, nullable=False),
        sa.Column("row", sa.JSON(), nullable=False),
        sa.Column("at", UTCDateTime(), nullable=False),
    )
    op.create_index("ix_recalls_agency_day", "recalls", ["agency", "day"])
    op.create_table(
        "recall_batches",
        sa.Column("agency", _TEXT, primary_key=True),
        sa.Column("day", sa.Date(), primary_key=True),
        sa.Column("path", _TEXT, nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.Column("sha256", _TEXT, nullable=False),
        sa.Column("written_at", UTCDateTime(), nullable=True),
        sa.Column("unwritten", sa.Boolean(), nullable=False, index=True),
    )


def downgrade() -> None:
    op.drop_table("recall_batches")
    op.drop_table("recalls")
    op.drop_index("ix_cases_recall_at", "cases")
    op.drop_column("cases", "recall_at")
