"""Every fault of the table: what is done, to what kind of product, how often."""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final, Literal

import uvloop

from tests.faults import more_scripts, scripts, sites
from tests.faults.strike import Scale, Script, strike
from tests.faults.verdict import Verdict, in_windows, note_rude_ends
from tests.gateway_server import GatewayServer

LEDGER: Final = {"REDIS_AWAY": "ledger"}


class NotHere(Exception):
    """This machine can't make that fault; the text says what is missing."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One line.  `rounds`: on how many new starts of the product the strikes are shared out.

    A part that keeps dying is started again ever later, which would be all that is measured.
    """

    name: str
    title: str
    script: Script
    rounds: int = 1
    times: int | None = None
    """How often it strikes in all, where it isn't the scale's to say."""
    settings: Mapping[str, str] = field(default_factory=dict)
    orderly: bool = False
    """Whether a stream must end by [DONE] or an error event, and no row be abandoned."""
    of_redis: bool = False
    """Whether it is worth a second line with REDIS_AWAY=ledger."""
    crosses: Literal["hour", "month"] | None = None
    """What ends on the product's clock."""
    fills_disk: bool = False


EVERY: Final = (
    Fault("kill-web", "kill -9 of web processes", scripts.kill("web"), rounds=2),
    Fault("kill-worker", "kill -9 of the worker", scripts.kill_worker, rounds=4),
    Fault("kill-postgres", "kill -9 of Postgres", scripts.kill("postgres"), rounds=2),
    Fault("kill-valkey", "kill -9 of Valkey", scripts.kill("valkey"), rounds=4, of_redis=True),
    Fault("flushall", "FLUSHALL", scripts.flush_counters, of_redis=True),
    Fault("freeze-valkey", "Valkey frozen", scripts.freeze("valkey"), of_redis=True),
    Fault("freeze-postgres", "Postgres frozen", scripts.freeze("postgres")),
    Fault("hour", "the clock crosses the hour", more_scripts.cross_the_hour, crosses="hour"),
    Fault("day", "the clock crosses the day", more_scripts.cross_the_hour, crosses="month"),
    Fault("disk", "disk full for Postgres", more_scripts.fill_the_disk, fills_disk=True),
    Fault("sigterm", "SIGTERM to web processes", more_scripts.stop_web_processes, orderly=True),
    Fault("stop", "Ctrl-C and a new start", more_scripts.stop_all, times=5, orderly=True),
    Fault(
        "silent",
        "an upstream that never answers",
        more_scripts.answer_nothing,
        settings=sites.IMPATIENT,
    ),
    Fault("hang-up", "clients that hang up", more_scripts.hang_up),
)


def prove(fault: Fault, scale: Scale, *, ledger_mode: bool = False, seed: int = 1) -> Verdict:
    """The verdict on a fault, on products of its own.  NotHere."""
    settings = {**fault.settings, **(LEDGER if ledger_mode else {})}
    times = fault.times or scale.times
    each = replace(scale, times=max(1, times // fault.rounds))
    if fault.crosses and sites.find_libfaketime() is None:
        raise NotHere("Debian's package libfaketime is not installed")
    if fault.fills_disk and not sites.may_mount():
        raise NotHere("only root may mount a file system")
    with sites.site(settings=settings, small_disk=fault.fills_disk) as site:
        ahead = sites.let_it_end_soon(site, fault.crosses) if fault.crosses else dt.timedelta()
        verdict = strike_once(site, fault, each, seed=seed, clock_ahead=ahead)
        for number in range(1, fault.rounds):
            site.product.stop()
            site.start_again()
            verdict.add(strike_once(site, fault, each, seed=seed + number))
    verdict.fault = fault.title + (" (ledger)" if ledger_mode else "")
    return verdict


def strike_once(
    site: GatewayServer,
    fault: Fault,
    scale: Scale,
    *,
    seed: int = 1,
    clock_ahead: dt.timedelta = dt.timedelta(),
) -> Verdict:
    """The verdict on one load and its strikes, on a product that runs."""
    struck = strike(
        site, fault.script, scale, name=f"{fault.name}-{seed}", seed=seed, clock_ahead=clock_ahead
    )
    verdict, books = uvloop.run(struck)
    if fault.orderly:
        note_rude_ends(verdict, books.sent, books.rows)
    if fault.crosses and len(in_windows(books.rows, "requests_per_hour")) < 2:
        raise RuntimeError("The load was all in one hour.")
    return verdict
