"""One of many values, however they are spelled."""

from __future__ import annotations

import pytest
from sqlmodel import col, select

import models
from arrears.ledger.among import among
from arrears.operations.services import Services

ODD = [
    "plain",
    "",
    "two words",
    "a,b",
    "{c}",
    'a "quote"',
    "back\\slash",
    "\\",
    '"',
    "NULL",
    "O'Brien",
    "ключ",
    "%s",
    "\n",
]


@pytest.mark.parametrize("key", ODD)
def test_a_value_is_found_as_it_is_spelled_and_no_other(services: Services, key: str) -> None:
    column = col(models.LedgerState.name)
    with services.ledger.write() as session:
        session.add_all([models.LedgerState(name=f"k{each}", value="x") for each in ODD])
        session.flush()
        found = session.exec(select(column).where(among(session, column, [f"k{key}", "not there"])))
        assert found.all() == [f"k{key}"]
        assert session.exec(select(column).where(among(session, column, []))).all() == []
