"""A step may be told within the contact of another account's step."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

_CARRIED = sa.text("carried_by <> ''")


def upgrade() -> None:
    op.add_column("steps", sa.Column("carried_by", sa.String(16), nullable=False, server_default=""))
    op.create_index("ix_steps_carried", "steps", ["carried_by"], sqlite_where=_CARRIED, postgresql_where=_CARRIED)


def downgrade() -> None:
    op.drop_index("ix_steps_carried", "steps")
    op.drop_column("steps", "carried_by")
