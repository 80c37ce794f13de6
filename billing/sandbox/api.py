"""The API over HTTP: keys, idempotency, and what every request goes through."""

import base64
import contextlib
import hmac
import json
from typing import Final
from urllib.parse import parse_qsl, urlencode

from aiohttp import web

from billing.sandbox import calls, reading
from billing.sandbox.errors import ApiError, CardDeclined, Failed
from billing.sandbox.faults import Faults
from billing.sandbox.params import Params, nested
from billing.sandbox.sandbox import Sandbox, shown
from billing.sandbox.store import Object, new_id

_LONGEST_KEY: Final = 255


class Api:
    """The sandbox behind its key."""

    def __init__(self, sandbox: Sandbox, key: str) -> None:
        self.sandbox, self.faults = sandbox, Faults()
        self._key = key

    async def v1(self, request: web.Request) -> web.StreamResponse:
        """Any call of the API."""
        headers = {"Request-Id": new_id("req")}
        try:
            self.authorize(request)
            await self.faults.before()
            pairs = await _pairs(request)
            status, body, replayed = self._once(request, pairs)
        except ApiError as error:
            status, body, replayed = error.status, error.body(), False
        except UnicodeError:
            status, body, replayed = 400, ApiError("It is not UTF-8.").body(), False
        if replayed:
            headers["Idempotent-Replayed"] = "true"
        if self.faults.hangs_up and request.transport:
            request.transport.abort()
        return web.json_response(body, status=status, headers=headers)

    def authorize(self, request: web.Request) -> None:
        """ApiError for any key but ours."""
        scheme, _, given = request.headers.get("Authorization", "").partition(" ")
        if scheme == "Basic":
            with contextlib.suppress(ValueError):
                given = base64.b64decode(given).decode().partition(":")[0]
        if not hmac.compare_digest(given.encode(errors="replace"), self._key.encode()):
            raise ApiError("Invalid API Key provided.", status=401)

    def _once(self, request: web.Request, pairs: list[tuple[str, str]]) -> tuple[int, Object, bool]:
        """Status, answer, and whether it is the stored one of this idempotency key.

        A refusal is not stored: nothing was done, so the next try may do it.  A declined card and
        a failure are.
        """
        store, method, path = self.sandbox.store, request.method, request.match_info["path"]
        name = request.headers.get("Idempotency-Key", "") if method == "POST" else ""
        if len(name) > _LONGEST_KEY or not name.isascii():
            raise ApiError("Idempotency keys have at most 255 characters.", "idempotency_error")
        asked = f"{path} {urlencode(sorted(pairs))}"
        with store.transaction():
            row = store.db.execute(
                "SELECT request, status, body FROM replies WHERE key = ?", (name,)
            ).fetchone()
            if row and row[0] != asked:
                raise ApiError("This key was used with other parameters.", "idempotency_error")
            if row:
                return row[1], json.loads(row[2]), True
            status = 200
            try:
                self.faults.within(method)
                body = self._answer(method, path, Params(nested(pairs)))
            except (CardDeclined, Failed) as error:  # what the bank said stays written
                status, body = error.status, error.body()
            if name:
                store.db.execute(
                    "INSERT INTO replies VALUES (?, ?, ?, ?)",
                    (name, asked, status, json.dumps(body)),
                )
        return status, body, False

    def _answer(self, method: str, path: str, params: Params) -> Object:
        wanted = params.texts("expand")
        found = self._found(method, path.rstrip("/"), params)
        params.done()
        for one in wanted:
            reading.expand(self.sandbox, found, one.split("."))
        return found

    def _found(self, method: str, path: str, params: Params) -> Object:
        if method == "GET" and path in reading.KINDS:
            return reading.listed(self.sandbox, path, params)
        parent, _, object_id = path.rpartition("/")
        if method == "GET" and parent in reading.KINDS:
            return reading.retrieved(self.sandbox, reading.KINDS[parent], object_id)
        if known := calls.find(method, path):
            call, object_id = known
            return shown(call(self.sandbox, params, object_id))
        raise ApiError(f"Unrecognized request URL ({method}: /v1/{path[:80]}).", status=404)


async def _pairs(request: web.Request) -> list[tuple[str, str]]:
    """The parameters: in the body, or in the address where there is none."""
    text = (await request.read()).decode() or request.query_string
    return parse_qsl(text, keep_blank_values=True)
