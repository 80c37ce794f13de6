"""How many rows Postgres reads for a page: its own account of each statement, added up."""

from collections.abc import Callable, Iterator
from typing import Any

import orjson
from django.db import connection


def rows_read(page: Callable[[], object]) -> int:
    """All rows that the queries of `page` read from tables, those included that they dropped."""
    statements: list[tuple[str, Any]] = []

    def note(execute: Callable[..., Any], sql: str, params: Any, many: bool, context: Any) -> Any:
        statements.append((sql, params))
        return execute(sql, params, many, context)

    with connection.execute_wrapper(note):
        page()
    assert statements
    return sum(_read_by(sql, params) for sql, params in statements)


def _read_by(sql: str, params: Any) -> int:
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN (ANALYZE, FORMAT JSON) {sql}", params)
        (answer,) = cursor.fetchone()
    plan = orjson.loads(answer) if isinstance(answer, str) else answer
    return sum(
        round(node["Actual Loops"] * (node["Actual Rows"] + _dropped(node)))
        for node in _nodes(plan[0]["Plan"])
        if "Relation Name" in node
    )


def _dropped(node: dict[str, Any]) -> float:
    return sum(value for name, value in node.items() if name.startswith("Rows Removed by"))


def _nodes(node: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield node
    for below in node.get("Plans", ()):
        yield from _nodes(below)
