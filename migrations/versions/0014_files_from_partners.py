"""Files from partners: each once, whole; the money that arrives from them; work that belongs to no account."""

import sqlalchemy as sa
import sqlmodel
from alembic import op

from models.types import UTCDateTime

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

_TEXT = sqlmodel.sql.sqltypes.AutoString()
_NUMBERED = sa.text("status = 'taken' AND number <> ''")


def upgrade() -> None:
    op.create_table(
        "agency_files",
        sa.Column("id", sa.Integer(), primary_key=True),
        sa.Column("partner", _TEXT, nullable=False),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("number", sa.String(64), nullable=False),
        sa.Column("name", _TEXT, nullable=False),
        sa.Column("status", _TEXT, nullable=False),
        sa.Column("lines", sa.Integer(), nullable=False),
        sa.Column("wrong", sa.Integer(), nullable=False),
        sa.Column("sums", sa.JSON(), nullable=False),
        sa.Column("path", _TEXT, nullable=False),
        sa.Column("at", UTCDateTime(), nullable=False),
        sa.Column("wall", UTCDateTime(), nullable=False),
        sa.Column("who", _TEXT, nullable=False),
        sa.UniqueConstraint("partner", "digest", name="uq_agency_files_partner_digest"),
    )
    op.create_index(
        "uq_agency_files_number",
        "agency_files",
        ["partner", "number"],
        unique=True,
        sqlite_where=_NUMBERED,
        postgresql_where=_NUMBERED,
    )
    op.create_table(
        "agency_receipts",
        sa.Column("partner", _TEXT, primary_key=True),
        sa.Column("reference", sa.String(128), primary_key=True),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.Column("currency", sa.String(3), nullable=False),
        sa.Column("at", UTCDateTime(), nullable=False),
        sa.Column("who", _TEXT, nullable=False),
    )
    with op.batch_alter_table("work_items") as table:
        table.alter_column("account_id", existing_type=_TEXT, nullable=True)


def downgrade() -> None:
    op.execute("DELETE FROM work_items WHERE account_id IS NULL")
    with op.batch_alter_table("work_items") as table:
        table.alter_column("account_id", existing_type=_TEXT, nullable=False)
    op.drop_table("agency_receipts")
    op.drop_table("agency_files")
