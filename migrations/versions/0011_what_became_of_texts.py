"""What became of texts: when to ask the provider, and what follows from a text that did not arrive."""

import sqlalchemy as sa
from alembic import op

from models.types import UTCDateTime

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("steps", sa.Column("again_at", UTCDateTime(), nullable=True))
    op.add_column("steps", sa.Column("unreached", sa.Boolean(), nullable=False, server_default=sa.false()))
    op.add_column("deliveries", sa.Column("since", UTCDateTime(), nullable=True))
    op.add_column("deliveries", sa.Column("ask_at", UTCDateTime(), nullable=True))
    op.create_index("ix_deliveries_ask_at", "deliveries", ["ask_at"])
    op.execute("UPDATE deliveries SET since = at")
    # Texts of before are asked about as well: none may stay queued for ever.
    op.execute(
        "UPDATE deliveries SET ask_at = at WHERE status IN ('accepted', 'scheduled', 'queued', 'sending', 'sent')"
    )
    op.execute(
        "INSERT INTO deliveries (reference, sid, status, error_code, at, since, ask_at) "
        "SELECT reference, proof, 'queued', '', intended_wall, intended_wall, intended_wall FROM steps "
        "WHERE channel = 'sms' AND status = 'done' AND carried_by = '' AND intended_wall IS NOT NULL "
        "AND (proof LIKE 'SM%' OR proof LIKE 'MM%') AND length(proof) = 34 "
        "AND NOT EXISTS (SELECT 1 FROM deliveries WHERE deliveries.reference = steps.reference)"
    )
    with op.batch_alter_table("deliveries") as table:
        table.alter_column("since", existing_type=UTCDateTime(), nullable=False)


def downgrade() -> None:
    op.drop_index("ix_deliveries_ask_at", "deliveries")
    op.drop_column("deliveries", "ask_at")
    op.drop_column("deliveries", "since")
    op.drop_column("steps", "unreached")
    op.drop_column("steps", "again_at")
