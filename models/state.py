"""What the ledger knows about itself."""

from sqlmodel import Field, SQLModel


class LedgerState(SQLModel, table=True):
    """Named values: `stopped` (the kill switch), `virtual_now` and the others of `arrears.ledger.state`."""

    __tablename__ = "ledger_state"  # pyright: ignore[reportAssignmentType]

    name: str = Field(primary_key=True)
    value: str
