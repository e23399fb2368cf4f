"""Batches of letters for the print house, and mail that came back."""

import sqlalchemy as sa
import sqlmodel
from alembic import op

from models.types import UTCDateTime

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

_TEXT = sqlmodel.sql.sqltypes.AutoString()


def upgrade() -> None:
    op.create_table(
        "print_batches",
        sa.Column("id", sa.Integer(), primary_key=True),
        sa.Column("at", UTCDateTime(), nullable=False),
        sa.Column("one_file", sa.Boolean(), nullable=False),
        sa.Column("duplex", sa.Boolean(), nullable=False),
        sa.Column("path", _TEXT, nullable=False),
        sa.Column("letters", sa.Integer(), nullable=False),
        sa.Column("pages", sa.Integer(), nullable=False),
        sa.Column("sha256", _TEXT, nullable=False),
        sa.Column("unwritten", sa.Boolean(), nullable=False, index=True),
        sa.Column("owner", _TEXT, nullable=False),
        sa.Column("lease_until", UTCDateTime(), nullable=True),
        sa.Column("written_at", UTCDateTime(), nullable=True),
    )
    with op.batch_alter_table("letters") as table:
        table.add_column(sa.Column("batch", sa.Integer(), nullable=True))
        table.create_foreign_key("fk_letters_batch_print_batches", "print_batches", ["batch"], ["id"])
        table.create_index("ix_letters_batch", ["batch"])
    op.add_column("accounts", sa.Column("opening_address", _TEXT, nullable=False, server_default=""))


def downgrade() -> None:
    op.drop_column("accounts", "opening_address")
    with op.batch_alter_table("letters") as table:
        table.drop_index("ix_letters_batch")
        table.drop_constraint("fk_letters_batch_print_batches", type_="foreignkey")
        table.drop_column("batch")
    op.drop_table("print_batches")
