"""A row of the ledger before it is in the ledger."""

from __future__ import annotations

import pytest
from sqlalchemy import inspect
from sqlalchemy.orm import make_transient_to_detached
from sqlalchemy.orm.attributes import set_committed_value

import models


def test_columns_left_out_get_their_defaults_and_each_row_its_own() -> None:
    first, second = models.Step(rung="sms-1"), models.Step(rung="sms-2", rules=["R"])
    assert (first.rung, first.at, first.reason) == ("sms-1", None, "")
    first.rules.append("changed")
    assert (models.Step().rules, second.rules) == ([], ["R"])
    assert models.Case().id != models.Case().id


def test_what_is_no_column_is_refused() -> None:
    with pytest.raises(TypeError, match="Step has no column reasons"):
        models.Step(reasons="")


def test_what_is_set_afterwards_is_a_change_to_be_written() -> None:
    step = models.Step(status="planned")
    step.status = "intended"
    assert inspect(step).attrs.status.history.added == ["intended"]


def test_columns_taken_at_once_are_all_written_of_a_new_row() -> None:
    step = models.Step(status="planned", reason="before")
    step.take(status="intended", reason="")
    assert (step.status, step.reason) == ("intended", "")


def test_columns_taken_at_once_are_changes_of_a_row_that_is_in_the_database() -> None:
    step = models.Step(id=1, status="planned", reason="")
    make_transient_to_detached(step)
    set_committed_value(step, "status", "planned")
    step.take(status="intended")
    assert inspect(step).attrs.status.history.has_changes()
