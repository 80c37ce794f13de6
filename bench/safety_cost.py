"""`python -m bench.safety_cost`: what content rules and fingerprints take of a request's time.

Microseconds of CPU, the best of several rounds, on one core.
"""

import argparse
import os
import time
from collections.abc import Callable
from random import Random
from typing import Final

import django

_ENGLISH: Final = (
    "the of and to in is that for it as was with be by on not he his but at are this have from "
    "or had an they which one you were all her she there would their we him been has when who "
    "will more no if out so said what up its about into than them can only other new some time "
    "could these two may then do first any my now such like our over man me even most made after"
)
_TEXTS: Final = {
    "English": " ".join(Random(1).choices(_ENGLISH.split(), k=260)),
    "French": "Voix ambiguë d’un cœur qui au zéphyr préfère les jattes de kiwis. " * 20,
    "Russian": "Съешь ещё этих мягких французских булок, да выпей же чаю. " * 20,
    "Chinese": "我们今天去公园散步，天气非常好。" * 40,
    "spelled out": "b-a-d, " * 200,
}
_PATTERNS: Final = (
    r"\b\d{3}-\d{2}-\d{4}\b", r"ignore (all|any) (previous|prior) instructions",
    r"(credit|debit) card.{0,40}number", r"https?://\S+\.onion", r"make a b[o0]mb",
    r"(x+x+)+y", r"\b[a-f0-9]{32}\b", r"password\s*[:=]\s*\S+", r"kill (him|her|them)",
    r"(a|b|ab)*c{5}",
)  # fmt: skip


def _microseconds(work: Callable[[], object], times: int = 1_000) -> float:
    best = float("inf")
    for _ in range(9):
        begun = time.process_time()
        for _ in range(times):
            work()
        best = min(best, (time.process_time() - begun) / times * 1e6)
    return best


def _kilobyte(text: str, kilobytes: int = 1) -> str:
    whole = text * (kilobytes * 1_024 // len(text.encode()) + 1)
    return whole.encode()[: kilobytes * 1_024].decode(errors="ignore")


def main() -> None:
    """Prints the figures."""
    argparse.ArgumentParser(prog="python -m bench.safety_cost", description=__doc__).parse_args()
    from gateway.safety.fingerprints import likeness, sketch
    from gateway.safety.matching import KEYWORD, PATTERN, Matcher, Rule

    dice = Random(2)
    keywords = ["".join(dice.choices("bcdfghklmnprstaeiou", k=7)) for _ in range(40)]
    rules = [Rule(number, word, KEYWORD, word, "No.") for number, word in enumerate(keywords)]
    rules += [Rule(40 + number, one, PATTERN, one, "No.") for number, one in enumerate(_PATTERNS)]
    matcher = Matcher(rules)
    print(f"| a prompt of 1 KB | {len(rules)} rules, µs | fingerprint, µs |")
    print("| --- | --- | --- |")
    for name, text in _TEXTS.items():
        prompt = _kilobyte(text)
        held = _microseconds(lambda prompt=prompt: matcher.first_broken(prompt))  # type: ignore[misc]
        print(f"| {name} | {held:.1f} | {_microseconds(lambda p=prompt: sketch(p)):.1f} |")  # type: ignore[misc]
    for kilobytes in (10, 100, 1_000):
        prompt = _kilobyte(_TEXTS["English"], kilobytes)
        held = _microseconds(lambda prompt=prompt: matcher.first_broken(prompt), 20)  # type: ignore[misc]
        print(
            f"| English, {kilobytes:,} KB | {held:,.0f} | "
            f"{_microseconds(lambda p=prompt: sketch(p), 200):.1f} |"  # type: ignore[misc]
        )
    begun = time.process_time()
    Matcher(rules)
    print(f"\ncompiling the rules: {(time.process_time() - begun) * 1e3:.1f} ms, once a change")
    one, other = sketch(_TEXTS["English"]), sketch(_TEXTS["French"])
    assert one is not None
    assert other is not None
    print(f"comparing two fingerprints: {_microseconds(lambda: likeness(one, other)):.1f} µs")


if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "scalix.settings")
    django.setup()
    main()
