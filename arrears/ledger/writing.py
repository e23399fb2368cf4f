"""Many rows of a table in one statement on PostgreSQL, which gets them as one JSON document.

A flush sends each row by itself: put together, sent, planned and acknowledged two hundred times over.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from functools import cache
from typing import Any, Final

import orjson
from sqlalchemy import (
    JSON,
    Column,
    Insert,
    TableValuedAlias,
    Text,
    Update,
    bindparam,
    cast,
    func,
    insert,
    update,
)
from sqlalchemy.orm import InstanceState
from sqlalchemy.orm.attributes import instance_state
from sqlalchemy.orm.exc import StaleDataError
from sqlmodel import Session

import models

_Columns = frozenset[str]
# Below this a flush is as quick.
_MANY: Final = 8


def write_rows(session: Session) -> None:
    """Do for steps and changed cases what a flush would; whatever else is new or changed, the flush does.

    New steps must be of accounts and cases that are in the database.
    """
    if session.get_bind().dialect.name != "postgresql" or len(session.dirty) + len(session.new) < _MANY:
        return
    # A new row without an id has to be asked for it.
    steps = [step for step in session.new if isinstance(step, models.Step) and step.id is not None]
    changed = [row for row in session.dirty if isinstance(row, models.Case | models.Step)]
    _insert_all(session, models.Step, [_columns_of(step) for step in steps])
    for kind in (models.Case, models.Step):
        _update_all(session, kind, [instance_state(row) for row in changed if type(row) is kind])
    # The end of a flush: the rows are as the database has them.
    session._register_persistent({instance_state(row) for row in (*steps, *changed)})  # pyright: ignore[reportPrivateUsage]


def insert_log(session: Session, rows: Sequence[dict[str, Any]]) -> None:
    """Write so many rows of the log, all with the same columns."""
    if session.get_bind().dialect.name == "postgresql" and len(rows) >= _MANY:
        _insert_all(session, models.Event, rows)
    else:
        session.connection().execute(insert(models.Event), rows)


def _columns_of(row: models.Step) -> dict[str, Any]:
    columns = vars(row).copy()
    del columns["_sa_instance_state"]
    return columns


def _insert_all(session: Session, kind: Any, rows: Sequence[Mapping[str, Any]]) -> None:
    if rows:
        session.connection().execute(_inserting(kind, frozenset(rows[0])), {"rows": _document(rows)})


def _update_all(session: Session, kind: Any, states: Sequence[InstanceState[Any]]) -> None:
    alike: defaultdict[_Columns, list[dict[str, Any]]] = defaultdict(list)
    for state in states:
        before, now = state.committed_state, state.dict
        changed = frozenset(name for name, value in before.items() if now[name] != value)
        if changed:
            alike[changed].append({"id": now["id"], **{name: now[name] for name in changed}})
    for columns, rows in alike.items():
        result = session.connection().execute(_updating(kind, columns), {"rows": _document(rows)})
        if result.rowcount != len(rows):
            raise StaleDataError(f"{len(rows)} rows of {kind.__tablename__} were to change, {result.rowcount} did")


@cache
def _inserting(kind: Any, columns: _Columns) -> Insert:
    given = _given(kind, columns)
    return insert(kind.__table__).from_select(sorted(columns), given.select().with_only_columns(*given.c))


@cache
def _updating(kind: Any, columns: _Columns) -> Update:
    table, given = kind.__table__, _given(kind, columns | {"id"})
    return update(table).values({name: given.c[name] for name in columns}).where(table.c.id == given.c.id)


def _given(kind: Any, columns: _Columns) -> TableValuedAlias:
    """The rows of the document as a table of these columns, in order of their names."""
    types = [Column(name, kind.__table__.c[name].type) for name in sorted(columns)]
    document = cast(bindparam("rows", type_=Text), JSON)
    return func.json_to_recordset(document).table_valued(*types).render_derived(name="given", with_types=True)


def _document(rows: Sequence[Mapping[str, Any]]) -> str:
    return orjson.dumps(rows, default=_in_words, option=orjson.OPT_PASSTHROUGH_DATETIME).decode()


def _in_words(value: Any) -> str:
    if isinstance(value, datetime) and value.tzinfo is None:
        raise ValueError("an instant without a time zone must not enter the ledger")
    if isinstance(value, date):
        return value.isoformat()
    raise TypeError(f"a {type(value).__name__} cannot be written to the ledger")
