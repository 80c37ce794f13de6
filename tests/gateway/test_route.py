"""Which of a model's deployments are tried, and in which order."""

import uuid
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from accounts.preferences import NONE, Preferences
from gateway.catalogue.snapshot import ModelRow
from gateway.errors import InvalidRequest, ProvidersExhausted
from gateway.health.circuits import FEWEST_FAILURES, Circuits
from gateway.health.grudges import GRUDGE_SECONDS, Grudges
from gateway.health.rests import LONGEST_REST, Rests
from gateway.steps.route import Router
from gateway.types import Balancing, Reservation, Target
from tests.clock import Clock
from tests.gateway.cast import PRO, reservation, target

IMAGE = {"type": "image_url", "image_url": {"url": "data:image/png;base64,"}}
SCHEMA = {"type": "json_schema", "json_schema": {"name": "x", "schema": {}}}


@dataclass
class Rows:
    """Public models, and who serves each."""

    rows: dict[str, ModelRow] = field(default_factory=dict)

    def find(self, name: str) -> ModelRow | None:
        return self.rows.get(name)

    def deployments_of(self, models: Iterable[str]) -> frozenset[str]:
        known = (self.rows[name] for name in models if name in self.rows)
        return frozenset(one.deployment for row in known for one in row.targets)


@dataclass
class World:
    """All that the order depends on."""

    catalogue: Rows = field(default_factory=Rows)
    circuits: Circuits = field(default_factory=Circuits)
    rests: Rests = field(default_factory=Rests)
    grudges: Grudges = field(default_factory=Grudges)
    in_flight: dict[str, int] = field(default_factory=dict)

    def serve(self, model: str, *targets: Target, balancing: Balancing = Balancing.WEIGHT) -> None:
        entry = replace(reservation().model, name=model, balancing=balancing)
        self.catalogue.rows[model] = ModelRow(entry, targets, families=())

    def order(self, asked: Reservation) -> list[str]:
        catalogue: Any = self.catalogue
        router = Router(catalogue, self.circuits, self.rests, self.grudges, self.in_flight)
        return [one.deployment for one in router.route(asked)]


def served(*targets: Target, balancing: Balancing = Balancing.WEIGHT) -> World:
    world = World()
    world.serve("m", *targets, balancing=balancing)
    return world


def by(asked: Reservation, preferences: Preferences = NONE, **caller: Any) -> Reservation:
    return replace(asked, caller=replace(asked.caller, preferences=preferences, **caller))


def test_the_lowest_priority_number_is_tried_first() -> None:
    world = served(target("a", 1), target("b", 2), target("c", 10))
    assert world.order(reservation()) == ["a", "b", "c"]


def test_equals_are_drawn_by_weight_and_all_are_tried() -> None:
    world = served(target("rare", 1, 1), target("often", 1, 9), target("last", 2))
    orders = [world.order(reservation()) for _ in range(2_000)]

    assert {tuple(sorted(one)) for one in orders} == {("last", "often", "rare")}
    assert {one[2] for one in orders} == {"last"}
    first = Counter(one[0] for one in orders)
    assert 0.85 < first["often"] / 2_000 < 0.95


def test_a_weight_of_nothing_is_the_least() -> None:
    world = served(target("none", 1, 0), target("one", 1, 1))
    assert {world.order(reservation())[0] for _ in range(200)} == {"none", "one"}


def test_whoever_has_the_least_to_do_for_its_weight_goes_first_among_equals() -> None:
    world = served(
        target("small", 1, 1),
        target("large", 1, 4),
        target("idle", 2),
        balancing=Balancing.LEAST_CONNECTIONS,
    )
    world.in_flight |= {"small": 1, "large": 3}
    assert world.order(reservation()) == ["large", "small", "idle"]
    world.in_flight["large"] = 5
    assert world.order(reservation()) == ["small", "large", "idle"]
    world.in_flight.clear()
    assert {world.order(reservation())[0] for _ in range(200)} == {"small", "large"}


def test_those_whose_circuit_is_open_come_last_and_in_their_order() -> None:
    world = served(target("a", 1), target("b", 2), target("c", 10), target("d", 20))
    for name in ("a", "b"):
        for _ in range(FEWEST_FAILURES):
            world.circuits.saw(name, "provider_500")
    assert world.order(reservation()) == ["c", "d", "a", "b"]


def test_whoever_said_to_wait_comes_last_until_then_and_for_a_minute_at_most() -> None:
    clock = Clock()
    world = served(target("a", 1), target("b", 2), target("c", 3))
    world.rests = Rests(clock)
    world.rests.told("a", 7.0)
    world.rests.told("b", 86_400.0)
    assert world.order(reservation()) == ["c", "a", "b"]
    clock.now += 7.0
    assert world.order(reservation()) == ["a", "c", "b"]
    clock.now += LONGEST_REST - 7.0
    assert world.order(reservation()) == ["a", "b", "c"]


def test_who_has_just_failed_somebody_comes_later_for_them_alone_and_for_a_while() -> None:
    clock = Clock()
    world = served(target("a", 1), target("b", 2), target("c", 3))
    world.grudges = Grudges(clock)
    alice, bob = reservation(), reservation()
    world.grudges.saw(alice.caller.account_id, "a", "provider_timeout")
    world.grudges.saw(alice.caller.account_id, "b", "capacity_taken")  # which is no failure
    assert world.order(alice) == ["b", "c", "a"]
    assert world.order(bob) == ["a", "b", "c"]
    clock.now += GRUDGE_SECONDS
    assert world.order(alice) == ["a", "b", "c"]


def test_an_answer_ends_a_grudge() -> None:
    grudges, account_id = Grudges(), uuid.uuid4()
    grudges.saw(account_id, "a", "provider_500")
    assert grudges.holds(account_id, "a")
    grudges.saw(account_id, "a", "completed")
    assert not grudges.holds(account_id, "a")


def test_only_pro_is_sent_to_what_pro_is_for() -> None:
    world = served(target("best", 1, tier="pro"), target("free", 2))
    assert world.order(reservation()) == ["free"]
    assert world.order(by(reservation(), limits=PRO)) == ["best", "free"]


@pytest.mark.parametrize(
    ("lacking", "asked", "field_name"),
    [
        ("tools", {"parameters": {"tools": [{"type": "function"}]}}, "tools"),
        ("tools", {"parameters": {"functions": [{"name": "f"}]}}, "tools"),
        ("images", {"messages": ({"role": "user", "content": [IMAGE]},)}, "messages"),
        ("JSON schemas", {"parameters": {"response_format": SCHEMA}}, "response_format"),
        ("requests for several answers", {"choices": 2}, "n"),
    ],
)
def test_what_a_request_needs_is_asked_of_those_that_have_it(
    lacking: str, asked: dict[str, Any], field_name: str
) -> None:
    poor = target("poor", 1, lacks=frozenset({lacking}))
    wanting = reservation()
    wanting = replace(wanting, request=replace(wanting.request, **asked))
    assert served(poor, target("able", 2)).order(wanting) == ["able"]
    assert served(poor, target("able", 2)).order(reservation()) == ["poor", "able"]
    with pytest.raises(InvalidRequest, match=f"just now takes {lacking}") as refusal:
        served(poor).order(wanting)
    assert (refusal.value.code, refusal.value.param) == ("not_supported_by_model", field_name)


def test_a_prompt_goes_where_it_fits_with_its_answer() -> None:
    small = target("small", 1, context_window=100)
    asked = replace(reservation(max_tokens=60), prompt_tokens=41)
    assert served(small, target("large", 2)).order(asked) == ["large"]
    assert served(small).order(replace(asked, prompt_tokens=40)) == ["small"]
    with pytest.raises(InvalidRequest, match=r"101 tokens.*take 100") as refusal:
        served(small).order(asked)
    assert refusal.value.code == "context_length_exceeded"


def pool() -> World:
    world = served(target("flash", 1), target("pro", 2), target("deepseek", 3))
    world.serve("only-flash", target("flash", 1))
    world.serve("only-deepseek", target("deepseek", 1))
    return world


def test_what_the_caller_prefers_is_tried_first_and_the_rest_after_it() -> None:
    preferences = Preferences(preferred=("only-deepseek", "only-flash"))
    assert pool().order(by(reservation(), preferences)) == ["deepseek", "flash", "pro"]


def test_what_the_caller_avoids_is_not_asked() -> None:
    preferences = Preferences(avoided=("only-flash", "unknown"))
    assert pool().order(by(reservation(), preferences)) == ["pro", "deepseek"]


def test_asking_for_an_avoided_model_by_its_name_is_asking() -> None:
    preferences = Preferences(avoided=("only-flash",))
    assert pool().order(by(reservation("only-flash"), preferences)) == ["flash"]


def test_who_avoids_everything_is_told_so() -> None:
    world = served(target("flash", 1), target("deepseek", 2))
    world.serve("both", target("flash", 1), target("deepseek", 2))
    with pytest.raises(InvalidRequest, match="You avoid every model") as refusal:
        world.order(by(reservation(), Preferences(avoided=("both",))))
    assert refusal.value.code == "all_models_avoided"


def test_fallback_models_follow_in_their_order_each_deployment_once() -> None:
    world = pool()
    world.serve("other", target("other", 1), target("flash", 2))
    asked = reservation("only-deepseek", fallbacks=("other", "gone", "only-flash"))
    assert world.order(asked) == ["deepseek", "other", "flash"]


def test_a_fallback_serves_where_the_first_model_can_not() -> None:
    world = served(target("poor", 1, lacks=frozenset({"tools"})))
    world.serve("able", target("able", 1))
    tools = {"tools": [{"type": "function"}]}
    assert world.order(reservation(fallbacks=("able",), parameters=tools)) == ["able"]


@pytest.mark.parametrize("model", ["m", "gone"])
def test_a_model_that_was_switched_off_meanwhile_has_no_provider(model: str) -> None:
    with pytest.raises(ProvidersExhausted, match="Nothing was charged"):
        served().order(reservation(model))


def test_a_target_does_not_show_its_key() -> None:
    assert "sk-" not in repr(target("a", api_key="sk-secret"))
    assert "sk-" not in f"{target('a', api_key='sk-secret')}"
