"""A supervisor over fake parts: `python -m tests.embedded.fake_product VAR STAGES`.

STAGES is JSON: a list of lists of parts, each {"name": ..., "options": [...]}, or steps, each
{"name": ..., "step": COMMAND}.
"""

import asyncio
import json
import os
import sys
from functools import partial
from pathlib import Path
from typing import Any

from scalix.embedded.errors import EmbeddedError
from scalix.embedded.folders import make_folders
from scalix.embedded.orphans import end_orphans
from scalix.embedded.output import Console
from scalix.embedded.part import Part, Step
from scalix.embedded.paths import EmbeddedPaths
from scalix.embedded.process_identity import ProcessIdentity
from scalix.embedded.state import SupervisorState, folder_lock
from scalix.embedded.supervisor import Supervisor

FAKE_PART = Path(__file__).with_name("fake_part.py")


def main() -> None:
    paths = EmbeddedPaths(Path(sys.argv[1]))
    stages = [[_item(item, paths) for item in stage] for stage in json.loads(sys.argv[2])]
    console = Console(item.name for stage in stages for item in stage)
    make_folders(paths)
    try:
        with folder_lock(paths):
            if ended := end_orphans(paths):
                console.say(f"ended {ended}")
            asyncio.run(_supervise(paths, stages, console))
    except EmbeddedError as error:
        sys.exit(str(error))


async def _supervise(
    paths: EmbeddedPaths, stages: list[list[Part | Step]], console: Console
) -> None:
    identity = ProcessIdentity.of(os.getpid())
    assert identity is not None
    state = SupervisorState(identity, "http://127.0.0.1:8000", "")
    supervisor = Supervisor(paths, stages, console, state)
    await supervisor.run(lambda: console.say("all ready"))


def _item(item: dict[str, Any], paths: EmbeddedPaths) -> Part | Step:
    if "step" in item:
        return Step(name=item["name"], command=item["step"])
    command = [
        *(sys.executable, "-I", "-S", str(FAKE_PART)),
        *("--name", item["name"], "--events", str(paths.var / "events")),
        *item.get("options", ()),
    ]
    return Part(name=item["name"], command=partial(list, command), grace_seconds=60)


if __name__ == "__main__":
    main()
