"""Files handed to partners, and the numbers by which the field's layouts know placements."""

import sqlalchemy as sa
import sqlmodel
from alembic import op

from models.types import UTCDateTime

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

_TEXT = sqlmodel.sql.sqltypes.AutoString


def upgrade() -> None:
    op.create_table(
        "placement_numbers",
        sa.Column("number", sa.Integer(), primary_key=True),
        sa.Column("placement", _TEXT(16), sa.ForeignKey("placements.reference"), nullable=False),
        sa.UniqueConstraint("placement"),
    )
    op.create_table(
        "handoffs",
        sa.Column("id", sa.Integer(), primary_key=True),
        sa.Column("partner", _TEXT(), nullable=False),
        sa.Column("path", _TEXT(), nullable=False),
        sa.Column("sha256", _TEXT(64), nullable=False),
        sa.Column("kind", _TEXT(), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("name", _TEXT(), nullable=False),
        sa.Column("sealed_sha256", _TEXT(64), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("status", _TEXT(), nullable=False, index=True),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("problem", _TEXT(), nullable=False),
        sa.Column("intended_at", UTCDateTime(), nullable=False),
        sa.Column("retry_at", UTCDateTime(), nullable=True),
        sa.Column("done_at", UTCDateTime(), nullable=True),
        sa.Column("owner", _TEXT(), nullable=False),
        sa.Column("lease_until", UTCDateTime(), nullable=True),
        sa.UniqueConstraint("partner", "path", "sha256"),
    )


def downgrade() -> None:
    op.drop_table("handoffs")
    op.drop_table("placement_numbers")
