"""An upstream on Anthropic's wire: what is translated costs as much more as it does here.

It obeys the same marks in the last message as the test double, as far as the benchmark uses them:
`first`, `tokens`, `chunks`, `gap`.  `python -m bench.anthropic_upstream` prints its address as one
line of JSON.
"""

import asyncio
import json
import socket
from typing import Any, Final

import uvloop
from aiohttp import web

from tests.providers.anthropic_wire import AnthropicWire
from tests.providers.standin import Say
from tests.upstream.script import Script, parse_marker

_WIRE: Final = AnthropicWire()
_WORD: Final = "river "


async def answer(request: web.Request) -> web.StreamResponse:
    """One call."""
    body = await request.json()
    script = parse_marker(_text_of(body["messages"][-1]["content"]), Script())
    say = Say(
        pieces=(_WORD,) * (script.chunks or script.tokens),
        prompt_tokens=20,
        completion_tokens=script.tokens,
    )
    await asyncio.sleep(script.first)
    if not body.get("stream"):
        return web.json_response(_WIRE.whole(say))
    response = web.StreamResponse(headers={"content-type": "text/event-stream"})
    await response.prepare(request)
    for event in _WIRE.events(say):
        if script.gap and b"text_delta" in event:
            await asyncio.sleep(script.gap)
        await response.write(event)
    return response


def _text_of(content: Any) -> str:
    return content if isinstance(content, str) else "".join(one["text"] for one in content)


async def serve() -> None:
    """Listens on a free port of the loopback interface until SIGTERM."""
    application = web.Application()
    application.router.add_post("/v1/messages", answer)
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    listening = socket.create_server(("127.0.0.1", 0), backlog=2048)
    await web.SockSite(runner, listening).start()
    port = listening.getsockname()[1]
    print(json.dumps({"base_url": f"http://127.0.0.1:{port}"}), flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(serve())
