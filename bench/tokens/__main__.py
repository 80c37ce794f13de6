"""`python -m bench.tokens`: real tokenizers against the gateway's bound, and what measuring costs.

Prints two tables in Markdown.  The exit status is 1 when an ordinary text exceeds its bound.
"""

import json
import os
import statistics
import subprocess
import sys
import time
from dataclasses import replace
from typing import Any, Final

import django

from bench.tokens.installed import tokenizers_folder
from bench.tokens.texts import hostile, of_length, ordinary

_MEASURED_SECONDS: Final = 0.15  # for each kind of text and length


def main() -> int:
    """The exit status."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "scalix.settings")
    django.setup()
    usual, made = ordinary(), hostile()
    held = _print_bounds(usual, made)
    print()
    _print_cost(usual | made)
    return 0 if held else 1


def _print_bounds(usual: dict[str, str], made: dict[str, str]) -> bool:
    """The first table; whether every ordinary text is within its bound."""
    from gateway.sizing.families import MEASURED
    from gateway.sizing.prompt import text_bound

    families = {family.name: family for family in MEASURED}
    texts = usual | made
    print(
        "| tokenizer | family | factor | that texts need: median, most"
        " | real ÷ bound, ordinary: least, median, most | hostile: most |\n"
        "|---|---|--:|--:|--:|--:|"
    )
    held = True
    for name, found in _real_counts(list(texts.values())).items():
        family = families[found["family"]]
        counts = dict(zip(texts, found["counts"], strict=True))
        needed = [_needed_factor(_size(usual[kind]), family, counts[kind]) for kind in usual]
        shares = {
            kind: count / text_bound(_size(texts[kind]), family) for kind, count in counts.items()
        }
        within = {kind: shares[kind] for kind in usual}
        most, worst = max(within, key=within.__getitem__), max(made, key=shares.__getitem__)
        held = held and within[most] <= 1
        print(
            f"| {name} | {family.name} | {family.factor:.2f}"
            f" | {statistics.median(needed):.2f}, {max(needed):.2f}"
            f" | {min(within.values()):.2f}, {statistics.median(within.values()):.2f},"
            f" {within[most]:.2f} ({most}) | {shares[worst]:.2f} ({worst}) |"
        )
    return held


def _needed_factor(size: Any, family: Any, count: int) -> float:
    """The factor of which a text takes its whole bound."""
    from gateway.sizing.prompt import beyond_factor

    return max(0.0, count - beyond_factor(size, family)) / float(size.tokens)


def _size(text: str) -> Any:
    """A text's size by itself, without what stands around a message."""
    from gateway.sizing.prompt import measure
    from gateway.types import ChatRequest

    empty, whole = (
        measure(ChatRequest("m", ({"role": "user", "content": one},))) for one in ("", text)
    )
    return replace(whole, tokens=whole.tokens - empty.tokens)


def _real_counts(texts: list[str]) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-m", "bench.tokens.counting"],
        input=json.dumps(texts),
        env=os.environ | {"PYTHONPATH": str(tokenizers_folder())},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    counts: dict[str, Any] = json.loads(done.stdout)
    return counts


def _print_cost(texts: dict[str, str]) -> None:
    """The second table: CPU that measuring takes, so that company on the machine hardly shows."""
    print("| text | ms of CPU for 1 KB | for each KB of 1 MB |\n|---|--:|--:|")
    for kind, text in texts.items():
        small, large = (_milliseconds(of_length(text, size)) for size in (1_024, 1_024 * 1_024))
        print(f"| {kind} | {small:.3f} | {large / 1_024:.3f} |")


def _milliseconds(text: str) -> float:
    """The median of many runs."""
    from gateway.sizing.families import UNKNOWN
    from gateway.sizing.prompt import bound, counted, measure
    from gateway.types import ChatRequest

    request = ChatRequest("m", ({"role": "user", "content": text},))
    runs: list[int] = []
    while not runs or sum(runs) < _MEASURED_SECONDS * 1e9:
        begin = time.process_time_ns()
        size = measure(request)
        counted(size, (UNKNOWN,))
        bound(size, (UNKNOWN,))
        runs.append(time.process_time_ns() - begin)
    return statistics.median(runs) / 1e6


if __name__ == "__main__":
    sys.exit(main())
