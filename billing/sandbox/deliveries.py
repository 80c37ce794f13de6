"""Signed webhook deliveries, tried until they are taken."""

import asyncio
import hashlib
import hmac
import json
import time
from typing import Final

import aiohttp

from billing.sandbox.store import Store

_PAUSES: Final = (1, 5, 30, 120, 600, 3600)
_AT_ONCE: Final = 8


class Deliveries:
    """Posts events to one address; the queue is in the store, so that a restart goes on."""

    def __init__(self, store: Store, url: str, secret: str) -> None:
        self._store, self._url, self._secret = store, url, secret

    async def run(self) -> None:
        """Delivers what is due, for ever."""
        timeout = aiohttp.ClientTimeout(total=10)
        async with aiohttp.ClientSession(timeout=timeout) as client:
            while True:
                await asyncio.gather(*(self._deliver(client, one) for one in self._due()))
                await asyncio.sleep(0.1)

    def _due(self) -> list[str]:
        if self._store.setting("deliveries", "ok") != "ok":
            return []
        rows = self._store.db.execute(
            "SELECT event FROM deliveries WHERE state = 'pending' AND due <= ? ORDER BY due"
            " LIMIT ?",
            (time.time(), _AT_ONCE),
        )
        return [row[0] for row in rows]

    async def _deliver(self, client: aiohttp.ClientSession, event_id: str) -> None:
        body = json.dumps(self._store.get("event", event_id)).encode()
        try:
            async with client.post(
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
        }

    def _note(self, event_id: str, answer: str, *, delivered: bool) -> None:
        db = self._store.db
        row = db.execute("SELECT attempts FROM deliveries WHERE event = ?", (event_id,)).fetchone()
        pause = _PAUSES[min(row[0], len(_PAUSES) - 1)]
        db.execute(
            "UPDATE deliveries SET attempts = attempts + 1, due = ?, state = ?, answer = ?"
            " WHERE event = ?",
            (time.time() + pause, "delivered" if delivered else "pending", answer, event_id),
        )
