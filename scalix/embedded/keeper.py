"""Keep one part running: start it, tell when it is ready, start it again when it dies."""

import asyncio
import signal
from collections.abc import Callable, Coroutine
from typing import Any

from scalix.embedded.child import Child, Children
from scalix.embedded.errors import PartFailedError
from scalix.embedded.leash import leashed
from scalix.embedded.output import Console, PartLog, short
from scalix.embedded.part import Part, Step

FIRST_DELAY_SECONDS = 0.25
LONGEST_DELAY_SECONDS = 30.0
STEADY_SECONDS = 60.0
"""A part that ran this long had recovered: its next death is a first one again."""
DEATHS_BEFORE_READY = 3
"""A part that dies this often before it was ever ready stops the start: it's misconfigured."""
_ALARMING_DEATHS = 4
_STILL_WAITING_SECONDS = 20.0
_PROBE_SECONDS = 0.05


def restart_delay(deaths: int) -> float:
    """Seconds to wait after that many deaths in a row: doubling from a quarter to thirty."""
    doublings = min(deaths - 1, 10)  # far past the longest delay, and a power that a float holds
    return min(FIRST_DELAY_SECONDS * 2.0**doublings, LONGEST_DELAY_SECONDS)


def ending(status: int) -> str:
    """An exit status in words."""
    if status >= 0:
        return f"ended with exit status {status}"
    return f"was killed by {signal.Signals(-status).name}"


class Keeper:
    """One part over its whole life, which begins at once.

    `changed` is called whenever its process comes or goes.
    """

    def __init__(
        self,
        part: Part,
        children: Children,
        log: PartLog,
        console: Console,
        changed: Callable[[], None],
    ) -> None:
        self.part = part
        self.ready = asyncio.Event()
        """Set when the part is ready for the first time."""
        self.child: Child | None = None
        """Its process, while there is one."""
        self._children = children
        self._log = log
        self._console = console
        self._changed = changed
        self._stopping = asyncio.Event()
        self._halted = asyncio.Event()
        self.task = asyncio.create_task(self._run())
        """Ends when the part was stopped; with EmbeddedError when it cannot be started at all."""

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        deaths = 0
        while not self._stopping.is_set():  # set by `stop`, which ends the process
            began = loop.time()
            try:
                child = await self._start()
            except OSError as error:
                if not self.ready.is_set():
                    raise
                deaths += 1  # a disk that is full now may have room again
                await self._wait_for_better_times(error, restart_delay(deaths))
                continue
            await self._report_readiness(child, began)
            status = await asyncio.shield(child.ended)
            self.child = None
            self._changed()
            if self._stopping.is_set():
                break
            deaths = 1 if loop.time() - began > STEADY_SECONDS else deaths + 1
            self._report_death(status, deaths)
            await asyncio.sleep(restart_delay(deaths))

    async def _wait_for_better_times(self, error: OSError, seconds: float) -> None:
        name = self.part.name
        self._console.say(f"can't start {name}: {error}; trying again in {seconds:g} s")
        await asyncio.sleep(seconds)

    async def stop(self) -> None:
        """End the part in good order; by force when that takes too long."""
        self._stopping.set()
        if self.child is None:  # being prepared, or waiting for its next try
            self.task.cancel()
        else:
            await self._end(self.child)
        await asyncio.wait({self.task})

    def halt(self) -> None:
        """Let no part have its grace."""
        self._halted.set()

    async def _end(self, child: Child) -> None:
        child.send(self.part.stop_signal)
        await self._first_of(child, self._halted.wait(), self.part.grace_seconds)
        if not child.ended.done() and not self._halted.is_set():
            self._console.say(
                f"{self.part.name} didn't stop in {self.part.grace_seconds:g} s; killing it"
            )
        await end_at_once(child, self.part.halt_signal)

    async def _start(self) -> Child:
        part = self.part
        await asyncio.to_thread(part.prepare)
        command = await asyncio.to_thread(part.command)
        self.child = self._children.start(
            leashed(command, death_signal=part.death_signal, user_id=part.user_id),
            self._log,
            environment=part.environment,
            inherited_fds=part.inherited_fds,
            announces=part.is_ready is None,
        )
        self._changed()
        return self.child

    async def _report_readiness(self, child: Child, began: float) -> None:
        """Return when the part is ready, or has ended first."""
        loop = asyncio.get_running_loop()
        while not await self._first_of(child, self._until_ready(child), _STILL_WAITING_SECONDS):
            waited = loop.time() - began
            self._console.say(f"still waiting for {self.part.name} ({waited:.0f} s)")
        asked = self.part.is_ready is not None
        became_ready = not child.ended.done() if asked else child.said_ready.is_set()
        if became_ready and not self._stopping.is_set():
            again = " again" if self.ready.is_set() else ""
            self._console.say(f"{self.part.name} ready{again} in {loop.time() - began:.2f} s")
            self.ready.set()

    async def _first_of(
        self, child: Child, event: Coroutine[Any, Any, object], seconds: float
    ) -> bool:
        """Whether the child ended or the event came within so many seconds."""
        waiting = asyncio.create_task(event)
        either: list[asyncio.Future[Any]] = [waiting, child.ended]
        done, _ = await asyncio.wait(either, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        waiting.cancel()
        if waiting in done:
            waiting.result()  # raises what the event's own work raised
        return bool(done)

    async def _until_ready(self, child: Child) -> None:
        if self.part.is_ready is None:
            await child.said_ready.wait()
            return
        while not await asyncio.to_thread(self.part.is_ready):  # noqa: ASYNC110 (another process)
            await asyncio.sleep(_PROBE_SECONDS)

    def _report_death(self, status: int, deaths: int) -> None:
        name = self.part.name
        end = self._log.last_lines()
        if not self.ready.is_set() and deaths >= DEATHS_BEFORE_READY:
            raise PartFailedError(
                f"{name} {ending(status)} before it was ready, {deaths} times."
                f" Its last lines:\n{end}"
            )
        delay = restart_delay(deaths)
        often = f" It keeps dying, {deaths} times so far." if deaths >= _ALARMING_DEATHS else ""
        self._console.say(f"{name} {ending(status)}; starting it again in {delay:g} s.{often}")
        if end:
            self._console.say(f"its last lines (more in {short(self._log.path)}):\n{end}")


async def end_at_once(child: Child, number: signal.Signals) -> None:
    """Send a signal that ends without grace, and the strongest one if even that doesn't."""
    if not child.ended.done():
        child.send(number)
        await asyncio.wait({child.ended}, timeout=3)
    while not child.ended.done():
        child.send(signal.SIGKILL)
        await asyncio.wait({child.ended}, timeout=1)


async def run_step(step: Step, children: Children, log: PartLog, console: Console) -> None:
    """Run a step to its end. Raises PartFailedError unless it ends well."""
    loop = asyncio.get_running_loop()
    began = loop.time()
    child = children.start(leashed(step.command), log, environment=step.environment)
    try:
        status = await asyncio.shield(child.ended)
    except asyncio.CancelledError:
        await end_at_once(child, signal.SIGKILL)
        raise
    if status != 0:
        raise PartFailedError(f"{step.name} {ending(status)}. Its last lines:\n{log.last_lines()}")
    console.say(f"{step.name} done in {loop.time() - began:.2f} s")
