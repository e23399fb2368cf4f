"""Requests from the provider, as they came."""

from datetime import datetime

from sqlalchemy import JSON, Column
from sqlmodel import Field, SQLModel

from models.types import instant


class WebhookRequest(SQLModel, table=True):
    """One authentic request, kept raw. `digest` is that of its path and fields: the same request comes once.

    `handled_at` is empty while what it asks for is not done. Both instants count in wall time.
    """

    __tablename__ = "webhook_requests"  # pyright: ignore[reportAssignmentType]

    digest: str = Field(primary_key=True, max_length=64)
    path: str
    fields: dict[str, str] = Field(sa_column=Column(JSON, nullable=False))
    at: datetime = instant()
    handled_at: datetime | None = instant(default=None)
