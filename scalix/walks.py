"""The product shown in three walks: a free user, a pro user, the free plan's hourly limit.

They go over HTTP as anybody's program would, and say what they see while it happens.
"""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, Final

import aiohttp

Tell = Callable[[str], None]

_ANSWER_TOKENS: Final = 40
_SHORT_ANSWER_TOKENS: Final = 12
_EXCERPT: Final = 100
_QUESTIONS: Final = (
    "What is a token, in one sentence?",
    "Name three colours of the sea.",
    "Write one line about a lighthouse.",
)
_PREMIUM: Final = "gpt-4"
_WINDOWS: Final = (
    ("requests_per_hour", "requests this hour"),
    ("requests_per_day", "requests today"),
    ("tokens_per_day", "tokens today"),
)


class WalkFailedError(Exception):
    """The server did not do what the walk is there to show."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What one request came to.  `left` is what the response's headers say is left."""

    asked: str
    model: str
    status: int
    text: str
    deployment: str
    tokens: int
    code: str
    message: str
    left: dict[str, int]


async def check_ready(session: aiohttp.ClientSession, url: str) -> None:
    """Raises WalkFailedError unless a Scalix that is ready answers there."""
    async with session.get(f"{url}/readyz") as response:
        found = await _json(response)
        if response.status != 200:
            raise WalkFailedError(
                f"The server at {url} isn't ready: {found}. See `manage.py doctor`."
            )


class Client:
    """A program with one token."""

    def __init__(self, session: aiohttp.ClientSession, url: str, token: str) -> None:
        self._session = session
        self._url = url
        self._headers = {"Authorization": f"Bearer {token}"}

    async def ask(self, model: str, question: str, max_tokens: int = _ANSWER_TOKENS) -> Answer:
        """One chat completion, or the refusal of one."""
        body = {
            "model": model,
            "max_tokens": max_tokens,
            "messages": [{"role": "user", "content": question}],
        }
        address = f"{self._url}/v1/chat/completions"
        async with self._session.post(address, json=body, headers=self._headers) as response:
            found = await _json(response)
            error = found.get("error") or {}
            return Answer(
                asked=question,
                model=model,
                status=response.status,
                text="" if error else found["choices"][0]["message"]["content"] or "",
                deployment=response.headers.get("x-scalix-provider", ""),
                tokens=0 if error else found["usage"]["total_tokens"],
                code=error.get("code") or "",
                message=error.get("message") or "",
                left={
                    unit: int(response.headers[f"x-ratelimit-remaining-{unit}"])
                    for unit in ("requests", "tokens")
                    if f"x-ratelimit-remaining-{unit}" in response.headers
                },
            )

    async def limits(self) -> dict[str, dict[str, Any]]:
        """Each limit by name, from GET /v1/key, which never consumes."""
        limits: dict[str, dict[str, Any]] = (await self._get("/v1/key"))["limits"]
        return limits

    async def models(self) -> list[dict[str, Any]]:
        """What the token may use now, from GET /v1/models."""
        models: list[dict[str, Any]] = (await self._get("/v1/models"))["data"]
        return models

    async def _get(self, path: str) -> dict[str, Any]:
        async with self._session.get(self._url + path, headers=self._headers) as response:
            found = await _json(response)
            if response.status != 200:
                raise WalkFailedError(f"GET {path}: {response.status} {found['error']['message']}")
            return found


async def _json(response: aiohttp.ClientResponse) -> dict[str, Any]:
    try:
        found: dict[str, Any] = await response.json()
    except aiohttp.ContentTypeError as error:
        raise WalkFailedError(f"{response.url} answers, but it isn't Scalix.") from error
    return found


async def free_user(client: Client, tell: Tell) -> dict[str, Any]:
    """Three answers, what they leave, and a model above the plan."""
    models = [model["id"] for model in await client.models()]
    tell(f"May use: {', '.join(models)}")
    answers = [await _answered(client, "scalix-free", question, tell) for question in _QUESTIONS]
    used = await _used(client, tell)
    refused = await client.ask(_PREMIUM, _QUESTIONS[0])
    if refused.status != 403:
        raise WalkFailedError(f"{_PREMIUM} on the free plan: {refused.status}, not 403.")
    tell(f"Asks for {_PREMIUM}: refused ({refused.status} {refused.code}). {refused.message}")
    return {"models": models, "answers": _plain(*answers, refused), "limits": used}


async def pro_user(client: Client, tell: Tell) -> dict[str, Any]:
    """An answer from each of up to three pro models that are switched on, and no limit reached."""
    models = await client.models()
    premium = [model["id"] for model in models if model["plan"] == "pro"]
    tell(f"May use: {', '.join(model['id'] for model in models)}")
    if not premium:
        tell("No pro model is switched on here: that takes a provider's key, see .env.example.")
    chosen = premium[: len(_QUESTIONS)] or ["scalix-auto"] * len(_QUESTIONS)
    answers = [
        await _answered(client, model, question, tell)
        for model, question in zip(chosen, _QUESTIONS, strict=False)
    ]
    used = await _used(client, tell)
    return {
        "models": [model["id"] for model in models],
        "answers": _plain(*answers),
        "limits": used,
    }


async def rate_limit(free: Client, pro: Client, tell: Tell) -> dict[str, Any]:
    """A free user asks until the hour refuses, which costs nothing; the pro user just goes on."""
    most = (await free.limits())["requests_per_hour"]["max"]
    if most is None:
        tell("The free plan has no hourly limit here: nothing refuses.")
        return {"limit": None}
    refused, count = await _until_refused(free, most, tell)
    after = (await free.limits())["requests_per_hour"]
    if after["used"] > most:
        raise WalkFailedError(f"{after['used']} of {most} requests are used: the refusal counted.")
    tell(f"The refusal cost nothing: {after['used']} of {most} requests are used.")
    tell("The pro user goes on.")
    goes_on = await _answered(pro, "scalix-auto", _QUESTIONS[1], tell)
    return {
        "limit": most,
        "refused_at": count,
        "refusal": asdict(refused),
        "used": after["used"],
        "pro": asdict(goes_on),
    }


async def _until_refused(client: Client, most: int, tell: Tell) -> tuple[Answer, int]:
    # Twice the limit: the hour may turn in the middle, once.
    for count in range(1, 2 * most + 2):
        answer = await client.ask("scalix-free", f"Say {count}.", _SHORT_ANSWER_TOKENS)
        if answer.status == 429:
            tell(f"{count:>3}. refused: {answer.status} {answer.code}")
            tell(f"     {answer.message}")
            return answer, count
        _must_be_answered(answer)
        tell(f"{count:>3}. answered; {_left(answer)}")
    raise WalkFailedError(f"{2 * most + 1} requests were answered, with {most} allowed an hour.")


async def _answered(client: Client, model: str, question: str, tell: Tell) -> Answer:
    tell(f"Asks {model}: {question}")
    answer = await client.ask(model, question)
    _must_be_answered(answer)
    text = " ".join(answer.text.split())
    tell(f"  {text if len(text) <= _EXCERPT else text[:_EXCERPT].rstrip() + ' …'}")
    tell(f"  answered by {answer.deployment}, {answer.tokens} tokens; {_left(answer)}")
    return answer


def _must_be_answered(answer: Answer) -> None:
    if answer.status != 200:
        raise WalkFailedError(f"{answer.model}: {answer.status} {answer.code}. {answer.message}")


async def _used(client: Client, tell: Tell) -> dict[str, Any]:
    limits = await client.limits()
    figures = [_of_limit(limits[name], title) for name, title in _WINDOWS]
    tell(f"GET /v1/key says: {'; '.join(figures)}.")
    return limits


def _of_limit(limit: dict[str, Any], title: str) -> str:
    if limit["max"] is None:
        return f"{limit['used']:,} {title}, no limit"
    return f"{limit['used']:,} of {limit['max']:,} {title}"


def _left(answer: Answer) -> str:
    if not answer.left:
        return "no limit"
    figures = (
        f"{count:,} {unit.removesuffix('s') if count == 1 else unit}"
        for unit, count in answer.left.items()
    )
    return f"left: {', '.join(figures)}"


def _plain(*answers: Answer) -> list[dict[str, Any]]:
    return [asdict(answer) for answer in answers]
