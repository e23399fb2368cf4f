"""The call floor: who is calling whom, and calls put through by the provider."""

import sqlalchemy as sa
import sqlmodel
from alembic import op

from models.types import UTCDateTime

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

_TEXT = sqlmodel.sql.sqltypes.AutoString()
_STANDS = sa.text("ended_at IS NULL")


def upgrade() -> None:
    op.add_column("call_tasks", sa.Column("dealt_to", _TEXT, nullable=False, server_default=""))
    op.create_table(
        "call_claims",
        sa.Column("id", sa.Integer(), primary_key=True),
        sa.Column("task", _TEXT, sa.ForeignKey("call_tasks.key"), nullable=False, index=True),
        sa.Column("account_id", _TEXT, sa.ForeignKey("accounts.id"), nullable=False, index=True),
        sa.Column("holder_id", sa.String(64), nullable=False),
        sa.Column("collector", _TEXT, nullable=False),
        sa.Column("began_at", UTCDateTime(), nullable=False),
        sa.Column("until", UTCDateTime(), nullable=False),
        sa.Column("ended_at", UTCDateTime(), nullable=True),
        sa.Column("how", _TEXT, nullable=False),
    )
    for column in ("holder_id", "collector"):
        op.create_index(
            f"uq_call_claims_{column.removesuffix('_id')}",
            "call_claims",
            [column],
            unique=True,
            sqlite_where=_STANDS,
            postgresql_where=_STANDS,
        )
    op.create_table(
        "call_dials",
        sa.Column("reference", sa.String(16), primary_key=True),
        sa.Column("task", _TEXT, sa.ForeignKey("call_tasks.key"), nullable=False, index=True),
        sa.Column("account_id", _TEXT, sa.ForeignKey("accounts.id"), nullable=False, index=True),
        sa.Column("collector", _TEXT, nullable=False, index=True),
        *(sa.Column(name, _TEXT, nullable=False) for name in ("agent_number", "number", "state", "reason", "sid")),
        sa.Column("status", _TEXT, nullable=False),
        sa.Column("seconds", sa.Integer(), nullable=False),
        sa.Column("recorded", sa.Boolean(), nullable=False),
        sa.Column("verdict", sa.JSON(), nullable=False),
        sa.Column("at", UTCDateTime(), nullable=False),
        sa.Column("intended_wall", UTCDateTime(), nullable=False),
        sa.Column("connected_at", UTCDateTime(), nullable=True),
        sa.Column("ended_at", UTCDateTime(), nullable=True),
    )


def downgrade() -> None:
    op.drop_table("call_dials")
    op.drop_table("call_claims")
    op.drop_column("call_tasks", "dealt_to")
