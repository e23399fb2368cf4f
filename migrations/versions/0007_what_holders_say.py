"""Holds and consents come from life events; numbers are indexed; deliveries, webhook requests, work for people."""

import json

import sqlalchemy as sa
import sqlmodel
from alembic import op

from models.types import UTCDateTime

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

_TEXT = sqlmodel.sql.sqltypes.AutoString()


def upgrade() -> None:
    for table in ("holds", "consents"):
        with op.batch_alter_table(table) as batch:
            batch.add_column(
                sa.Column(
                    "event_id",
                    sa.Integer(),
                    sa.ForeignKey("life_events.id", name=f"fk_{table}_event_id_life_events"),
                    nullable=True,
                )
            )
    op.add_column("holds", sa.Column("evidence", _TEXT, nullable=False, server_default=""))
    op.add_column("holds", sa.Column("review_on", sa.Date(), nullable=True))
    with op.batch_alter_table("contacts") as batch:
        batch.add_column(sa.Column("external_id", sa.String(192), nullable=True))
        batch.create_unique_constraint("uq_contacts_external_id", ["external_id"])
    with op.batch_alter_table("call_tasks") as batch:
        batch.add_column(sa.Column("reference", sa.String(128), nullable=True))
        batch.create_unique_constraint("uq_call_tasks_reference", ["reference"])
    op.create_table(
        "account_numbers",
        sa.Column("number", sa.String(20), primary_key=True),
        sa.Column("account_id", _TEXT, sa.ForeignKey("accounts.id"), primary_key=True),
    )
    _index_numbers()
    op.create_table(
        "deliveries",
        sa.Column("reference", sa.String(16), primary_key=True),
        sa.Column("sid", _TEXT, nullable=False, index=True),
        sa.Column("status", _TEXT, nullable=False),
        sa.Column("error_code", _TEXT, nullable=False),
        sa.Column("at", UTCDateTime(), nullable=False),
    )
    op.create_table(
        "webhook_requests",
        sa.Column("digest", sa.String(64), primary_key=True),
        sa.Column("path", _TEXT, nullable=False),
        sa.Column("fields", sa.JSON(), nullable=False),
        sa.Column("at", UTCDateTime(), nullable=False),
        sa.Column("handled_at", UTCDateTime(), nullable=True),
    )
    op.create_table(
        "work_items",
        sa.Column("id", sa.Integer(), primary_key=True),
        sa.Column("key", sa.String(256), nullable=False, unique=True),
        sa.Column("account_id", _TEXT, sa.ForeignKey("accounts.id"), nullable=False, index=True),
        sa.Column("kind", _TEXT, nullable=False),
        sa.Column("note", _TEXT, nullable=False),
        sa.Column("at", UTCDateTime(), nullable=False),
        sa.Column("due_at", UTCDateTime(), nullable=True),
        sa.Column("done_at", UTCDateTime(), nullable=True),
        sa.Column("done_by", _TEXT, nullable=False),
        sa.Column("answer", _TEXT, nullable=False),
    )


def _index_numbers() -> None:
    connection = op.get_bind()
    rows = connection.execute(sa.text("SELECT id, phones FROM accounts")).all()
    found = [
        {"number": number, "account_id": account_id}
        for account_id, phones in rows
        for number in dict.fromkeys(json.loads(phones) if isinstance(phones, str) else phones)
    ]
    if found:
        insert = sa.text("INSERT INTO account_numbers (number, account_id) VALUES (:number, :account_id)")
        connection.execute(insert, found)


def downgrade() -> None:
    for table in ("work_items", "webhook_requests", "deliveries", "account_numbers"):
        op.drop_table(table)
    with op.batch_alter_table("call_tasks") as batch:
        batch.drop_constraint("uq_call_tasks_reference", type_="unique")
        batch.drop_column("reference")
    with op.batch_alter_table("contacts") as batch:
        batch.drop_constraint("uq_contacts_external_id", type_="unique")
        batch.drop_column("external_id")
    with op.batch_alter_table("holds") as batch:
        batch.drop_column("review_on")
        batch.drop_column("evidence")
        batch.drop_column("event_id")
    with op.batch_alter_table("consents") as batch:
        batch.drop_column("event_id")
