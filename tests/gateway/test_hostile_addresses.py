"""No base URL of staff's, in whatever form, makes a connection to a private address."""

import asyncio
import socket
import threading
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager, closing, suppress
from dataclasses import dataclass, field
from typing import Any

import pytest
import uvloop

from gateway.errors import ProviderFailure, ProviderUnavailable
from gateway.providers.client import Providers
from gateway.providers.reachability import PrivateHost, Reachability
from tests.gateway.cast import target
from tests.gateway.provider import chunks, request

OPENAI_WIRE, TRANSLATED, LITELLM = "openai", "gemini", "cohere_chat"
ALL_WAYS = (OPENAI_WIRE, TRANSLATED, LITELLM)

# At {port} a listener counts, on both loopback addresses.  What these mean is a private address,
# at a client's first glance or only at the resolver's.
LEADING_TO_A_PRIVATE_ADDRESS = [
    "http://127.0.0.1:{port}/v1",
    "HTTP://127.0.0.1:{port}/v1",
    "https://127.0.0.1:{port}/v1",
    "http://127.0.0.1:{port}#@api.openai.com/",
    "http://localhost:{port}/v1",
    "http://LOCALHOST:{port}/v1",
    "http://[::1]:{port}/v1",
    "http://[::ffff:127.0.0.1]:{port}/v1",
    "http://[::ffff:7f00:1]:{port}/v1",
    "http://[0:0:0:0:0:FFFF:127.0.0.1]:{port}/v1",
    "http://[::127.0.0.1]:{port}/v1",
    "http://[64:ff9b::127.0.0.1]:{port}/v1",
    "http://[2002:7f00:1::]:{port}/v1",
    "http://0.0.0.0:{port}/v1",
    "http://[::]:{port}/v1",
    "http://127.8.8.8:{port}/v1",
    "http://10.0.0.1/v1",
    "http://100.100.100.200/v1",
    "http://169.254.169.254/latest/meta-data",
    "http://[fd00:ec2::254]/latest/meta-data",
    "http://168.63.129.16/v1",
    "http://224.0.0.1/v1",
    "http://255.255.255.255/v1",
]
# These are no addresses at all for one client or the other; for some client each is loopback.
OF_DOUBTFUL_FORM = [
    "http://localhost.:{port}/v1",
    "http://2130706433:{port}/v1",
    "http://0x7f000001:{port}/v1",
    "http://0x7F.0.0.1:{port}/v1",
    "http://0177.0.0.1:{port}/v1",
    "http://017700000001:{port}/v1",
    "http://127.1:{port}/v1",
    "http://127.0.1:{port}/v1",
    "http://127.0.0.1.:{port}/v1",
    "http://0:{port}/v1",
    "http://%31%32%37.0.0.1:{port}/v1",
    "http://[::1%25lo]:{port}/v1",
    "http://[fe80::1%25lo]:{port}/v1",
    "http://user:password@127.0.0.1:{port}/v1",
    "http://api.openai.com@127.0.0.1:{port}/v1",
    "http://api.openai.com:80@127.0.0.1:{port}/v1",
    "http://127.0.0.1:{port}\\@api.openai.com/v1",
    "http://①②⑦.⓪.⓪.①:{port}/v1",
    "http://127。0。0。1:{port}/v1",
    "http://ⓛⓞⓒⓐⓛⓗⓞⓢⓣ:{port}/v1",
    "http://127.0.0.1:{port} /v1",
    "http://\t127.0.0.1:{port}/v1",
    "http://127.0.0.1:99999/v1",
    "http:///v1",
    "http://",
    "//127.0.0.1:{port}/v1",
    "127.0.0.1:{port}/v1",
    "ftp://127.0.0.1:{port}/v1",
    "gopher://127.0.0.1:{port}/v1",
    "file:///etc/passwd",
    "unix:///var/run/docker.sock",
    "http+unix://%2Fvar%2Frun%2Fdocker.sock/v1",
    "ws://127.0.0.1:{port}/v1",
    "data:,",
]

# litellm calls a name that no resolver knows a failure of the provider's.
REFUSALS = {"provider_misconfigured", "provider_unreachable", "provider_500"}

# All that litellm calls by itself at an address that it is given, with the packages we install.
BY_LITELLM = [
    *("a2a", "aiml", "anthropic", "anthropic_text", "azure", "azure_ai", "azure_text", "cohere"),
    *("cohere_chat", "datarobot", "gemini", "langflow", "langgraph", "lemonade", "nlp_cloud"),
    *("ollama", "ollama_chat", "petals", "sagemaker", "text-completion-codestral"),
    *("text-completion-inception", "text-completion-openai", "xinference"),
]


@dataclass
class Listener:
    """Counts who connects to it, by the address that they came to, and answers as it is told."""

    port: int
    answer: bytes = b"HTTP/1.1 500 No\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
    reached: list[str] = field(default_factory=list)
    sockets: list[socket.socket] = field(default_factory=list)

    def listen(self, family: int, host: str) -> None:
        listening = socket.socket(family, socket.SOCK_STREAM)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((host, self.port))
        listening.listen()
        self.port = listening.getsockname()[1]
        self.sockets.append(listening)
        threading.Thread(target=self._serve, args=(listening, host), daemon=True).start()

    def _serve(self, listening: socket.socket, host: str) -> None:
        with suppress(OSError):
            while True:
                connection, _ = listening.accept()
                self.reached.append(host)
                with closing(connection), suppress(OSError):
                    connection.recv(65_536)
                    connection.sendall(self.answer)

    def stop(self) -> None:
        for listening in self.sockets:
            listening.shutdown(socket.SHUT_RDWR)
            listening.close()


@pytest.fixture
def listener() -> Iterator[Listener]:
    listener = Listener(0)
    listener.listen(socket.AF_INET, "127.0.0.1")
    listener.listen(socket.AF_INET, "127.0.0.2")
    if socket.has_ipv6:
        with suppress(OSError):  # the machine may have none at work
            listener.listen(socket.AF_INET6, "::1")
    yield listener
    listener.stop()


@pytest.fixture(params=[asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])
def loop(request: pytest.FixtureRequest) -> Callable[[], asyncio.AbstractEventLoop]:
    """Web processes run uvloop's, workers Python's own: they connect by different code."""
    factory: Callable[[], asyncio.AbstractEventLoop] = request.param
    return factory


Resolve = Callable[[str], list[str]]


@pytest.fixture
def resolver(monkeypatch: pytest.MonkeyPatch) -> Callable[[Resolve], None]:
    """Lets names lead where a test says, and nothing ask for any other."""
    real = socket.getaddrinfo

    def use(resolve: Resolve) -> None:
        def answer(host: Any, port: Any, *rest: Any, **more: Any) -> Any:
            name = host.decode() if isinstance(host, bytes) else host
            try:
                addresses = resolve(name)
            except KeyError:
                more["flags"] = socket.AI_NUMERICHOST
                return real(host, port, **more)
            return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (one, port)) for one in addresses]

        monkeypatch.setattr(socket, "getaddrinfo", answer)

    use(lambda name: {}[name])
    return use


@asynccontextmanager
async def opened(*allowed: str) -> AsyncIterator[Providers]:
    hosts = [host for entry in allowed for host in PrivateHost.read(entry)]
    providers = Providers(connect=2, silence=2, reachability=Reachability(hosts))
    await providers.open()
    try:
        yield providers
    finally:
        await providers.close()


async def outcome(providers: Providers, url: str, provider: str, *, stream: bool = False) -> str:
    """The code of what went wrong, or "answered"."""
    deployment = target("hostile", base_url=url, provider=provider)
    try:
        if stream:
            await chunks(providers, deployment)
        else:
            await providers.complete(deployment, request())
    except ProviderFailure as failure:
        return failure.code
    return "answered"


def run(work: Coroutine[Any, Any, Any], loop: Any = asyncio.new_event_loop) -> Any:
    with asyncio.Runner(loop_factory=loop) as runner:
        return runner.run(work)


@pytest.mark.parametrize("stream", [False, True], ids=["unary", "stream"])
@pytest.mark.parametrize("way", ALL_WAYS)
def test_no_hostile_address_is_connected_to(
    listener: Listener, loop: Any, way: str, stream: bool
) -> None:
    async def all_of_them() -> dict[str, str]:
        async with opened() as providers:
            return {
                url: await outcome(providers, url.format(port=listener.port), way, stream=stream)
                for url in LEADING_TO_A_PRIVATE_ADDRESS + OF_DOUBTFUL_FORM
            }

    outcomes = run(all_of_them(), loop)

    assert listener.reached == []
    assert {url: outcomes[url] for url in LEADING_TO_A_PRIVATE_ADDRESS} == dict.fromkeys(
        LEADING_TO_A_PRIVATE_ADDRESS, "provider_misconfigured"
    )
    assert set(outcomes.values()) <= REFUSALS


@pytest.mark.parametrize("stream", [False, True], ids=["unary", "stream"])
def test_whatever_library_litellm_takes_for_a_provider(
    listener: Listener, loop: Any, resolver: object, stream: bool
) -> None:
    async def all_of_them() -> None:
        async with opened() as providers:
            for provider in BY_LITELLM:
                url = f"http://127.0.0.1:{listener.port}/v1"
                await outcome(providers, url, provider, stream=stream)

    run(all_of_them(), loop)

    assert listener.reached == []


@pytest.mark.parametrize("way", ALL_WAYS)
def test_what_is_allowed_is_called(listener: Listener, loop: Any, way: str) -> None:
    async def call() -> list[str]:
        async with opened(f"127.0.0.1:{listener.port}") as providers:
            url = f"http://{{}}:{listener.port}/v1"
            return [
                await outcome(providers, url.format(host), way)
                for host in ("127.0.0.1", "127.0.0.2")
            ]

    assert run(call(), loop) == ["provider_500", "provider_misconfigured"]
    assert set(listener.reached) == {"127.0.0.1"}


@pytest.mark.parametrize("way", ALL_WAYS)
def test_a_name_that_leads_elsewhere_the_second_time_is_not_followed_there(
    listener: Listener, resolver: Callable[[Resolve], None], way: str
) -> None:
    lookups: list[str] = []

    def first_here_then_there(name: str) -> list[str]:
        if name != "rebound.example":
            raise KeyError(name)
        lookups.append(name)
        return ["127.0.0.1" if len(lookups) % 2 else "127.0.0.2"]

    async def call() -> str:
        async with opened("127.0.0.1") as providers:
            return await outcome(providers, f"http://rebound.example:{listener.port}/v1", way)

    resolver(first_here_then_there)
    outcomes = [run(call()) for _ in range(6)]  # each with connections and look-ups of its own

    assert set(outcomes) <= {"provider_500", "provider_misconfigured"}
    assert len(lookups) >= 6
    assert set(listener.reached) == {"127.0.0.1"}


@pytest.mark.parametrize("way", ALL_WAYS)
def test_of_several_addresses_the_private_ones_are_left_out(
    listener: Listener, resolver: Callable[[Resolve], None], way: str
) -> None:
    resolver(lambda name: {"several.example": ["127.0.0.2", "127.0.0.1"]}[name])

    async def call() -> str:
        async with opened("127.0.0.1") as providers:
            return await outcome(providers, f"http://several.example:{listener.port}/v1", way)

    assert run(call()) == "provider_500"
    assert set(listener.reached) == {"127.0.0.1"}


@pytest.mark.parametrize("way", ALL_WAYS)
def test_a_name_that_is_allowed_leads_into_ones_own_network(
    listener: Listener, resolver: Callable[[Resolve], None], way: str
) -> None:
    leads_to = {"models.internal": ["127.0.0.1"], "metadata.internal": ["169.254.169.254"]}
    resolver(lambda name: leads_to[name])

    async def call(name: str) -> str:
        async with opened("models.internal", "metadata.internal") as providers:
            return await outcome(providers, f"http://{name}:{listener.port}/v1", way)

    assert run(call("models.internal")) == "provider_500"
    assert run(call("metadata.internal")) == "provider_misconfigured"


@pytest.mark.parametrize("stream", [False, True], ids=["unary", "stream"])
@pytest.mark.parametrize("way", ALL_WAYS)
def test_a_redirect_leads_to_no_private_address(
    listener: Listener, loop: Any, way: str, stream: bool
) -> None:
    listener.answer = (
        f"HTTP/1.1 307 Elsewhere\r\nLocation: http://127.0.0.2:{listener.port}/v1\r\n"
        "Connection: close\r\nContent-Length: 0\r\n\r\n"
    ).encode()

    async def call() -> str:
        async with opened("127.0.0.1") as providers:
            url = f"http://127.0.0.1:{listener.port}/v1"
            return await outcome(providers, url, way, stream=stream)

    assert run(call(), loop) == ("provider_misconfigured" if way == LITELLM else "provider_307")
    assert set(listener.reached) == {"127.0.0.1"}


async def test_nothing_is_checked_between_two_pieces_of_a_stream(listener: Listener) -> None:
    """Whoever reads the stream connects to our own stores, and no policy is meant for them."""
    listener.answer = (
        b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n"
        b'data: {"choices": [{"index": 0, "delta": {"content": "Hi"}}]}\n\ndata: [DONE]\n\n'
    )
    async with opened("127.0.0.1") as providers:
        deployment = target("one", base_url=f"http://127.0.0.1:{listener.port}/v1")
        async for _ in providers.stream(deployment, request(stream=True)):
            reader, writer = await asyncio.open_connection("127.0.0.2", listener.port)
            writer.write(b"anything")
            await reader.read()
            writer.close()
    assert listener.reached == ["127.0.0.1", "127.0.0.2"]


async def test_the_log_names_deployment_address_and_setting(
    listener: Listener, caplog: pytest.LogCaptureFixture
) -> None:
    async with opened() as providers:
        deployment = target("theirs", base_url=f"http://localhost:{listener.port}/v1")
        with pytest.raises(ProviderUnavailable) as failure:
            await providers.complete(deployment, request())
    assert str(listener.port) not in failure.value.message
    assert "theirs may not be called at ('127.0.0.1'" in caplog.text
    assert "PROVIDER_PRIVATE_HOSTS" in caplog.text
