"""Run the product's parts: start them in order, keep them running, stop them in reverse."""

import asyncio
import signal
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import replace
from typing import Any

from scalix.embedded.child import Children
from scalix.embedded.keeper import Keeper, run_step
from scalix.embedded.output import Console, PartLog
from scalix.embedded.part import Part, Stage
from scalix.embedded.paths import EmbeddedPaths
from scalix.embedded.state import StartedProcess, SupervisorState, remove_state, write_state

_STATE_AGAIN_SECONDS = 1.0
_STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Supervisor:
    """The parts of one state folder, whose lock the caller holds; made in the loop that runs it.

    The first Ctrl-C, SIGTERM or closed terminal stops all parts in good order; a second one
    kills them at once.
    """

    def __init__(
        self,
        paths: EmbeddedPaths,
        stages: Sequence[Stage],
        console: Console,
        state: SupervisorState,
    ) -> None:
        self._paths = paths
        self._stages = stages
        self._console = console
        self._state = state
        self._children = Children()
        self._keepers: list[list[Keeper]] = []
        self._logs: list[PartLog] = []
        # Done when somebody asked to stop; with the error when a part cannot be started.
        self._over: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def run(self, when_ready: Callable[[], None]) -> None:
        """Return after everything was stopped. `when_ready` is called once all parts are.

        Raises EmbeddedError, after the same orderly stop, when the start fails.
        """
        self._children.listen()
        self._handle_signals()
        self._write_state()
        try:
            await self._unless_over(self._start_all(when_ready))
            await self._over
        finally:
            await self._stop_all()

    async def _start_all(self, when_ready: Callable[[], None]) -> None:
        for stage in self._stages:
            await self._start(stage)
        when_ready()

    async def _start(self, stage: Stage) -> None:
        keepers: list[Keeper] = []
        self._keepers.append(keepers)
        waits: list[Coroutine[Any, Any, object]] = []
        for item in stage:
            shown = item.shown if isinstance(item, Part) else None
            log = PartLog(item.name, self._paths.logs, self._console, shown)
            self._logs.append(log)
            if isinstance(item, Part):
                keeper = Keeper(item, self._children, log, self._console, self._write_state)
                keeper.task.add_done_callback(self._keeper_ended)
                keepers.append(keeper)
                waits.append(keeper.ready.wait())
            else:
                waits.append(run_step(item, self._children, log, self._console))
        await asyncio.gather(*waits)

    async def _unless_over(self, work: Coroutine[Any, Any, None]) -> None:
        """Do the work, but drop it as soon as everything is to stop."""
        task = asyncio.create_task(work)
        await asyncio.wait({task, self._over}, return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            task.cancel()
            await asyncio.wait({task})
        if not task.cancelled():
            task.result()

    async def _stop_all(self) -> None:
        if not self._over.done():  # a step failed: a Ctrl-C from here on is a second one
            self._over.set_result(None)
        self._console.say("stopping")
        for keepers in reversed(self._keepers):
            await asyncio.gather(*(keeper.stop() for keeper in keepers))
        remove_state(self._paths)
        for log in self._logs:
            log.close()
        self._console.say("stopped")

    def _handle_signals(self) -> None:
        loop = asyncio.get_running_loop()
        for number in _STOPPING:
            # nohup and the like mean it: what was ignored stays ignored, but for Ctrl-C, which
            # shells make their background jobs ignore.
            if number is signal.SIGINT or signal.getsignal(number) is not signal.SIG_IGN:
                loop.add_signal_handler(number, self._stop_or_halt)

    def _stop_or_halt(self) -> None:
        if not self._over.done():
            self._over.set_result(None)
            return
        for keepers in self._keepers:
            for keeper in keepers:
                keeper.halt()

    def _keeper_ended(self, task: asyncio.Task[None]) -> None:
        if task.cancelled():
            return
        error = task.exception()
        if error is not None and not self._over.done():
            self._over.set_exception(error)

    def _write_state(self) -> None:
        processes = tuple(
            StartedProcess(keeper.part.name, keeper.child.identity, keeper.part.stop_signal)
            for keepers in self._keepers
            for keeper in keepers
            if keeper.child is not None and keeper.child.identity is not None
        )
        try:
            write_state(self._paths, replace(self._state, processes=processes))
        except OSError as error:  # a full disk is no reason to end what runs
            self._console.say(f"can't write down what runs: {error.strerror}; trying again")
            asyncio.get_running_loop().call_later(_STATE_AGAIN_SECONDS, self._write_state_again)

    def _write_state_again(self) -> None:
        if not self._over.done():
            self._write_state()
