"""The demo model's server: the OpenAI wire, on loopback, within its means."""

import http.client
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from scalix.embedded.demo_model import CONTEXT_TOKENS, installed_model, threads_for
from scalix.embedded.errors import EmbeddedError
from scalix.embedded.port import demo_model_port
from tests.embedded.waiting import eventually

INSTALLED = Path(__file__).resolve().parents[2] / "var" / "models"
HELLO = {"messages": [{"role": "user", "content": "Say hello."}], "max_tokens": 8}


class Server:
    """The running server, asked over HTTP."""

    def __init__(self, process: "subprocess.Popen[bytes]", port: int) -> None:
        self.process = process
        self.port = port

    def send(self, body: dict[str, Any]) -> tuple[http.client.HTTPConnection, Any]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        connection.request("POST", "/v1/chat/completions", json.dumps(body))
        return connection, connection.getresponse()

    def ask(self, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        connection, response = self.send(body)
        answer: dict[str, Any] = json.loads(response.read())
        connection.close()
        return response.status, answer

    def cpu_ticks(self) -> int:
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return int(fields[11]) + int(fields[12])


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    try:
        model = installed_model([INSTALLED])
    except EmbeddedError as error:
        pytest.skip(str(error))
    port = demo_model_port(Path(f"/tests/{os.getpid()}"))
    said, says = os.pipe()
    command = [sys.executable, "-m", "scalix.embedded.demo_model", "--port", str(port)]
    with subprocess.Popen(
        [*command, "--model", str(model), "--ready-fd", str(says)], pass_fds=(says,)
    ) as process:
        os.close(says)
        assert os.read(said, 16) == b"ready\n", "it ended before it was ready"
        os.close(said)
        yield Server(process, port)
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=20) == 0


def test_it_knows_the_capital_of_france(server: Server) -> None:
    question = {"role": "user", "content": "What is the capital of France?"}
    status, answer = server.ask({"messages": [question], "max_tokens": 20, "temperature": 0})
    assert status == 200
    assert "Paris" in answer["choices"][0]["message"]["content"]
    assert answer["usage"]["prompt_tokens"] > 0


def test_it_streams_with_usage_at_the_end(server: Server) -> None:
    connection, response = server.send(
        {**HELLO, "stream": True, "stream_options": {"include_usage": True}}
    )
    events = [line[6:] for line in response.read().decode().split("\n\n") if line]
    connection.close()
    assert events[-1] == "[DONE]"
    chunks = [json.loads(event) for event in events[:-1]]
    assert chunks[-1]["choices"] == []
    assert chunks[-1]["usage"]["completion_tokens"] <= 8
    assert len({chunk["id"] for chunk in chunks}) == 1


def test_a_prompt_that_doesnt_fit_is_refused_at_once_with_its_length(server: Server) -> None:
    status, answer = server.ask({"messages": [{"role": "user", "content": "word " * 5000}]})
    assert status == 400
    assert answer["error"]["type"] == "exceed_context_size_error"
    assert answer["error"]["n_ctx"] == CONTEXT_TOKENS
    assert answer["error"]["n_prompt_tokens"] > 5000


def test_it_stops_writing_when_the_client_hangs_up(server: Server) -> None:
    connection, response = server.send(
        {**HELLO, "max_tokens": 3000, "ignore_eos": True, "stream": True}
    )
    assert response.read(100)
    response.close()
    connection.close()

    def idle() -> bool:
        before = server.cpu_ticks()
        server.ask({**HELLO, "max_tokens": 1})
        return server.cpu_ticks() - before < 20

    eventually(idle, "the abandoned answer to be dropped")


def test_one_visitor_cannot_see_anothers_prompt(server: Server) -> None:
    server.ask({**HELLO, "messages": [{"role": "user", "content": "My secret is xyzzy."}]})
    connection = http.client.HTTPConnection("127.0.0.1", server.port)
    for path in ("/slots", "/metrics", "/props", "/v1/models"):
        connection.request("GET", path)
        assert b"xyzzy" not in connection.getresponse().read(), path
    connection.close()


def test_a_core_is_left_for_the_web() -> None:
    assert [threads_for(cores) for cores in (1, 2, 4, 64)] == [1, 1, 3, 4]


def test_a_model_that_isnt_installed_is_asked_for(tmp_path: Path) -> None:
    with pytest.raises(EmbeddedError, match="make install"):
        installed_model([tmp_path])
