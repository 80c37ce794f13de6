"""POST /v1/chat/completions: an exact answer, or the misbehaviour that the script asks for."""

import asyncio
from dataclasses import dataclass
from typing import Any

import orjson

from tests.upstream import answers
from tests.upstream.calls import Call, CallLog
from tests.upstream.script import Script, ScriptError, parse_marker
from tests.upstream.tokens import completion_parts, completion_words, count_prompt
from tests.upstream.wire import (
    EVENT_STREAM,
    JSON,
    LAST_CHUNK,
    Connection,
    chunk,
    status_line,
)

GARBAGE = b"<html>this is not the JSON you are looking for"


class Gates:
    """Named gates that scripts wait at until the control API opens them."""

    def __init__(self) -> None:
        self._events: dict[str, asyncio.Event] = {}

    def __getitem__(self, name: str) -> asyncio.Event:
        return self._events.setdefault(name, asyncio.Event())

    def reset(self) -> None:
        """Open every gate to whoever waits there, and forget them."""
        for gate in self._events.values():
            gate.set()
        self._events.clear()


@dataclass(frozen=True, slots=True)
class Exchange:
    """One chat request with everything needed to answer it."""

    connection: Connection
    script: Script
    call: Call
    fault: str
    length: int
    """Completion tokens of each choice."""
    finish: str

    @property
    def full_usage(self) -> dict[str, int]:
        """Usage of the whole answer."""
        return answers.usage(self.call.prompt_tokens, self.length * self.call.choices)


class Chat:
    """Answers chat requests and records each one."""

    def __init__(self, log: CallLog, gates: Gates) -> None:
        self._log = log
        self._gates = gates
        self.default = Script()

    def handle(self, key: str, body: bytes, connection: Connection) -> None:
        """Answer one request, at once if its script needs no waiting."""
        try:
            exchange = self._open(key, body, connection)
        except (
            ScriptError,
            orjson.JSONDecodeError,
            KeyError,
            TypeError,
            AttributeError,
        ) as error:
            text = f"{type(error).__name__}: {error}"
            connection.respond(400, orjson.dumps(answers.error(400, text)))
            return
        script = exchange.script
        if exchange.fault or exchange.call.stream or script.first or script.hold:
            connection.run(self._perform(exchange))
        else:
            self._log.close(exchange.call, self._unary(exchange))

    def _open(self, key: str, body: bytes, connection: Connection) -> Exchange:
        request: dict[str, Any] = orjson.loads(body)
        messages = request["messages"]
        script = parse_marker(_last_text(messages), self.default)
        maximum = request.get("max_completion_tokens") or request.get("max_tokens")
        if maximum is not None and (not isinstance(maximum, int) or maximum < 1):
            raise ScriptError(f"The completion's maximum is {maximum!r}.")
        length = script.tokens if maximum is None else min(maximum, script.tokens)
        call = self._log.open(
            id=script.id,
            account=script.account or key,
            key=key[-4:],
            model=request["model"],
            stream=bool(request.get("stream")),
            include_usage=bool((request.get("stream_options") or {}).get("include_usage")),
            maximum=maximum,
            choices=request.get("n") or 1,
            user=request.get("user"),
            fields=sorted(request),
            prompt_tokens=count_prompt(messages),
        )
        spared = script.times and self._log.strike(script.id) > script.times
        return Exchange(
            connection=connection,
            script=script,
            call=call,
            fault="" if spared else script.fault,
            length=length,
            finish=_finish(script, length),
        )

    async def _perform(self, exchange: Exchange) -> None:
        """Answer with waiting in between. The client's hang-up arrives as cancellation."""
        outcome = "disconnected"
        try:
            if exchange.script.hold:
                await self._gates[exchange.script.hold].wait()
            if exchange.script.first:
                await asyncio.sleep(exchange.script.first)
            outcome = await self._play(exchange)
        except asyncio.CancelledError:
            # Only a lost connection cancels; that is the outcome, not an error of the double.
            pass
        finally:
            self._log.close(exchange.call, outcome)

    async def _play(self, exchange: Exchange) -> str:
        """Answer, and give the outcome for the record."""
        fault = exchange.fault
        if fault == "timeout":
            await asyncio.Event().wait()
        if fault == "reset":
            exchange.connection.transport.abort()
            return "failed:reset"
        if fault.isdigit():
            return _refuse(exchange, int(fault))
        if fault == "slow-headers":
            exchange.connection.transport.write(status_line(200))
            await asyncio.sleep(exchange.script.gap)
        if exchange.call.stream:
            return await self._stream(exchange)
        return self._unary(exchange)

    def _unary(self, exchange: Exchange) -> str:
        fault, call, connection = exchange.fault, exchange.call, exchange.connection
        if fault == "garbage":
            connection.respond(200, GARBAGE)
            return "failed:garbage"
        if fault == "error-event":
            return _refuse(exchange, 500)
        answer = answers.completion(
            sequence=call.sequence,
            model=call.model,
            content="".join(completion_words(exchange.length, exchange.script.vocabulary)),
            choices=call.choices,
            finish=exchange.finish,
            usage=exchange.full_usage,
            tool=exchange.script.tool,
        )
        if fault == "no-usage":
            del answer["usage"]
        body = orjson.dumps(answer)
        kind = b"text/html" if fault == "content-type" else JSON
        head = b"content-type: %b\r\ncontent-length: %d\r\n\r\n" % (kind, len(body))
        if fault != "slow-headers":
            head = status_line(200) + head
        if fault == "cut":
            connection.transport.write(head + body[: len(body) // 2])
            connection.transport.close()
            return "cut"
        connection.transport.write(head + body)
        call.completion_tokens = exchange.length * call.choices
        return "completed"

    async def _stream(self, exchange: Exchange) -> str:
        call, script, fault = exchange.call, exchange.script, exchange.fault
        transport = exchange.connection.transport
        writer = answers.ChunkWriter(
            sequence=call.sequence,
            model=call.model,
            choices=call.choices,
            include_usage=call.include_usage,
        )
        kind = b"text/html" if fault == "content-type" else EVENT_STREAM
        head = b"content-type: %b\r\ntransfer-encoding: chunked\r\n\r\n" % kind
        transport.write(head if fault == "slow-headers" else status_line(200) + head)
        await _send(exchange, writer.delta({"role": "assistant", "content": ""}))
        parts = completion_parts(
            exchange.length, script.chunks or exchange.length, script.vocabulary
        )
        if script.tool:
            for delta in answers.tool_deltas(script.tool):
                await _send(exchange, writer.delta(delta))
            call.completion_tokens, parts = exchange.length * call.choices, ()
        for position, (text, tokens) in enumerate(parts):
            if position == script.stall:
                await asyncio.Event().wait()
            if position == script.after and fault in ("cut", "error-event", "garbage"):
                return await _break_off(exchange)
            if position and script.gap:
                await asyncio.sleep(script.gap)
            await _send(exchange, writer.delta({"content": text}))
            call.completion_tokens += tokens * call.choices
        if script.stall >= len(parts):
            await asyncio.Event().wait()
        if fault in ("cut", "error-event", "garbage"):
            return await _break_off(exchange)
        ending = writer.delta({}, exchange.finish)
        if call.include_usage and fault != "no-usage":
            ending += writer.totals(exchange.full_usage)
        await _send(exchange, ending + b"data: [DONE]\n\n")
        transport.write(LAST_CHUNK)
        return "completed"


def _finish(script: Script, length: int) -> str:
    if script.tool:
        return "tool_calls"
    return "stop" if length == script.tokens else "length"


def _last_text(messages: list[dict[str, Any]]) -> str:
    content = messages[-1].get("content")
    if isinstance(content, list):
        return " ".join(str(part.get("text", "")) for part in content)
    return str(content)


def _refuse(exchange: Exchange, status: int) -> str:
    extra = b"retry-after: %d\r\n" % exchange.script.retry_after if status == 429 else b""
    body = answers.error(status, f"The double was told to fail with {status}.")
    exchange.connection.respond(status, orjson.dumps(body), extra=extra)
    return f"failed:{status}"


async def _break_off(exchange: Exchange) -> str:
    """End a stream in the middle, in the way of its fault."""
    transport = exchange.connection.transport
    if exchange.fault == "cut":
        transport.close()
        return "cut"
    if exchange.fault == "garbage":
        await _send(exchange, b"data: " + GARBAGE + b"\n\ndata: [DONE]\n\n")
    else:
        body = answers.error(500, "The double was told to fail in the middle.")
        await _send(exchange, answers.event(body))
    transport.write(LAST_CHUNK)
    return f"failed:{exchange.fault}"


async def _send(exchange: Exchange, payload: bytes) -> None:
    """Write events, whole or in pieces that arrive apart."""
    transport, size = exchange.connection.transport, exchange.script.split
    framed = chunk(payload)
    if not size:
        transport.write(framed)
        return
    for start in range(0, len(framed), size):
        transport.write(framed[start : start + size])
        # Long enough for the other side to read what it has, so the pieces stay apart.
        await asyncio.sleep(0.001)
