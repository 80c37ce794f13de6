"""Signed webhook deliveries, tried until they are taken."""

import asyncio
import hashlib
import hmac
import json
import time
from collections.abc import Sequence
from types import TracebackType
from typing import Any, Final, Self

import aiohttp

from billing.sandbox.errors import missing
from billing.sandbox.store import Store

PAUSES: Final = (1.0, 5.0, 30.0, 120.0, 600.0, 3600.0)
"""Seconds between two tries; the last one from then on."""
MODES: Final = ("ok", "hold", "drop")
_TRIES: Final = 76  # about three days, as Stripe
_AT_ONCE: Final = 32
_PATIENCE: Final = aiohttp.ClientTimeout(total=10)


class Deliveries:
    """Posts events to one address, each by itself: a slow answer holds no other event up.

    The queue is in the store, so that a restart goes on.  An event whose answer was lost is
    delivered again, as Stripe does.  Use it as a context, and call `begin` again and again.
    """

    def __init__(
        self, store: Store, url: str, secret: str, pauses: Sequence[float] = PAUSES
    ) -> None:
        self._store, self._url, self._secret, self._pauses = store, url, secret, pauses
        self._under_way: dict[str, asyncio.Task[None]] = {}
        self._client: aiohttp.ClientSession

    async def __aenter__(self) -> Self:
        self._client = aiohttp.ClientSession(
            timeout=_PATIENCE, connector=aiohttp.TCPConnector(limit=_AT_ONCE)
        )
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        tasks = list(self._under_way.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._client.close()

    def begin(self) -> None:
        """Begins to deliver what is due, as far as there is room."""
        if self.mode != "ok":
            return
        rows = self._store.db.execute(
            "SELECT event FROM deliveries WHERE state = 'pending' AND due <= ? ORDER BY due, rowid"
            " LIMIT ?",
            (time.time(), _AT_ONCE),
        ).fetchall()
        for (event_id,) in rows:
            if event_id not in self._under_way and len(self._under_way) < _AT_ONCE:
                self._under_way[event_id] = asyncio.create_task(self._deliver(event_id))

    @property
    def mode(self) -> str:
        """ok; hold: nothing leaves, and waits; drop: what happens is never delivered."""
        mode: str = self._store.setting("deliveries", "ok")
        return mode

    def set_mode(self, mode: str) -> None:
        """Another mode from now on.  Dropping gives up what waits, too."""
        self._store.set_setting("deliveries", mode)
        if mode == "drop":
            self._store.db.execute(
                "UPDATE deliveries SET state = 'given_up' WHERE state = 'pending'"
            )

    def again(self, event_id: str) -> None:
        """Delivers an event once more, whatever became of it."""
        found = self._store.db.execute(
            "UPDATE deliveries SET state = 'pending', due = 0 WHERE event = ?", (event_id,)
        )
        if found.rowcount == 0:
            raise missing("event", event_id, "event")

    def every(self) -> list[dict[str, Any]]:
        """What became of each event, oldest first."""
        rows = self._store.db.execute(
            "SELECT event, json_extract(body, '$.type'), state, attempts, answer"
            " FROM deliveries JOIN objects ON objects.id = event ORDER BY objects.seq"
        )
        names = ("event", "type", "state", "attempts", "answer")
        return [dict(zip(names, row, strict=True)) for row in rows]

    async def _deliver(self, event_id: str) -> None:
        try:
            await self._try(event_id)
        finally:
            del self._under_way[event_id]

    async def _try(self, event_id: str) -> None:
        body = json.dumps(self._store.get("event", event_id)).encode()
        try:
            async with self._client.post(
                self._url, data=body, headers=self._headers(body), allow_redirects=False
            ) as answer:
                text, delivered = str(answer.status), 200 <= answer.status < 300
        except (aiohttp.ClientError, TimeoutError) as error:
            text, delivered = type(error).__name__, False
        self._note(event_id, text, delivered=delivered)

    def _headers(self, body: bytes) -> dict[str, str]:
        now = int(time.time())
        signature = hmac.new(self._secret.encode(), b"%d." % now + body, hashlib.sha256)
        return {
            "Content-Type": "application/json; charset=utf-8",
            "Stripe-Signature": f"t={now},v1={signature.hexdigest()}",
            "User-Agent": "Stripe/1.0 (sandbox)",
        }

    def _note(self, event_id: str, answer: str, *, delivered: bool) -> None:
        with self._store.transaction():
            db = self._store.db
            (tries,) = db.execute(
                "SELECT attempts FROM deliveries WHERE event = ?", (event_id,)
            ).fetchone()
            pause = self._pauses[min(tries, len(self._pauses) - 1)]
            state = "given_up" if tries + 1 >= _TRIES else "pending"
            db.execute(
                "UPDATE deliveries SET attempts = ?, due = ?, state = ?, answer = ?"
                " WHERE event = ?",
                (
                    tries + 1,
                    time.time() + pause,
                    "delivered" if delivered else state,
                    answer,
                    event_id,
                ),
            )
            event = self._store.get("event", event_id)
            if delivered and event:
                self._store.put(event | {"pending_webhooks": 0})
