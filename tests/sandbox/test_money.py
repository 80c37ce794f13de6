"""Refunds, disputes and balances."""

import pytest
import stripe

from tests.sandbox.shop import Shop


def test_a_payment_is_refunded_in_parts_and_then_in_full(shop: Shop) -> None:
    charge = shop.charge_of(shop.subscribed())
    refund = shop.v1.refunds.create({"payment_intent": charge.payment_intent, "amount": 1000})
    assert (refund.amount, refund.status) == (1000, "succeeded")
    found = shop.v1.charges.retrieve(charge.id)
    assert (found.amount_refunded, found.refunded) == (1000, False)
    rest = shop.v1.refunds.create({"charge": charge.id, "metadata": {"by": "shop"}})
    assert (rest.amount, rest.metadata["by"]) == (1999, "shop")
    found = shop.v1.charges.retrieve(charge.id)
    assert (found.amount_refunded, found.refunded) == (2999, True)
    assert [event.data.object.amount_refunded for event in shop.events("charge.refunded")] == [
        2999,
        1000,
    ]


def test_nothing_is_refunded_twice(shop: Shop) -> None:
    charge = shop.charge_of(shop.subscribed())
    shop.v1.refunds.create({"charge": charge.id})
    with pytest.raises(stripe.InvalidRequestError) as refused:
        shop.v1.refunds.create({"charge": charge.id})
    assert refused.value.code == "charge_already_refunded"
    assert len(shop.v1.refunds.list({"charge": charge.id}).data) == 1


def test_more_than_was_paid_is_not_refunded(shop: Shop) -> None:
    charge = shop.charge_of(shop.subscribed())
    with pytest.raises(stripe.InvalidRequestError):
        shop.v1.refunds.create({"charge": charge.id, "amount": 3000})
    assert shop.v1.charges.retrieve(charge.id).amount_refunded == 0


@pytest.mark.parametrize("decision", ["won", "lost"])
def test_a_dispute_is_opened_and_decided(shop: Shop, decision: str) -> None:
    charge = shop.charge_of(shop.subscribed())
    shop.control("dispute", charge=charge.id)
    assert shop.v1.charges.retrieve(charge.id).disputed
    (dispute,) = shop.v1.disputes.list({"payment_intent": charge.payment_intent}).data
    assert (dispute.status, dispute.amount) == ("needs_response", 2999)
    shop.control("dispute", charge=charge.id, status=decision)
    assert shop.v1.disputes.retrieve(dispute.id).status == decision
    assert shop.happened()[-2:] == ["charge.dispute.created", "charge.dispute.closed"]
    again = shop.control_answer("dispute", charge=charge.id, status="won")
    assert again.status_code == 400


def test_a_balance_moves_and_says_where_it_ended(shop: Shop) -> None:
    customer = shop.customer()
    for cents, ends in ((-600, -600), (200, -400)):
        moved = shop.v1.customers.balance_transactions.create(
            customer.id, {"amount": cents, "currency": "usd", "description": "thanks"}
        )
        assert (moved.amount, moved.ending_balance) == (cents, ends)
    assert shop.v1.customers.retrieve(customer.id).balance == -400


def test_a_deleted_customer_is_known_as_such_and_pays_no_more(shop: Shop) -> None:
    subscription = shop.subscribed()
    customer = str(subscription.customer)
    session = shop.session(customer)
    assert shop.v1.customers.delete(customer).deleted
    assert shop.v1.customers.retrieve(customer).to_dict() == {
        "id": customer,
        "object": "customer",
        "deleted": True,
    }
    assert shop.v1.customers.list().data == []
    assert shop.subscription(subscription.id).status == "canceled"
    assert shop.v1.checkout.sessions.retrieve(session.id).status == "expired"
    assert shop.happened()[-1] == "customer.deleted"
    with pytest.raises(stripe.InvalidRequestError) as refused:
        shop.session(customer)
    assert refused.value.code == "resource_missing"
    shop.advance(days=40)
    assert len(shop.invoices(subscription.id)) == 1
