"""What the form of an answer depends on, of the request that it answers."""

from dataclasses import dataclass

from gateway.api.anthropic.parsing import MessagesBody, ThinkingAdaptive, ThinkingEnabled


@dataclass(frozen=True, slots=True)
class Asked:
    """Whether reasoning is to be shown, and at what the answer was to end."""

    shows_thinking: bool = False
    stop_sequences: tuple[str, ...] = ()


def asked_by(body: MessagesBody) -> Asked:
    """What this body asks for."""
    thinking = body.thinking
    return Asked(
        shows_thinking=isinstance(thinking, ThinkingEnabled | ThinkingAdaptive)
        and thinking.display != "omitted",
        stop_sequences=tuple(body.stop_sequences or ()),
    )
