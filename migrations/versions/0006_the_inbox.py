"""The inbox of outside facts, from which balances and cases are reckoned; payments are facts among others."""

import sqlalchemy as sa
import sqlmodel
from alembic import op

from models.types import UTCDateTime

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

_TEXT = sqlmodel.sql.sqltypes.AutoString()


def upgrade() -> None:
    op.create_table(
        "life_events",
        sa.Column("id", sa.Integer(), primary_key=True),
        sa.Column("source", sa.String(64), nullable=False),
        sa.Column("external_id", sa.String(128), nullable=False),
        sa.Column("account_id", _TEXT, sa.ForeignKey("accounts.id"), nullable=False, index=True),
        sa.Column("kind", _TEXT, nullable=False),
        sa.Column("happened_at", UTCDateTime(), nullable=False),
        sa.Column("received_at", UTCDateTime(), nullable=False),
        sa.Column("data", sa.JSON(), nullable=False),
        sa.Column("via", _TEXT, nullable=False),
        sa.Column("recorded_by", _TEXT, nullable=False),
        sa.UniqueConstraint("source", "external_id", name="uq_life_events_source_external_id"),
    )
    on_sqlite = op.get_bind().dialect.name == "sqlite"
    amount = "json_object('amount', amount)" if on_sqlite else "json_build_object('amount', amount)"
    op.execute(
        "INSERT INTO life_events "
        "(source, external_id, account_id, kind, happened_at, received_at, data, via, recorded_by) "
        f"SELECT 'payments', reference, account_id, 'payment', paid_at, received_at, {amount}, source, source "
        "FROM payments"
    )
    for name, column in (("opening_due", "amount_due"), ("opening_balance", "balance")):
        op.add_column("accounts", sa.Column(name, sa.BigInteger(), nullable=False, server_default="0"))
        # What an overpayment once paid too much of the amount due is not known any more, nor does it matter.
        op.execute(
            f"UPDATE accounts SET {name} = {column} + "
            "coalesce((SELECT sum(amount) FROM payments WHERE payments.account_id = accounts.id), 0)"
        )
    op.drop_table("payments")
    op.add_column("cases", sa.Column("began", sa.Date(), nullable=False, server_default="1970-01-01"))
    op.execute("UPDATE cases SET began = due_date")


def downgrade() -> None:
    raise NotImplementedError("the facts cannot be put back into payments without losing the others")
