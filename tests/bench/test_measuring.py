"""The benchmark counts every request and all the CPU time, and refuses to count refusals."""

import asyncio
import os
import subprocess
import sys
import time

import pytest

from bench.cpu import descendants, family_seconds, own_seconds, pin, read_stat
from bench.load import LoadError, Target, stream_load, unary_load
from bench.measure import Meter, Server, StreamRound, UnaryRound, measure_unary
from bench.report import Figure, as_json, checks, table
from bench.rounds import Rounds
from tests.upstream.double import UpstreamDouble

BURN = "while sum(__import__('os').times()[:2]) < 0.2: pass"


def target_of(double: UpstreamDouble) -> Target:
    return Target(double.base_url, "double-small", ["sk-one", "sk-two"])


def test_burnt_cpu_time_is_seen_in_the_own_and_the_familys_figure() -> None:
    own, family = own_seconds(os.getpid()), family_seconds(os.getpid())
    subprocess.run([sys.executable, "-c", BURN], check=True)
    while time.process_time() < own + 0.1:
        pass

    assert own_seconds(os.getpid()) >= own + 0.05
    assert family_seconds(os.getpid()) >= family + 0.2


def test_a_process_knows_its_descendants() -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as child:
        found = {process.pid for process in descendants(os.getpid())}
        stat = read_stat(child.pid)
        child.communicate(b"\n")

    assert child.pid in found
    assert stat.parent == os.getpid()


def test_a_pinned_process_stays_on_its_core() -> None:
    core = min(os.sched_getaffinity(0))
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as child:
        pin(child.pid, core)
        cores = os.sched_getaffinity(child.pid)
        child.communicate(b"\n")

    assert cores == {core}


def test_the_unary_load_sends_exactly_as_many_as_asked(double: UpstreamDouble) -> None:
    double.reset()
    connected = []

    outcome = asyncio.run(
        unary_load(
            target_of(double),
            connections=7,
            requests=50,
            latency=0.001,
            connected=lambda: connected.append(double.received()),
        )
    )

    assert connected == [0]
    assert outcome.requests == double.received() == 50
    assert len(outcome.latencies) == 50
    assert outcome.latency_at(0) <= outcome.latency_at(0.5) <= outcome.latency_at(1)
    assert {call["key"] for call in double.log()} == {"-one", "-two"}


def test_the_stream_load_runs_side_by_side(double: UpstreamDouble) -> None:
    double.reset()

    outcome = asyncio.run(
        stream_load(target_of(double), streams=6, chunks=5, gap=0.01, connected=lambda: None)
    )

    assert outcome.requests == double.max_at_once() == 6
    assert [call["completion_tokens"] for call in double.log()] == [5] * 6


def test_a_refusal_stops_the_measurement(double: UpstreamDouble) -> None:
    double.reset()
    guarded = Target(double.base_url.replace("/v1", "/wrong"), "double-small", ["sk-one"])
    loads = [
        unary_load(guarded, connections=1, requests=1, latency=0, connected=lambda: None),
        stream_load(guarded, streams=1, chunks=1, gap=0, connected=lambda: None),
    ]

    for load in loads:
        with pytest.raises(ExceptionGroup) as raised:
            asyncio.run(load)
        assert raised.group_contains(LoadError, match="404")


def test_a_round_is_measured_in_milliseconds_a_request(double: UpstreamDouble) -> None:
    server = Server(
        "double", target_of(double), [double.process.pid], {"itself": double.process.pid}
    )

    measured = asyncio.run(measure_unary(server, requests=400, latency=0))

    assert measured.cpu == measured.beside["itself"]
    assert measured.p50 <= measured.p99


def test_a_meter_counts_from_its_start(double: UpstreamDouble) -> None:
    meter = Meter(Server("double", target_of(double), [double.process.pid]))
    meter.start()

    assert meter.spent() == {"web": pytest.approx(0, abs=0.02)}


def rounds(cpu: float, chunk: float, p99: float) -> Rounds:
    unary = [UnaryRound(cpu + step, {"Postgres": 0.2}, 10, p99, 900) for step in (-0.1, 0, 0.1)]
    return Rounds(unary, unary, [StreamRound(chunk, 1.0)] * 3)


def test_a_figure_is_the_median_with_its_spread() -> None:
    assert Figure.of([3, 1, 2]) == Figure(2, 1, 3)


def test_the_table_shows_both_servers_and_every_target() -> None:
    shown = table({"product": rounds(1.2, 0.05, 30), "pass-through": rounds(0.1, 0.01, 20)})

    assert "1.200 (1.100 to 1.300)" in shown
    assert "0.100 (0.000 to 0.200)" in shown
    assert "CPU ms, unary: 1.200, target at most 1.5: met" in shown
    assert "p99 / p50, unary: 3.000, target at most 4: met" in shown
    assert "MISSED" not in shown


def test_a_cost_is_told_in_multiples_of_the_pass_through_s_in_the_same_round() -> None:
    product, passing = rounds(1.2, 0.05, 30), rounds(0.4, 0.01, 20)
    product.streams = [StreamRound(chunk, 1.0) for chunk in (0.04, 0.2, 0.06)]
    passing.streams = [StreamRound(chunk, 1.0) for chunk in (0.02, 0.1, 0.02)]
    servers = {"product": product, "pass-through": passing}

    found = {check.name: check.times for check in checks(servers)}
    assert found["CPU ms, stream chunk"] == Figure(2.0, 2.0, pytest.approx(3.0))
    assert "CPU ms, stream chunk: 0.060 (2.0 times the pass-through), target" in table(servers)
    assert checks({"product": product})[0].times is None


@pytest.mark.parametrize(
    ("product", "missed"),
    [
        (rounds(1.6, 0.05, 30), ["CPU ms, unary"]),
        (rounds(1.0, 0.09, 30), ["CPU ms, stream chunk"]),
        (rounds(1.0, 0.05, 41), ["p99 / p50, unary", "p99 / p50, instant unary"]),
    ],
)
def test_a_missed_target_is_named(product: Rounds, missed: list[str]) -> None:
    assert [check.name for check in checks({"product": product}) if not check.met] == missed
    assert table({"product": product}).count("MISSED") == len(missed)
    verdicts = as_json({"product": product})["checks"]
    assert [check["name"] for check in verdicts if not check["met"]] == missed


@pytest.mark.parametrize(
    ("translated", "missed"),
    [
        (rounds(1.3, 0.14, 30), []),
        (rounds(1.5, 0.14, 30), ["CPU ms, unary, translated beyond passed through"]),
        (rounds(1.3, 0.16, 30), ["CPU ms, stream chunk, translated"]),
    ],
)
def test_translation_is_held_against_what_passing_through_costs(
    translated: Rounds, missed: list[str]
) -> None:
    servers = {"product": rounds(1.0, 0.05, 30), "translated": translated}
    assert [check.name for check in checks(servers) if not check.met] == missed
