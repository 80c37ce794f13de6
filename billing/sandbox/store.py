"""What the sandbox remembers: Stripe's objects as JSON, in SQLite."""

import json
import secrets
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from billing.sandbox import indexes

Object = dict[str, Any]

_TABLES = """
CREATE TABLE IF NOT EXISTS objects (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT UNIQUE, kind TEXT, created INTEGER, owner TEXT, due INTEGER, body TEXT);
CREATE INDEX IF NOT EXISTS objects_created ON objects (kind, created);
CREATE INDEX IF NOT EXISTS objects_owner ON objects (owner, kind);
CREATE INDEX IF NOT EXISTS objects_due ON objects (due) WHERE due IS NOT NULL;
CREATE TABLE IF NOT EXISTS settings (name TEXT PRIMARY KEY, value TEXT);
CREATE TABLE IF NOT EXISTS replies (key TEXT PRIMARY KEY, request TEXT, status INTEGER, body TEXT);
CREATE TABLE IF NOT EXISTS deliveries (
    event TEXT PRIMARY KEY, attempts INTEGER, due REAL, state TEXT, answer TEXT);
CREATE INDEX IF NOT EXISTS deliveries_due ON deliveries (state, due);
"""


class Store:
    """One connection; for one thread."""

    def __init__(self, path: str) -> None:
        self.db = sqlite3.connect(path, isolation_level=None)
        self.db.execute("PRAGMA journal_mode=WAL")
        self.db.execute("PRAGMA synchronous=NORMAL")  # kill -9 loses nothing, a power cut may
        self.db.executescript(_TABLES)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All or nothing, and safe against being killed.  Transactions don't nest."""
        self.db.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self.db.execute("ROLLBACK")
            raise
        self.db.execute("COMMIT")

    def put(self, found: Object) -> Object:
        """Writes an object, new or not."""
        self.db.execute(
            "INSERT INTO objects (id, kind, created, owner, due, body) VALUES (?, ?, ?, ?, ?, ?)"
            " ON CONFLICT (id) DO UPDATE SET owner = excluded.owner, due = excluded.due,"
            " body = excluded.body",
            (
                found["id"],
                found["object"],
                found.get("created", 0),
                indexes.owner(found),
                indexes.due_at(found),
                json.dumps(found),
            ),
        )
        return found

    def get(self, kind: str, object_id: str) -> Object | None:
        """The object, deleted or not; None where there never was one."""
        row = self.db.execute(
            "SELECT body FROM objects WHERE id = ? AND kind = ?", (object_id, kind)
        ).fetchone()
        return json.loads(row[0]) if row else None

    def exists(self, object_id: str) -> bool:
        """Whether an object of any kind has this id."""
        found = self.db.execute("SELECT 1 FROM objects WHERE id = ?", (object_id,)).fetchone()
        return found is not None

    def every(self, kind: str, *, owner: str = "", since: int = 0) -> list[Object]:
        """All objects of a kind, newest first; those of one owner, or made since, if told."""
        if owner:
            rows = self.db.execute(
                "SELECT body FROM objects WHERE kind = ? AND created >= ? AND owner = ?"
                " ORDER BY seq DESC",
                (kind, since, owner),
            )
        else:
            rows = self.db.execute(
                "SELECT body FROM objects WHERE kind = ? AND created >= ? ORDER BY seq DESC",
                (kind, since),
            )
        return [json.loads(row[0]) for row in rows]

    def first_due(self, until: int) -> tuple[Object, int] | None:
        """What is due first, and when; None where nothing is due by then."""
        row = self.db.execute(
            "SELECT body, due FROM objects WHERE due <= ? ORDER BY due, seq LIMIT 1", (until,)
        ).fetchone()
        return (json.loads(row[0]), row[1]) if row else None

    def delete(self, object_id: str) -> None:
        """Forgets an object."""
        self.db.execute("DELETE FROM objects WHERE id = ?", (object_id,))

    def setting(self, name: str, default: Any) -> Any:
        """A value that is no object's."""
        row = self.db.execute("SELECT value FROM settings WHERE name = ?", (name,)).fetchone()
        return json.loads(row[0]) if row else default

    def set_setting(self, name: str, value: Any) -> None:
        """Keeps it."""
        self.db.execute("INSERT OR REPLACE INTO settings VALUES (?, ?)", (name, json.dumps(value)))


def new_id(prefix: str) -> str:
    """An id that nobody guesses, as Stripe's look."""
    return f"{prefix}_{secrets.token_hex(12)}"
