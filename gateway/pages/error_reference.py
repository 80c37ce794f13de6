"""Every error code that the API answers with: when it comes, and what to do.

An error's `metadata.docs_url` leads to its code's anchor on the page that this fills.
"""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class ErrorEntry:
    """One code; `retry` says whether the same request may succeed later by itself."""

    code: str
    status: int | None  # None: it arrives inside a stream, whose status was 200
    meaning: str
    remedy: str
    retry: bool = False


@dataclass(frozen=True, slots=True)
class ErrorGroup:
    """Codes that a reader looks for together."""

    title: str
    entries: tuple[ErrorEntry, ...]


GROUPS: Final = (
    ErrorGroup(
        "Limits",
        (
            ErrorEntry(
                "insufficient_quota",
                429,
                "An hour’s or a day’s limit is used up. The message and metadata name the limit, "
                "what is used of it, and when it resets.",
                "Wait for the reset, or move to a larger plan. A refused request costs nothing. "
                "x-should-retry: false keeps the SDKs from trying again by themselves.",
            ),
            ErrorEntry(
                "rate_limit_exceeded",
                429,
                "As many of your requests as the plan allows are running at this moment.",
                "Wait for one to end. SDKs retry this by themselves.",
                retry=True,
            ),
        ),
    ),
    ErrorGroup(
        "Tokens and accounts",
        (
            ErrorEntry(
                "invalid_api_key",
                401,
                "No token was sent, or one that does not exist.",
                "Send it as Authorization: Bearer, whole and without quotes. A lost token can’t "
                "be shown again: create a new one.",
            ),
            ErrorEntry(
                "token_revoked",
                401,
                "The token was revoked on the tokens page.",
                "Use another one, or create one.",
            ),
            ErrorEntry(
                "token_expired",
                401,
                "The token’s expiry date has passed.",
                "Create a new one.",
            ),
            ErrorEntry(
                "account_suspended",
                403,
                "The account that the token belongs to is switched off.",
                "Write to whoever runs this Scalix.",
            ),
            ErrorEntry(
                "account_blocked_for_abuse",
                403,
                "The way that the account was used looked like abuse. metadata.reasons says what "
                "was seen, metadata.since and metadata.until from when to when it is blocked.",
                "It ends by itself at metadata.until. If it is a mistake, say so on the dashboard, "
                "which keeps working: staff look at it.",
            ),
            ErrorEntry(
                "address_blocked_for_abuse",
                403,
                "The same, for the network address that the request came from. Paying accounts "
                "are not affected.",
                "As above; or use another network.",
            ),
        ),
    ),
    ErrorGroup(
        "Models",
        (
            ErrorEntry(
                "model_not_found",
                404,
                "There is no model of that name, or no provider is configured for it here.",
                "GET /v1/models lists yours; metadata.did_you_mean has the nearest names.",
            ),
            ErrorEntry(
                "request_not_found",
                404,
                "Feedback was sent on a request that is not yours, or that was never answered.",
                "Send the x-request-id of an answer, with the token or the visitor’s credential "
                "that asked for it.",
            ),
            ErrorEntry(
                "model_not_in_plan",
                403,
                "The model exists, and needs a larger plan.",
                "metadata.available_models lists those that you may use.",
            ),
        ),
    ),
    ErrorGroup(
        "The request itself",
        (
            ErrorEntry(
                "invalid_request",
                400,
                "A field is missing or has the wrong type or value; param names it. Or the "
                "provider found the request wrong.",
                "Correct the field. The message says what was expected.",
            ),
            ErrorEntry(
                "invalid_json",
                400,
                "The body is not valid JSON.",
                "Check quoting and encoding: it has to be UTF-8.",
            ),
            ErrorEntry(
                "unsupported_parameter",
                400,
                "No provider of this model knows the parameter.",
                "Leave it out, or choose another model.",
            ),
            ErrorEntry(
                "unsupported_image_url",
                400,
                "The provider can’t fetch images by address.",
                "Send the image in the request, as a data: URL.",
            ),
            ErrorEntry(
                "content_refused",
                400,
                "The prompt breaks a content rule of this Scalix. The message and metadata.rule "
                "name the rule, metadata.explanation says what it is for.",
                "Change the prompt. All messages of the conversation are looked at, and the tools. "
                "A refused request costs nothing.",
            ),
            ErrorEntry(
                "prompt_too_long",
                400,
                "The prompt has more characters than the plan takes.",
                "Shorten it; metadata.max is the limit.",
            ),
            ErrorEntry(
                "context_length_exceeded",
                400,
                "The prompt does not fit the context window of the model on your plan.",
                "Shorten it, or choose a model with a larger window.",
            ),
            ErrorEntry(
                "not_supported_by_model",
                400,
                "No model that can answer just now takes what the request needs: tools, images, "
                "audio or JSON schemas. metadata.lacking names it.",
                "Choose another model, or leave it out.",
            ),
            ErrorEntry(
                "wrong_kind_of_model",
                400,
                "The model gives embeddings and was asked for an answer, or the other way round.",
                "Ask it at /v1/embeddings, or choose one whose `kind` in GET /v1/models is `chat`.",
            ),
            ErrorEntry(
                "all_models_avoided",
                400,
                "Your preferences avoid every model that could answer.",
                "Ask for one of them by its name, or change your preferences by PUT "
                "/api/v1/preferences.",
            ),
            ErrorEntry(
                "request_too_large",
                413,
                "The body is larger than the API reads.",
                "Send less, for example smaller images.",
            ),
            ErrorEntry(
                "not_found",
                404,
                "There is no such path. Usually the base URL lacks /v1, or has it twice.",
                "metadata.base_url is the right one.",
            ),
            ErrorEntry(
                "method_not_allowed",
                405,
                "The path exists, and does not take this method.",
                "metadata.allowed lists those that it takes.",
            ),
        ),
    ),
    ErrorGroup(
        "Requests that are repeated",
        (
            ErrorEntry(
                "idempotency_key_in_use",
                409,
                "Another request with the same Idempotency-Key is running.",
                "Send it again as it is: once the first one is answered, you get its answer. SDKs "
                "do this by themselves, after the second that Retry-After asks for.",
                retry=True,
            ),
            ErrorEntry(
                "idempotency_key_reused",
                422,
                "The Idempotency-Key was used within the last 24 hours with another body or at "
                "another endpoint.",
                "Take a new key for a new request. To repeat an old one, send the same bytes.",
            ),
            ErrorEntry(
                "idempotent_answer_not_kept",
                410,
                "The request with this Idempotency-Key was answered and charged, and its answer "
                "was too large to be kept. metadata.max is the limit, in bytes.",
                "Take a new key. It is then another request, and charged as one.",
            ),
        ),
    ),
    ErrorGroup(
        "Providers and us",
        (
            ErrorEntry(
                "server_is_overloaded",
                503,
                "Every provider of the model was tried and none answered; or Scalix can’t reach "
                "its own counters and so can’t admit anybody. Nothing was charged.",
                "Try again shortly: Retry-After says when.",
                retry=True,
            ),
            ErrorEntry(
                "stream_cut",
                None,
                "The provider stopped in the middle of a streamed answer. It arrives as an error "
                "event in the stream. Nothing was charged.",
                "Send the request again.",
                retry=True,
            ),
            ErrorEntry(
                "deadline_exceeded",
                504,
                "The answer took longer than a request may take. Nothing was charged.",
                "Ask for less at once, or stream.",
                retry=True,
            ),
            ErrorEntry(
                "server_stopping",
                503,
                "This server is being restarted, and the answer ends early. Nothing was charged.",
                "Send the request again: another server takes it.",
                retry=True,
            ),
            ErrorEntry(
                "provider_error",
                500,
                "A provider failed in a way that it did not explain. Nothing was charged.",
                "Try again.",
                retry=True,
            ),
            ErrorEntry(
                "internal_error",
                500,
                "Something of ours broke. Nothing was charged.",
                "Try again; if it stays, write to us with the request id.",
                retry=True,
            ),
        ),
    ),
    ErrorGroup(
        "Causes in metadata.attempts",
        (
            ErrorEntry(
                "provider_rate_limited",
                503,
                "The provider limits our calls just now.",
                "Scalix goes on to the next provider by itself.",
                retry=True,
            ),
            ErrorEntry(
                "provider_timeout",
                503,
                "The provider did not begin to answer in time.",
                "Scalix goes on to the next provider by itself.",
                retry=True,
            ),
            ErrorEntry(
                "provider_unreachable",
                503,
                "No connection to the provider, or one that broke.",
                "Scalix goes on to the next provider by itself.",
                retry=True,
            ),
            ErrorEntry(
                "provider_unavailable",
                503,
                "The provider answered with a failure of its own.",
                "Scalix goes on to the next provider by itself.",
                retry=True,
            ),
            ErrorEntry(
                "provider_bad_response",
                503,
                "The provider’s answer made no sense.",
                "Scalix goes on to the next provider by itself.",
                retry=True,
            ),
            ErrorEntry(
                "provider_refused_key",
                503,
                "The provider refused the credential that this Scalix is set up with.",
                "Whoever runs this Scalix has to correct it.",
            ),
            ErrorEntry(
                "provider_refused_account",
                503,
                "The provider refused the account that this Scalix has there: nothing is left to "
                "spend, or it is switched off.",
                "Scalix goes on to the next provider by itself; whoever runs it has to settle it.",
            ),
            ErrorEntry(
                "provider_lacks_model",
                503,
                "The provider has no model of the name that this Scalix is set up with.",
                "Whoever runs this Scalix has to correct it.",
            ),
            ErrorEntry(
                "provider_misconfigured",
                503,
                "The deployment’s settings don’t fit together.",
                "Whoever runs this Scalix has to correct it.",
            ),
            ErrorEntry(
                "capacity_taken",
                503,
                "As much is asked of this provider as it allows just now.",
                "Scalix goes on to the next provider by itself. If all are busy, the answer says "
                "when to come again.",
                retry=True,
            ),
            ErrorEntry(
                "request_untranslatable",
                503,
                "The request can’t be put into this provider’s form, and was not sent.",
                "Look for an answer of a tool that no message asked for, or arguments that are "
                "no JSON.",
            ),
        ),
    ),
)
