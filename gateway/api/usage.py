"""`GET /api/v1/usage`: what the caller's account used, by hour, day, model or token.

It never consumes, and answers at 100 % of every limit.
"""

import csv
import datetime as dt
import io
from dataclasses import dataclass
from typing import Any, Final

from django.core.handlers.asgi import ASGIRequest
from django.http import HttpResponse, QueryDict
from django.http.response import HttpResponseBase

from accounts.postgres import PostgresUnavailable, ReadPool
from billing.metering.figures import Figures
from billing.metering.retention import HOUR_MONTHS
from billing.metering.rows import NOBODY
from billing.metering.spent import By, Span, spent_by_pool
from gateway import runtime
from gateway.api.view import GatewayView, json_response
from gateway.errors import InvalidRequest, StoreUnavailable
from gateway.steps.respond import limit_headers

DEFAULT_DAYS: Final = 30
MOST_DAYS: Final = 400
MOST_DAYS_OF_HOURS: Final = 31
_FORMATS: Final = ("json", "csv")
_STARTS_A_FORMULA: Final = tuple("=+-@\t\r\n")
# What a row begins with; `_label` fills it.
_COLUMNS: Final = {
    By.HOUR: ("hour",),
    By.DAY: ("day",),
    By.MODEL: ("model",),
    By.TOKEN: ("token_id", "name", "display"),
}
_NAMES: Final = (
    "SELECT id, name, prefix || '…' || last_four FROM accounts_apitoken WHERE user_id = %s"
)


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked for, checked."""

    span: Span
    by: By
    form: str  # json or csv


class Usage(GatewayView):
    async def get(self, request: ASGIRequest) -> HttpResponseBase:
        """The account's figures, each hour, day, model or token that has any."""
        caller, usage = await self.who_and_usage(request)
        question = parse(request.GET, dt.datetime.now(dt.UTC).date())
        reads = runtime.current().reads
        try:
            found = await spent_by_pool(reads, caller.account_id, question.span, question.by)
            names = await _names(reads, caller.account_id) if question.by is By.TOKEN else {}
        except PostgresUnavailable as error:
            raise StoreUnavailable("The ledger is away. Try again shortly.") from error
        rows = [_label(question.by, key, names) | _figures(sums) for key, sums in found.items()]
        if question.form == "csv":
            return _csv_response(question, rows, limit_headers(usage))
        total = _figures(sum(found.values(), Figures()))
        body = {"object": "usage", "by": question.by.value, **_ends(question.span)}
        return json_response(body | {"data": rows, "total": total}, usage)


def parse(query: QueryDict, today: dt.date) -> Question:
    """The question that a query string asks; InvalidRequest names the parameter that is wrong."""
    by = _one_of(query, "by", tuple(kind.value for kind in By), By.DAY.value)
    form = _one_of(query, "format", _FORMATS, _FORMATS[0])
    last = _day(query, "to") or today
    first = _day(query, "from") or _before(last, DEFAULT_DAYS - 1)
    if first > last:
        raise InvalidRequest("`from` is later than `to`, which is today if left out.", param="from")
    span = Span(first, last)
    most = MOST_DAYS_OF_HOURS if by == By.HOUR else MOST_DAYS
    if span.days > most:
        of_hours = " by hour" if by == By.HOUR else ""
        raise InvalidRequest(
            f"`from` and `to` span {span.days:,} days; at most {most} are answered{of_hours}.",
            param="from",
        )
    if by == By.HOUR and first < _before(today, HOUR_MONTHS * 30):
        raise InvalidRequest(
            f"`from` is too long ago: hours are kept for {HOUR_MONTHS} months. Days are kept "
            "for ever.",
            param="from",
        )
    return Question(span, By(by), form)


def _one_of(query: QueryDict, name: str, allowed: tuple[str, ...], default: str) -> str:
    value = str(query.get(name, default))
    if value not in allowed:
        choices = ", ".join(f"`{one}`" for one in allowed)
        raise InvalidRequest(f"`{name}` must be one of {choices}.", param=name)
    return value


def _day(query: QueryDict, name: str) -> dt.date | None:
    text = query.get(name)
    if text is None:
        return None
    try:
        day = dt.datetime.strptime(str(text), "%Y-%m-%d").replace(tzinfo=dt.UTC).date()
    except ValueError as error:
        raise InvalidRequest(
            f"`{name}` must be a UTC day such as 2026-11-27.", param=name
        ) from error
    if not 2000 <= day.year < 9999:
        raise InvalidRequest(f"`{name}` must be a day from 2000 on.", param=name)
    return day


def _before(day: dt.date, days: int) -> dt.date:
    return day - dt.timedelta(days=days)


def _ends(span: Span) -> dict[str, str]:
    return {"from": span.first.isoformat(), "to": span.last.isoformat()}


def _label(by: By, key: Any, names: dict[Any, tuple[str, str]]) -> dict[str, Any]:
    """What a row is about: an hour's start, a day, a model as it was asked for, or a token."""
    if by is By.HOUR:
        return {"hour": f"{key:%Y-%m-%dT%H:%M:%SZ}"}
    if by is not By.TOKEN:
        return {by.value: str(key)}
    if key == NOBODY:
        return {"token_id": None, "name": "without a token (browser)", "display": None}
    name, display = names.get(key, ("", None))
    return {"token_id": str(key), "name": name, "display": display}


def _figures(figures: Figures) -> dict[str, int]:
    """What users see of them; what the provider took isn't theirs to know."""
    requests = figures.requests
    return {
        "requests": requests,
        "uncharged_requests": figures.free_requests,
        "prompt_tokens": figures.prompt_tokens,
        "completion_tokens": figures.completion_tokens,
        "total_tokens": figures.total_tokens,
        "cached_tokens": figures.cached_tokens,
        "price_micros": figures.price_micros,
        "average_latency_ms": round(figures.latency_ms / requests) if requests > 0 else 0,
    }


async def _names(reads: ReadPool, account_id: Any) -> dict[Any, tuple[str, str]]:
    return {row[0]: (row[1], row[2]) for row in await reads.fetch(_NAMES, (account_id,))}


def _csv_response(
    question: Question, rows: list[dict[str, Any]], headers: dict[str, str]
) -> HttpResponse:
    """RFC 4180: a header, CRLF, quotes where they are needed."""
    columns = [*_COLUMNS[question.by], *_figures(Figures())]
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(columns)
    writer.writerows([_cell(row[column]) for column in columns] for row in rows)
    ends = "-to-".join(_ends(question.span).values())
    name = f"scalix-usage-by-{question.by}-{ends}.csv"
    return HttpResponse(
        text.getvalue(),
        content_type="text/csv; charset=utf-8; header=present",
        headers=headers | {"content-disposition": f'attachment; filename="{name}"'},
    )


def _cell(value: Any) -> Any:
    """A value as a spreadsheet may open it: text that would be run as a formula is only shown."""
    text = isinstance(value, str) and value.startswith(_STARTS_A_FORMULA)
    return f"'{value}" if text else value
