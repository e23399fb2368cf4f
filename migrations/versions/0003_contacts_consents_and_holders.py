"""Contacts outside the ladder, consents, and holders with several accounts."""

import sqlalchemy as sa
import sqlmodel
from alembic import op

from models.types import UTCDateTime

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_TEXT = sqlmodel.sql.sqltypes.AutoString()


def upgrade() -> None:
    op.create_table(
        "contacts",
        sa.Column("id", sa.Integer(), primary_key=True),
        sa.Column("account_id", _TEXT, sa.ForeignKey("accounts.id"), nullable=False, index=True),
        sa.Column("channel", _TEXT, nullable=False),
        sa.Column("direction", _TEXT, nullable=False),
        sa.Column("at", UTCDateTime(), nullable=False),
        *(
            sa.Column(name, _TEXT, nullable=False)
            for name in ("outcome", "number", "actor", "notice", "note", "recorded_by")
        ),
    )
    op.create_table(
        "consents",
        sa.Column("id", sa.Integer(), primary_key=True),
        sa.Column("account_id", _TEXT, sa.ForeignKey("accounts.id"), nullable=False, index=True),
        sa.Column("channel", _TEXT, nullable=False),
        sa.Column("at", UTCDateTime(), nullable=False),
        sa.Column("evidence", _TEXT, nullable=False),
        sa.Column("recorded_by", _TEXT, nullable=False),
        sa.Column("withdrawn_at", UTCDateTime(), nullable=True),
        sa.Column("withdrawn_how", _TEXT, nullable=False),
    )
    op.add_column("accounts", sa.Column("holder_id", sa.String(64), nullable=False, server_default=""))
    op.execute("UPDATE accounts SET holder_id = id")
    op.add_column("accounts", sa.Column("jurisdictions", sa.JSON(), nullable=False, server_default="[]"))
    array = "json_array" if op.get_bind().dialect.name == "sqlite" else "json_build_array"
    op.execute(f"UPDATE accounts SET jurisdictions = {array}(country)")
    op.execute(f"UPDATE accounts SET jurisdictions = {array}(country, country || '-' || region) WHERE region <> ''")
    op.create_index("ix_accounts_holder_id", "accounts", ["holder_id"])
    op.add_column("steps", sa.Column("number", _TEXT, nullable=False, server_default=""))
    op.add_column("steps", sa.Column("actor", _TEXT, nullable=False, server_default=""))
    op.add_column("steps", sa.Column("disposed_at", UTCDateTime(), nullable=True))


def downgrade() -> None:
    op.drop_column("steps", "disposed_at")
    op.drop_column("steps", "actor")
    op.drop_column("steps", "number")
    op.drop_index("ix_accounts_holder_id", "accounts")
    op.drop_column("accounts", "jurisdictions")
    op.drop_column("accounts", "holder_id")
    op.drop_table("consents")
    op.drop_table("contacts")
