"""Webhooks: signed, retried, held back, lost, sent again."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.sandbox.receiver import Receiver
from tests.sandbox.running import RunningSandbox
from tests.sandbox.shop import Shop


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as running:
        yield running


@pytest.fixture
def shop(receiver: Receiver, tmp_path: Path) -> Iterator[Shop]:
    """A shop that has heard of everything up to now."""
    with RunningSandbox(tmp_path / "state.sqlite3", webhook=receiver.address) as running:
        shop = Shop(running.base)
        for _ in shop.events():
            receiver.next()
        settled(lambda: states(shop) == {"delivered"})
        yield shop


def states(shop: Shop) -> set[str]:
    return {one["state"] for one in shop.control("deliveries", "GET")["data"]}


def last(shop: Shop) -> dict[str, object]:
    found: dict[str, object] = shop.control("deliveries", "GET")["data"][-1]
    return found


def settled(condition: Callable[[], object]) -> None:
    end = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_an_event_arrives_signed_as_the_api_shows_it(shop: Shop, receiver: Receiver) -> None:
    customer = shop.customer()
    event = receiver.next()
    assert event["type"] == "customer.created"
    assert event["data"]["object"]["id"] == customer.id
    settled(lambda: states(shop) == {"delivered"})
    listed = shop.v1.events.retrieve(event["id"]).to_dict()
    assert (listed["pending_webhooks"], event["pending_webhooks"]) == (0, 1)
    assert {**listed, "pending_webhooks": 1} == event


def test_an_event_that_is_refused_comes_again(shop: Shop, receiver: Receiver) -> None:
    for status in (500, 503, 302):
        receiver.answers.put(status)
    shop.customer()
    tries = [receiver.next()["id"] for _ in range(4)]
    assert len(set(tries)) == 1
    settled(lambda: last(shop)["state"] == "delivered")
    assert (last(shop)["attempts"], last(shop)["answer"]) == (4, "200")


def test_events_that_did_not_arrive_can_be_listed(shop: Shop, receiver: Receiver) -> None:
    shop.control("deliveries", mode="hold")
    shop.customer()
    (waiting,) = shop.v1.events.list({"delivery_success": False}).data
    assert waiting.type == "customer.created"
    shop.control("deliveries", mode="ok")
    assert receiver.next()["id"] == waiting.id
    settled(lambda: shop.v1.events.list({"delivery_success": False}).data == [])
    assert waiting.id in {one.id for one in shop.v1.events.list({"delivery_success": True}).data}


def test_a_lost_event_never_arrives_unless_it_is_sent_again(shop: Shop, receiver: Receiver) -> None:
    shop.control("deliveries", mode="drop")
    shop.customer()
    shop.control("deliveries", mode="ok")
    kept = shop.v1.customers.create({"email": "kept@example.com"})
    assert receiver.next()["data"]["object"]["id"] == kept.id
    lost = shop.events("customer.created")[1]
    shop.control("redeliver", event=lost.id)
    assert receiver.next()["id"] == lost.id


def test_a_slow_answer_holds_no_other_event_up(shop: Shop, receiver: Receiver) -> None:
    receiver.slow.set()
    shop.subscribed()
    receiver.until("checkout.session.completed")  # though no invoice's webhook has been answered
    assert "pending" in states(shop)
    receiver.go.set()
    settled(lambda: states(shop) == {"delivered"})


def test_what_waits_is_given_up_once_deliveries_are_dropped(shop: Shop, receiver: Receiver) -> None:
    shop.control("deliveries", mode="hold")
    shop.customer()
    assert last(shop)["state"] == "pending"
    shop.control("deliveries", mode="drop")
    assert last(shop)["state"] == "given_up"
