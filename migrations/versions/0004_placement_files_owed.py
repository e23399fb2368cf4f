"""Placement batches say whether their file is still to be written."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("placement_batches", sa.Column("unwritten", sa.Boolean(), nullable=False, server_default=sa.false()))
    op.create_index("ix_placement_batches_unwritten", "placement_batches", ["unwritten"])


def downgrade() -> None:
    op.drop_index("ix_placement_batches_unwritten", "placement_batches")
    op.drop_column("placement_batches", "unwritten")
