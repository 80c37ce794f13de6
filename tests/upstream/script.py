"""What the double is told to do with one request.

A request carries its script as a marker in its last message, because message text is the one
thing that every gateway hands on untouched:

    [[double: id=a1 account=alice tokens=40 chunks=10 gap=0.02 fault=cut after=3]]

Keys that the marker leaves out come from the server's default script. The marker counts as
prompt text like any other.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, Final, Literal, get_args

Fault = Literal[
    "",  # answer properly
    "400",
    "401",
    "404",
    "429",
    "500",
    "503",
    "timeout",  # accept the request and never answer
    "reset",  # close the connection without a byte
    "garbage",  # 200, a body (or a stream) that is not JSON
    "cut",  # close the connection after `after` chunks, or halfway through a unary body
    "error-event",  # a stream that ends in an SSE error event after `after` chunks
    "no-usage",  # a proper answer that never reports usage
    "content-type",  # a proper answer labelled text/html
    "slow-headers",  # the status line at once, the rest of the head after `gap` seconds
]
MARKER_START: Final = "[[double:"
MARKER_END: Final = "]]"


class ScriptError(ValueError):
    """A marker that can't be understood; the double answers 400, so the mistake is seen."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Script:
    """One request's instructions. Times are in seconds."""

    id: str = ""
    """Correlation mark, copied to the call's record."""
    account: str = ""
    """Whose at-once gauge the call counts in; the API key's when empty."""
    tokens: int = 8
    """Completion tokens of each choice, unless the request's maximum is lower."""
    chunks: int = 0
    """Content chunks of a stream; 0 is one for each token."""
    first: float = 0.0
    """Latency before the first byte."""
    gap: float = 0.0
    """Pause before each content chunk after the first."""
    stall: int = -1
    """After so many content chunks send nothing more, until the client hangs up; -1 never."""
    hold: str = ""
    """Send nothing until the control API releases this name."""
    split: int = 0
    """Write a stream in pieces of so many bytes, each a TCP write of its own; 0 is whole."""
    vocabulary: Literal["english", "multibyte"] = "english"
    tool: str = ""
    """Call the tool of this name, with `answers.TOOL_INPUT`, in place of saying anything."""
    fault: Fault = ""
    after: int = 0
    """Content chunks before the faults `cut` and `error-event`."""
    times: int = 0
    """The fault strikes only the first so many calls with this id; 0 is every call."""
    retry_after: int = 1
    """The Retry-After of a 429, in seconds."""


_TYPES: Final[Mapping[str, type]] = {field.name: type(field.default) for field in fields(Script)}
_FAULTS: Final = frozenset(get_args(Fault))


def parse_settings(settings: Mapping[str, Any], default: Script) -> Script:
    """The default script with the given settings over it. Raises ScriptError."""
    changes: dict[str, Any] = {}
    for key, value in settings.items():
        convert = _TYPES.get(key)
        if convert is None:
            raise ScriptError(f"The double knows no setting named {key!r}.")
        try:
            changes[key] = convert(value)
        except ValueError as error:
            raise ScriptError(f"The double can't read {key}={value!r}.") from error
    script = replace(default, **changes)
    if script.fault not in _FAULTS:
        raise ScriptError(f"The double knows no fault named {script.fault!r}.")
    if script.vocabulary not in ("english", "multibyte"):
        raise ScriptError(f"The double knows no vocabulary named {script.vocabulary!r}.")
    return script


def parse_marker(text: str, default: Script) -> Script:
    """The script of a message's text: the last marker in it over the default. Raises ScriptError.

    Text without a marker gets the default.
    """
    start = text.rfind(MARKER_START)
    if start < 0:
        return default
    end = text.find(MARKER_END, start)
    if end < 0:
        raise ScriptError("The double's marker has no end.")
    settings: dict[str, str] = {}
    for word in text[start + len(MARKER_START) : end].split():
        key, equals, value = word.partition("=")
        if not equals:
            raise ScriptError(f"The double can't read {word!r}: settings are key=value.")
        settings[key] = value
    return parse_settings(settings, default)


def marker(**settings: object) -> str:
    """The marker text for these settings, to put into a prompt."""
    inner = " ".join(f"{key}={value}" for key, value in settings.items())
    return f"{MARKER_START} {inner}{MARKER_END}"
