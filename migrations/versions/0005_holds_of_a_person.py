"""Holds know the person and the number they were set for."""

import sqlalchemy as sa
import sqlmodel
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

_OPEN = sa.text("released_at IS NULL")


def upgrade() -> None:
    op.add_column("holds", sa.Column("holder_id", sa.String(64), nullable=False, server_default=""))
    text = sqlmodel.sql.sqltypes.AutoString()
    op.add_column("holds", sa.Column("number", text, nullable=False, server_default=""))
    op.execute("UPDATE holds SET holder_id = (SELECT holder_id FROM accounts WHERE accounts.id = holds.account_id)")
    first = "json_extract(phones, '$[0]')" if op.get_bind().dialect.name == "sqlite" else "phones ->> 0"
    op.execute(
        f"UPDATE holds SET number = coalesce((SELECT {first} FROM accounts WHERE accounts.id = holds.account_id), '') "
        "WHERE kind IN ('CHANNEL_OPTOUT', 'TCPA_REVOCATION') "
        "AND (channel IS NULL OR channel IN ('call', 'call_auto', 'sms', 'voicemail'))"
    )
    for column, name in (("holder_id", "ix_holds_holder_open"), ("number", "ix_holds_number_open")):
        op.create_index(name, "holds", [column], sqlite_where=_OPEN, postgresql_where=_OPEN)


def downgrade() -> None:
    op.drop_index("ix_holds_number_open", "holds")
    op.drop_index("ix_holds_holder_open", "holds")
    op.drop_column("holds", "number")
    op.drop_column("holds", "holder_id")
