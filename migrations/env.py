"""Alembic's entry: migrates the connection it is handed, or the ledger in ARREARS_DATABASE_URL."""

from alembic import context
from sqlalchemy import create_engine
from sqlmodel import SQLModel

import models

assert models.Account  # importing the package fills the metadata


def _migrate(connection):
    context.configure(
        connection=connection,
        target_metadata=SQLModel.metadata,
        render_as_batch=connection.dialect.name == "sqlite",
        compare_type=True,
        # What is done stays done when a later migration has to give way, and an index may be built in between.
        transaction_per_migration=connection.dialect.name == "postgresql",
    )
    with context.begin_transaction():
        context.run_migrations()


handed_over = context.config.attributes.get("connection")
if handed_over is not None:
    _migrate(handed_over)
else:
    url = context.config.get_main_option("sqlalchemy.url")
    with create_engine(url).connect() as connection:
        _migrate(connection)
        connection.commit()
