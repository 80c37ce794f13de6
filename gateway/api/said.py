"""What a message or a delta of OpenAI's says, whichever way its provider has of saying it."""

from typing import Any


def suffix_of(answer_id: str) -> str:
    """What all ids of one answer have in common, in whichever form it is given."""
    return answer_id.removeprefix("chatcmpl-")


def text_in(said: dict[str, Any]) -> str:
    """The text of a message or a delta, which some providers give in parts."""
    content = said.get("content")
    if isinstance(content, list):
        return "".join(part.get("text") or "" for part in content if isinstance(part, dict))
    return content or ""


def reasoning_in(said: dict[str, Any]) -> str:
    """What was thought before it; providers have two names for it, and some send it under both."""
    reasoning = said.get("reasoning_content") or said.get("reasoning")
    return reasoning if isinstance(reasoning, str) else ""
