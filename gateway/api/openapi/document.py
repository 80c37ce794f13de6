"""The description, put together: paths out of operations, schemas out of structs."""

import functools
from collections.abc import Iterable
from typing import Any, Final

import msgspec
from django.conf import settings

from gateway.api import parsing
from gateway.api.anthropic import parsing as anthropic
from gateway.api.openai_responses import parsing as openai_responses
from gateway.api.openapi import answers, headers
from gateway.api.openapi.operations import OPERATIONS, Operation
from gateway.pages.error_reference import GROUPS, ErrorEntry

Json = dict[str, Any]

_SCHEMAS: Final = "#/components/schemas/"
# Fields that are read as whatever they are, and then held against a shape of their own.
_SHAPED: Final[dict[type[msgspec.Struct], dict[str, Any]]] = {
    parsing.ChatBody: parsing.HANDED_ON,
    parsing.FreeBody: parsing.HANDED_ON,
    anthropic.Prompt: anthropic.HANDED_ON,
    anthropic.MessagesBody: anthropic.HANDED_ON,
    openai_responses.ResponsesBody: openai_responses.HANDED_ON,
}
_ABOUT: Final = """One API over many models and providers, in the forms of OpenAI and Anthropic.

Every error has a `code`, a message that stands alone, and the request's id; `metadata.docs_url`
leads to what the code means. Requests that are refused or fail cost nothing.
"""


@functools.cache
def description() -> Json:
    """All of it, but for the server's address."""
    schemas, names = _schemas()
    paths: dict[str, Json] = {}
    for one in OPERATIONS:
        paths.setdefault(one.path, {})[one.method] = _operation(one, names)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Scalix", "version": "1", "description": _ABOUT},
        "servers": [{"url": settings.PUBLIC_URL}],
        "tags": [{"name": tag} for tag in dict.fromkeys(one.tag for one in OPERATIONS)],
        "paths": paths,
        "components": {
            "schemas": schemas,
            "headers": _all_headers(),
            "responses": _error_responses(names),
            "securitySchemes": {
                "token": {"type": "http", "scheme": "bearer"},
                "key": {"type": "apiKey", "in": "header", "name": "x-api-key"},
            },
        },
    }


def _operation(one: Operation, names: dict[type, str]) -> Json:
    about: Json = {
        "operationId": one.name,
        "tags": [one.tag],
        "summary": one.summary,
        "description": "\n\n".join(filter(None, (one.description, one.events))),
        "security": _security(one),
        "responses": _responses(one, names),
    }
    if parameters := _parameters(one):
        about["parameters"] = parameters
    if one.body is not None:
        content: Json = {"schema": _reference(names[one.body])}
        if one.example is not None:
            content["example"] = one.example
        about["requestBody"] = {"required": True, "content": {"application/json": content}}
    return about


def _security(one: Operation) -> list[Json]:
    """Either of the two headers; nothing at all where nobody is asked who they are."""
    if one.who == "anybody":
        return []
    known: list[Json] = [{"token": []}, {"key": []}]
    return known if one.who == "token" else [*known, {}]


def _parameters(one: Operation) -> list[Json]:
    parameters: list[Json] = [
        {"name": name, "in": "header", "description": said, "schema": {"type": "string"}}
        for name, said in one.request_headers
    ]
    if one.path_parameter:
        parameters.append(
            {
                "name": "name",
                "in": "path",
                "required": True,
                "description": one.path_parameter,
                "schema": {"type": "string"},
            }
        )
    return [*parameters, *one.query]


def _responses(one: Operation, names: dict[type, str]) -> Json:
    content: Json = {"application/json": {"schema": _reference(names[one.answer])}}
    said = headers.EVERYWHERE | ({} if one.who == "anybody" else _limits(one.in_anthropics_form))
    said |= one.answer_headers
    if one.stream is not None:
        forms = [_reference(names[form]) for form in (one.stream, _error_form(one))]
        content["text/event-stream"] = {"schema": {"anyOf": forms}}
        said |= headers.STREAM
    if one.csv:
        content["text/csv"] = {"schema": {"type": "string"}}
    good = {"description": _good(one), "headers": _headers(said), "content": content}
    responses: Json = {"200": good}
    if one.name == "isReady":  # the same form says what is missing
        responses["503"] = good | {"description": "Requests can't be admitted."}
    for status in sorted(one.errors):
        name = _error_name(status, in_anthropics_form=one.in_anthropics_form)
        responses[str(status)] = {"$ref": f"#/components/responses/{name}"}
    return responses


def _error_form(one: Operation) -> type:
    return answers.AnthropicErrorAnswer if one.in_anthropics_form else answers.ErrorAnswer


def _limits(in_anthropics_form: bool) -> dict[str, str]:
    return headers.LIMITS | (headers.ANTHROPIC_LIMITS if in_anthropics_form else {})


def _error_responses(names: dict[type, str]) -> Json:
    """One for each status and form."""
    statuses = sorted({status for one in OPERATIONS for status in one.errors})
    forms = ((False, answers.ErrorAnswer), (True, answers.AnthropicErrorAnswer))
    return {
        _error_name(status, in_anthropics_form=anthropics): {
            "description": "\n".join(f"- `{one.code}`: {one.meaning}" for one in _of(status)),
            "headers": _headers(
                headers.EVERYWHERE | _limits(anthropics) | headers.ERRORS.get(status, {})
            ),
            "content": {"application/json": {"schema": _reference(names[form])}},
        }
        for status in statuses
        for anthropics, form in forms
    }


def _error_name(status: int, *, in_anthropics_form: bool) -> str:
    return f"{'Anthropic' if in_anthropics_form else ''}Error{status}"


def _good(one: Operation) -> str:
    """What a 200 is; of a stream also what may yet come inside."""
    if one.stream is None:
        return one.summary
    inside = "; ".join(f"`{entry.code}`: {entry.meaning}" for entry in _of(None))
    return f"{one.summary}. Inside a stream: {inside}"


def _of(status: int | None) -> Iterable[ErrorEntry]:
    return (entry for group in GROUPS for entry in group.entries if entry.status == status)


def _headers(said: dict[str, str]) -> Json:
    return {name: {"$ref": f"#/components/headers/{name}"} for name in said}


def _all_headers() -> Json:
    """Each once, with what it says."""
    groups = (
        *(headers.EVERYWHERE, headers.LIMITS, headers.ANTHROPIC_LIMITS, headers.ANSWER),
        *(headers.STREAM, headers.FILE, *headers.ERRORS.values()),
    )
    return {
        name: {"description": text, "schema": {"type": "string"}}
        for group in groups
        for name, text in group.items()
    }


def _schemas() -> tuple[Json, dict[type, str]]:
    """Every schema by its name, and the names of the structs that operations use."""
    used = {
        struct
        for one in OPERATIONS
        for struct in (one.body, one.answer, one.stream)
        if struct is not None
    }
    used |= {answers.ErrorAnswer, answers.AnthropicErrorAnswer}
    shapes = {
        shape for shaped in _SHAPED.values() for one in shaped.values() for shape in _all(one)
    }
    types = [*sorted(used, key=lambda one: one.__name__), *shapes]
    found, components = msgspec.json.schema_components(types, ref_template=f"{_SCHEMAS}{{name}}")
    schema_of = dict(zip(types, found, strict=True))
    names = {one: str(schema_of[one]["$ref"]).removeprefix(_SCHEMAS) for one in used}
    for struct, shaped in _SHAPED.items():
        properties = components[names[struct]]["properties"]
        for field, shape in shaped.items():
            properties[field] = _shaped(properties[field], [schema_of[one] for one in _all(shape)])
    return _tidied(components), names


def _all(shape: Any) -> tuple[Any, ...]:
    return shape if isinstance(shape, tuple) else (shape,)


def _shaped(loose: Json, shapes: list[Json]) -> Json:
    """A field's schema with the shapes in place of "any object"; one that is of lists is whole."""
    if len(shapes) == 1:
        return {"anyOf": [shapes[0], {"type": "null"}]}
    alternatives = [
        one | {"items": {"anyOf": shapes}} if one.get("type") == "array" else one
        for one in loose["anyOf"]
    ]
    return loose | {"anyOf": alternatives}


def _tidied(value: Any) -> Any:
    """Without defaults of null, which say nothing."""
    if isinstance(value, list):
        return [_tidied(one) for one in value]
    if not isinstance(value, dict):
        return value
    return {
        name: _tidied(inner)
        for name, inner in value.items()
        if not (name == "default" and inner is None)
    }


def _reference(name: str) -> Json:
    return {"$ref": f"{_SCHEMAS}{name}"}
