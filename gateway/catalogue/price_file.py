"""What litellm's wheel knows of providers' models: prices, context windows, longest answers.

The file is read where it lies: importing litellm takes seconds, and its copy on the web changes.
"""

import functools
import importlib.util
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import orjson

from gateway.catalogue.capabilities import Capability

_FILE: Final = "model_prices_and_context_window_backup.json"
_FLAGS: Final = {
    Capability.TOOLS: "supports_function_calling",
    Capability.IMAGES: "supports_vision",
    Capability.AUDIO: "supports_audio_input",
    Capability.JSON_SCHEMA: "supports_response_schema",
}
_MICROS_PER_MILLION: Final = 10**12  # from dollars a token to millionths of $1 a million tokens


@dataclass(frozen=True, slots=True)
class ModelFigures:
    """One model's figures; prices in millionths of $1 a million tokens.

    What gives no tokens, as embeddings, has the least of them that a model can have.
    """

    context_window: int
    max_output_tokens: int
    prompt_micros: int
    completion_micros: int


def figures_of(key: str) -> ModelFigures:
    """The figures of the model that litellm knows by this name; KeyError if it knows none."""
    entry = _entries()[key]
    return ModelFigures(
        context_window=int(entry["max_input_tokens"]),
        max_output_tokens=int(entry.get("max_output_tokens", 1)),
        prompt_micros=_micros(entry["input_cost_per_token"]),
        completion_micros=_micros(entry["output_cost_per_token"]),
    )


def capabilities_of(key: str) -> dict[str, bool]:
    """Whether the model of this name takes what a request may need; KeyError if none is known."""
    entry = _entries()[key]
    return {name: bool(entry.get(flag)) for name, flag in _FLAGS.items()}


@functools.cache
def _entries() -> dict[str, dict[str, Any]]:
    package = importlib.util.find_spec("litellm")
    if package is None or package.origin is None:
        raise RuntimeError("litellm is not installed: its wheel holds the models' figures")
    entries: dict[str, dict[str, Any]] = orjson.loads(
        (Path(package.origin).parent / _FILE).read_bytes()
    )
    return entries


def _micros(dollars_a_token: float) -> int:
    return int((Decimal(str(dollars_a_token)) * _MICROS_PER_MILLION).to_integral_value())
