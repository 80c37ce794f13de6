"""The benchmark as a whole, in small, against the session's running product."""

import asyncio

from bench.ledger import Ledger
from bench.load import Target
from bench.measure import Server
from bench.report import as_json, table
from bench.rounds import measure_all, requests_of
from tests.gateway_server import GatewayServer

EMAILS = [f"bench-{number}@example.com" for number in range(8)]


def test_each_request_of_the_benchmark_is_served_measured_and_in_the_ledger(
    gateway_server: GatewayServer,
) -> None:
    product = gateway_server.product
    [postgres], [valkey] = product.pids("postgres"), product.pids("valkey")
    tokens = [gateway_server.issue_token("pro", email) for email in EMAILS]
    server = Server(
        "product",
        Target(product.base_url, "scalix-free", tokens),
        gateway_server.web_pids(),
        {"Postgres": postgres, "Valkey": valkey},
    )

    rounds = asyncio.run(measure_all([server], 1, 100))

    rows = Ledger(product.dsn).rows(EMAILS)
    assert {(row.status, row.charged) for row in rows} == {("settled", True)}
    assert len(rows) == requests_of(1, 100)
    shown = as_json(rounds)["servers"]["product"]["figures"]
    assert shown["CPU ms, unary"]["median"] > 0
    assert shown["CPU ms of Postgres, unary"]["median"] >= 0
    assert "CPU ms, stream chunk" in table(rounds)
