"""What courts want: documents of the lender, approvals by several people, limitation kept in sight."""

import sqlalchemy as sa
import sqlmodel
from alembic import op

from models.types import UTCDateTime

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

_TEXT = sqlmodel.sql.sqltypes.AutoString()
_KEPT = "case_id, rung, approved_by, at"


def upgrade() -> None:
    op.create_table(
        "legal_documents",
        sa.Column("id", sa.Integer(), primary_key=True),
        sa.Column("account_id", _TEXT, sa.ForeignKey("accounts.id"), nullable=False, index=True),
        sa.Column("kind", _TEXT, nullable=False),
        sa.Column("reference", sa.String(128), nullable=False),
        sa.Column("name", _TEXT, nullable=False),
        sa.Column("sha256", sa.String(64), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("seller", _TEXT, nullable=False),
        sa.Column("buyer", _TEXT, nullable=False),
        sa.Column("sold_on", sa.Date(), nullable=True),
        sa.Column("at", UTCDateTime(), nullable=False),
        sa.Column("added_by", _TEXT, nullable=False),
        sa.UniqueConstraint("account_id", "reference"),
    )
    # A table of its own name for its key: PostgreSQL would not have two keys called pk_approvals.
    op.rename_table("approvals", "approvals_before")
    op.create_table(
        "approvals",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("case_id", _TEXT, sa.ForeignKey("cases.id", name="fk_approvals_case"), nullable=False),
        sa.Column("rung", _TEXT, nullable=False),
        sa.Column("approved_by", _TEXT, nullable=False),
        sa.Column("at", UTCDateTime(), nullable=False),
        sa.Column("balance", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_approvals_by_person"),
    )
    op.create_index("ix_approvals_case_id", "approvals", ["case_id"])
    op.execute(f"INSERT INTO approvals ({_KEPT}) SELECT {_KEPT} FROM approvals_before ORDER BY at, case_id, rung")
    op.drop_table("approvals_before")
    op.add_column("referrals", sa.Column("firm", _TEXT, nullable=False, server_default=""))
    op.add_column("cases", sa.Column("limitation_ends", sa.Date(), nullable=True))
    op.add_column("cases", sa.Column("limit_told", sa.Date(), nullable=True))
    op.create_index("ix_cases_limitation_ends", "cases", ["limitation_ends"])
    # The limit is reckoned when a case is looked at, and one that waits for a person would not be.
    op.execute(
        "UPDATE cases SET next_due_at = opened_at WHERE status IN ('delinquent', 'held') AND next_due_at IS NULL"
    )


def downgrade() -> None:
    op.drop_index("ix_cases_limitation_ends", "cases")
    op.drop_column("cases", "limit_told")
    op.drop_column("cases", "limitation_ends")
    op.drop_column("referrals", "firm")
    op.rename_table("approvals", "approvals_by_person")
    op.create_table(
        "approvals",
        sa.Column("case_id", _TEXT, sa.ForeignKey("cases.id", name="fk_approvals_case_id_cases"), nullable=False),
        sa.Column("rung", _TEXT, nullable=False),
        sa.Column("approved_by", _TEXT, nullable=False),
        sa.Column("at", UTCDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("case_id", "rung", name="pk_approvals"),
    )
    op.execute(
        f"INSERT INTO approvals ({_KEPT}) SELECT {_KEPT} FROM approvals_by_person WHERE id IN "
        "(SELECT min(id) FROM approvals_by_person GROUP BY case_id, rung)"
    )
    op.drop_table("approvals_by_person")
    op.drop_table("legal_documents")
