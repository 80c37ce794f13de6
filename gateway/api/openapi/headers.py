"""The headers of responses and requests, and what each says."""

from typing import Final

EVERYWHERE: Final = {
    "x-request-id": "The request's id. Quote it when something is wrong.",
    "request-id": "The same, as Anthropic's clients read it.",
}
LIMITS: Final = {
    "x-scalix-plan": "The caller's plan.",
    "x-ratelimit-limit-requests": "Requests that the limit which is nearest allows.",
    "x-ratelimit-remaining-requests": "Requests that are left of it.",
    "x-ratelimit-reset-requests": "Until it starts anew, as in `6m0s`.",
    "x-ratelimit-limit-tokens": "Tokens a day.",
    "x-ratelimit-remaining-tokens": "Tokens that are left of them.",
    "x-ratelimit-reset-tokens": "Until they start anew.",
    "ratelimit-policy": "The limit on requests in the form of the IETF's draft.",
    "ratelimit": "What is left of it, and the seconds until it starts anew.",
}
ANTHROPIC_LIMITS: Final = {
    f"anthropic-ratelimit-{unit}-{figure}": f"{said} {unit}, as Anthropic's clients read it."
    for unit in ("requests", "tokens")
    for figure, said in (
        ("limit", "The limit on"),
        ("remaining", "What is left of the limit on"),
        ("reset", "When there is more of the limit on"),
    )
}
ANSWER: Final = {
    "x-scalix-provider": "The deployment that answered.",
    "x-scalix-max-tokens": "How long an answer could be, where less was left than was asked for.",
    "x-scalix-cache": "`hit` or `miss`, where an answer may be kept.",
    "age": "Seconds since a kept answer was given first.",
    "x-scalix-original-request-id": "The request that a kept answer was given to first.",
    "idempotent-replayed": "`true` where the answer is that of an earlier request with this key.",
    "x-scalix-visitor": "A visitor's credential, to be sent again.",
}
STREAM: Final = {
    "cache-control": "`no-cache`.",
    "x-accel-buffering": "`no`: a proxy must not wait for more.",
}
FILE: Final = {"content-disposition": "The file's name."}
ERRORS: Final[dict[int, dict[str, str]]] = {
    401: {"www-authenticate": "What is wrong with the token."},
    405: {"allow": "The methods that the path takes."},
    **{
        status: {
            "retry-after": "Seconds. Left out where it would be more than a minute.",
            "x-should-retry": "`false` where trying again by itself can't help.",
        }
        for status in (409, 429, 503, 504)
    },
}
"""Of errors, by status, beside what is everywhere."""

IDEMPOTENCY: Final = (
    "Idempotency-Key",
    "For 24 hours the same key and body are given the same answer, which is charged once.",
)
CACHE: Final = (
    "x-scalix-cache",
    "For so many seconds exactly this request is given the same answer again, free of charge.",
)
VISITOR: Final = ("x-scalix-visitor", "The credential of a visitor, as an earlier answer gave it.")
