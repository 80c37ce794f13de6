"""Whatever measures can be started: who measures once a month must not find it broken."""

import asyncio
import subprocess
import sys
from pathlib import Path

import httpx

from bench.load import Target, stream_load, unary_load
from bench.servers import running_anthropic, running_passthrough
from tests.upstream.double import UpstreamDouble
from tests.upstream.script import marker

ROOT = Path(__file__).resolve().parents[2]

EXPLAIN_ALL = """
import runpy, sys
for module in sys.argv[1:]:
    sys.argv = [module, "--help"]
    try:
        runpy.run_module(module, run_name="__main__", alter_sys=True)
    except SystemExit as end:
        assert not end.code, module
    else:
        raise AssertionError(f"{module} does not heed --help")
"""


def _programs() -> list[str]:
    """Those that explain themselves; the others are started by them."""
    texts = {path: path.read_text() for path in sorted((ROOT / "bench").rglob("*.py"))}
    paths = [path for path, text in texts.items() if "ArgumentParser(prog=" in text]
    names = (".".join(path.relative_to(ROOT).with_suffix("").parts) for path in paths)
    return [name.removesuffix(".__main__") for name in names]


def test_each_of_them_explains_itself() -> None:
    programs = _programs()

    assert {"bench", "bench.chaos", "bench.passthrough"} <= set(programs)
    subprocess.run([sys.executable, "-c", EXPLAIN_ALL, *programs], cwd=ROOT, check=True)


def test_the_yardstick_passes_answers_and_streams_through(double: UpstreamDouble) -> None:
    with running_passthrough(double) as yardstick:
        asyncio.run(_ask(yardstick.target))


def test_the_stand_in_on_anthropics_wire_answers() -> None:
    asked = {"model": "claude", "messages": [{"role": "user", "content": marker(tokens=3)}]}
    with running_anthropic() as base_url:
        answer = httpx.post(f"{base_url}/v1/messages", json=asked)

    assert (answer.status_code, answer.json()["usage"]["output_tokens"]) == (200, 3)


async def _ask(target: Target) -> None:
    whole = await unary_load(target, connections=1, requests=2, latency=0, connected=list)
    streams = await stream_load(target, streams=2, chunks=3, gap=0, connected=list)
    assert (whole.requests, streams.requests) == (2, 2)
