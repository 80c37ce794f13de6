"""Step 2: may this caller make this request?  If so it is booked and written down, else nothing is.

Order: what costs nothing to refuse (model, plan, prompt size), the counters, the ledger's row.
"""

import asyncio
import datetime as dt
import logging
import uuid
from dataclasses import dataclass, replace

from accounts.identifiers import uuid7
from accounts.postgres import PostgresUnavailable
from billing import gates
from billing.metering.bookings import Bookings, NotLiving, RowOf
from billing.metering.decision import decided
from billing.metering.ledger import Intent, LedgerUnavailable
from billing.metering.quota import QuotaBooking, QuotaRefused, QuotaRequest, QuotaUnavailable
from billing.plans import Limits, PlanBook
from billing.prompts import Trigger, upgrade_url
from gateway.catalogue.snapshot import Catalogue, ModelRow
from gateway.errors import (
    InvalidRequest,
    LimitReached,
    ModelNotInPlan,
    StoreUnavailable,
    UnknownModel,
)
from gateway.refusals import explain, plan_with_it, trigger_of
from gateway.sizing.families import Family
from gateway.sizing.prompt import PromptSize, bound, counted, measure
from gateway.types import Asked, Caller, EmbeddingRequest, Kind, ModelEntry, Reservation

logger = logging.getLogger(__name__)

_TOKENIZE_ELSEWHERE = 50_000  # characters: from there on tokenizing takes longer than a thread hop


@dataclass(frozen=True, slots=True)
class Admission:
    """Admits requests: the facts it decides on, and the stores it books in."""

    catalogue: Catalogue
    plans: PlanBook
    bookings: Bookings
    process_id: uuid.UUID
    longest: dt.timedelta

    async def admit(self, caller: Caller, request: Asked, request_id: uuid.UUID) -> Reservation:
        """A committed reservation under this id, or a GatewayError and nothing booked."""
        model, size, asked, wanted = await self._weigh(caller, request, request_id)
        booking = await self._open(
            wanted, lambda booking: self._row_of(caller, request, wanted, booking)
        )
        granted = _granted(request, booking)
        return Reservation(
            request_id=request_id,
            caller=caller,
            model=model,
            request=request.granted(granted),
            prompt_tokens=size.counted,
            prompt_bound=wanted.prompt_tokens,
            usage=booking.usage,
            lowered_max_tokens=_lowered(request, asked, granted),
            admitted_at=booking.usage.counters.at,
            deadline_at=_moment(wanted.deadline_ms),
            longest_input=size.longest,
        )

    async def check(self, caller: Caller, request: Asked) -> QuotaRequest:
        """What would be booked if it were admitted now; the GatewayError that it would get."""
        _, _, _, wanted = await self._weigh(caller, request, uuid7())
        account = None if caller.is_new else caller.account_id
        try:
            usage = await self.bookings.quota.peek(
                account, caller.limits, address=caller.address, session=caller.session
            )
            return replace(wanted, output_tokens=decided(usage, wanted))
        except QuotaRefused as error:
            raise refusal(error) from None
        except (QuotaUnavailable, PostgresUnavailable) as error:
            raise StoreUnavailable("The counters are away, so nothing can be counted.") from error

    async def _weigh(
        self, caller: Caller, request: Asked, request_id: uuid.UUID
    ) -> tuple[ModelEntry, "_Weight", int | None, QuotaRequest]:
        """What costs nothing to refuse: the model, the prompt's tokens, the output that is asked
        for, and what all that is to be booked as.
        """
        row = self.model_for(caller, request.model, request.kind)
        others = [self.model_for(caller, name, request.kind) for name in request.fallbacks]
        families = _families(row, others)
        size = await self.size_of(request, caller.limits)
        weight = _Weight(counted(size, families), size.longest)
        asked = self._output_tokens(caller.limits, row.entry, request, weight)
        deadline_at = dt.datetime.now(dt.UTC) + self.longest
        wanted = QuotaRequest(
            request_id=request_id,
            account_id=caller.account_id,
            limits=caller.limits,
            prompt_tokens=bound(size, families),
            output_tokens=None if asked is None else asked * request.choices,
            least_output_tokens=0 if request.kind is Kind.EMBEDDING else request.choices,
            deadline_ms=int(deadline_at.timestamp() * 1000),
            session=caller.session,
            address=caller.address,
        )
        return row.entry, weight, asked, wanted

    async def _open(self, wanted: QuotaRequest, row_of: RowOf) -> QuotaBooking:
        try:
            return await self.bookings.open(wanted, row_of)
        except QuotaRefused as error:
            raise refusal(error) from None
        except QuotaUnavailable as error:
            raise StoreUnavailable("The counters are away, so nothing can be counted.") from error
        except (LedgerUnavailable, PostgresUnavailable) as error:
            raise StoreUnavailable("The ledger is away, so nothing can be counted.") from error
        except NotLiving as error:
            raise StoreUnavailable("This server was cut off for a moment. Try again.") from error

    def model_for(self, caller: Caller, name: str, kind: Kind) -> ModelRow:
        """The model of this name; UnknownModel, ModelNotInPlan, or InvalidRequest for one that
        does something else.
        """
        row = self.catalogue.find(name)
        tier = caller.limits.tier
        if row is not None and row.entry.kind != kind:
            raise _other_kind(row.entry, kind)
        if row is not None and row.targets and gates.may_use(tier, row.entry.tier):
            return row
        available = [entry.name for entry in self.catalogue.available_to(tier, kind)]
        if row is None:
            nearest = self.catalogue.nearest(name, tier, kind)
            meant = f" Did you mean {' or '.join(nearest)}?" if nearest else ""
            raise UnknownModel(
                f"There is no model {name!r}.{meant} GET /v1/models lists yours.",
                metadata={"did_you_mean": nearest, "available_models": available},
            )
        if not gates.may_use(tier, row.entry.tier):
            link = upgrade_url(Trigger.QUALITY)
            raise ModelNotInPlan(
                f"The model {name} needs the {row.entry.tier} plan; you are on "
                f"{caller.limits.title.lower()}. Upgrade: {link}",
                metadata={
                    "required_plan": row.entry.tier,
                    "plan": tier,
                    "available_models": available,
                    "upgrade_url": link,
                },
            )
        raise UnknownModel(
            f"The model {name} is not switched on here: no provider is configured for it. "
            "GET /v1/models lists those that are.",
            metadata={"available_models": available},
        )

    async def size_of(self, request: Asked, limits: Limits) -> PromptSize:
        """The prompt's size; InvalidRequest where it is longer than the plan takes."""
        characters = sum(map(len, request.prompt_texts()))
        if not gates.takes_prompt(limits, characters):
            sentence, offered = plan_with_it(
                gates.lowest_above(
                    limits.tier,
                    self.plans.all,
                    lambda plan: gates.takes_prompt(plan, characters),
                ),
                Trigger.PRO_FEATURE,
            )
            most = limits.prompt_characters
            raise InvalidRequest(
                f"The prompt has {characters:,} characters; the {limits.title.lower()} plan takes "
                f"{most:,}.{sentence}",
                code="prompt_too_long",
                param=request.prompt_field,
                metadata={"characters": characters, "max": most} | offered,
            )
        if characters > _TOKENIZE_ELSEWHERE:
            return await asyncio.to_thread(measure, request)
        return measure(request)

    def _output_tokens(
        self, limits: Limits, model: ModelEntry, request: Asked, weight: "_Weight"
    ) -> int | None:
        """The most that each choice may answer; None where neither request nor plan limits it."""
        room = self._room(limits, model, request, weight)
        if isinstance(request, EmbeddingRequest):
            return 0
        asked = request.max_tokens or limits.default_max_tokens
        if asked is None and limits.tokens_per_day is None:
            return None
        most = min(model.max_output_tokens, room)
        return max(1, min(asked or most, most))

    def _room(self, limits: Limits, model: ModelEntry, request: Asked, weight: "_Weight") -> int:
        """What the context window has left beside what is read at once; InvalidRequest."""
        window = gates.context_window(limits, model.context_window)
        # A window that the prompt fills has no room for an answer; an input needs none.
        alone = weight.longest is not None
        tokens = weight.counted if weight.longest is None else weight.longest
        if tokens >= window + alone:
            sentence, offered = plan_with_it(
                gates.lowest_above(
                    limits.tier,
                    self.plans.all,
                    lambda plan: tokens < gates.context_window(plan, model.context_window) + alone,
                ),
                Trigger.PRO_FEATURE,
            )
            what = "longest text" if alone else "prompt"
            raise InvalidRequest(
                f"The {what} has about {tokens:,} tokens; the context window of "
                f"{model.name} on the {limits.title.lower()} plan is {window:,}.{sentence}",
                code="context_length_exceeded",
                param=request.prompt_field,
                metadata={"prompt_tokens": tokens, "context_window": window} | offered,
            )
        return window - tokens

    def _row_of(
        self, caller: Caller, request: Asked, wanted: QuotaRequest, booking: QuotaBooking
    ) -> Intent:
        output = (_granted(request, booking) or 0) * request.choices
        return Intent(
            id=wanted.request_id,
            account_id=caller.account_id,
            token_id=caller.token_id,
            tier=caller.limits.tier,
            model=request.model,
            streamed=request.stream,
            reserved_tokens=wanted.prompt_tokens + output,
            admitted_at=booking.usage.counters.at,
            deadline_at=_moment(wanted.deadline_ms),
            process_id=self.process_id,
            address=caller.address,
            address_counted=caller.counted_address is not None,
            session=caller.session,
            generation=booking.generation,
        )


@dataclass(frozen=True, slots=True)
class _Weight:
    """The tokens of a prompt, all together, and of its longest text where each is read alone."""

    counted: int
    longest: int | None


def _other_kind(model: ModelEntry, kind: Kind) -> InvalidRequest:
    """A model that does not do what is asked."""
    gives, path = (
        ("embeddings", "/v1/embeddings")
        if model.kind == Kind.EMBEDDING
        else ("answers", "/v1/chat/completions")
    )
    return InvalidRequest(
        f"{model.name} gives {gives}: ask it at {path}. GET /v1/models says what each model gives.",
        code="wrong_kind_of_model",
        param="model",
        metadata={"kind": model.kind, "asked": kind.value},
    )


def _families(row: ModelRow, fallbacks: list[ModelRow]) -> tuple[Family, ...]:
    """Of all models that may have to read the prompt."""
    if not fallbacks:
        return row.families
    return tuple(dict.fromkeys(one for each in (row, *fallbacks) for one in each.families))


def refusal(error: QuotaRefused) -> LimitReached:
    """The refusal as the caller is to read it."""
    soon = error.limit.resets_at is None or error.limit.name == "address_requests_per_minute"
    link = upgrade_url(trigger_of(error.limit))
    return LimitReached(
        explain(error.usage, error.limit, error.tokens_needed, link),
        code="rate_limit_exceeded" if soon else "insufficient_quota",
        usage=error.usage,
        limit=error.limit,
    )


def _granted(request: Asked, booking: QuotaBooking) -> int | None:
    """The most that each choice may answer, as it was booked; None: nothing limits it."""
    output = booking.output_tokens
    return None if output is None else output // request.choices


def _moment(milliseconds: int) -> dt.datetime:
    return dt.datetime.fromtimestamp(milliseconds / 1000, dt.UTC)


def _lowered(request: Asked, asked: int | None, granted: int | None) -> int | None:
    """What is granted, where it is less than the caller named, or the plan for them."""
    wanted = request.max_tokens or asked
    return granted if granted is not None and wanted is not None and granted < wanted else None
