"""The API's manners: parameters, lists, idempotency, refusals."""

import pytest
import requests
import stripe

from tests.sandbox.running import KEY
from tests.sandbox.shop import DECLINES_LATER, GOOD, Shop, client


def posted(shop: Shop, path: str, body: bytes | str, **headers: str) -> requests.Response:
    return requests.post(
        f"{shop.base}/v1/{path}",
        data=body,
        headers={"Authorization": f"Bearer {KEY}", **headers},
        timeout=10,
    )


def test_another_key_is_refused(shop: Shop) -> None:
    with pytest.raises(stripe.AuthenticationError):
        client(shop.base, "sk_test_other").customers.create({})
    assert requests.get(f"{shop.base}/v1/customers", timeout=10).status_code == 401
    assert requests.get(f"{shop.base}/sandbox/clock", timeout=10).status_code == 401
    assert shop.v1.customers.list().data == []


def test_a_key_gives_the_same_answer_again(shop: Shop) -> None:
    options = {"idempotency_key": "user-1"}
    first = shop.v1.customers.create({"email": "a@example.com"}, options)
    again = shop.v1.customers.create({"email": "a@example.com"}, options)
    assert again.id == first.id
    assert again.last_response.headers["Idempotent-Replayed"] == "true"
    assert "Idempotent-Replayed" not in first.last_response.headers
    assert len(shop.v1.customers.list().data) == 1


def test_a_key_is_good_for_one_request(shop: Shop) -> None:
    options = {"idempotency_key": "user-1"}
    shop.v1.customers.create({"email": "a@example.com"}, options)
    with pytest.raises(stripe.IdempotencyError):
        shop.v1.customers.create({"email": "b@example.com"}, options)
    assert len(shop.v1.customers.list().data) == 1


def test_a_key_of_a_refused_request_can_be_used_again(shop: Shop) -> None:
    options = {"idempotency_key": "refund-1"}
    with pytest.raises(stripe.InvalidRequestError):
        shop.v1.refunds.create({"charge": "ch_none"}, options)
    charge = shop.charge_of(shop.subscribed())
    assert shop.v1.refunds.create({"charge": charge.id}, options).amount == 2999


def test_a_declined_charge_is_answered_the_same_again(shop: Shop) -> None:
    subscription = shop.subscribed(DECLINES_LATER)
    shop.advance(days=32)
    invoice = shop.invoices(subscription.id)[0]
    for _ in range(2):
        with pytest.raises(stripe.CardError):
            shop.v1.invoices.pay(invoice.id, {}, {"idempotency_key": "pay-1"})
    assert shop.invoices(subscription.id)[0].attempt_count == 2


def test_a_lost_answer_is_found_again_by_its_key(shop: Shop) -> None:
    once = client(shop.base, max_network_retries=0)
    shop.control("faults", mode="drop")
    with pytest.raises(stripe.APIConnectionError):
        once.customers.create({"email": "a@example.com"}, {"idempotency_key": "user-1"})
    shop.control("faults", mode="ok")
    again = once.customers.create({"email": "a@example.com"}, {"idempotency_key": "user-1"})
    assert [one.id for one in shop.v1.customers.list().data] == [again.id]


@pytest.mark.parametrize(
    ("mode", "error"), [("503", stripe.APIError), ("429", stripe.RateLimitError)]
)
def test_the_api_can_be_out_of_order(
    shop: Shop, mode: str, error: type[stripe.StripeError]
) -> None:
    shop.control("faults", mode=mode)
    with pytest.raises(error):
        client(shop.base, max_network_retries=0).customers.create({})
    shop.control("faults", mode="ok")
    assert shop.v1.customers.list().data == []


def test_a_failure_is_answered_the_same_again_for_its_key(shop: Shop) -> None:
    once = client(shop.base, max_network_retries=0)
    shop.control("faults", mode="500")
    with pytest.raises(stripe.APIError):
        once.customers.create({}, {"idempotency_key": "user-1"})
    shop.control("faults", mode="ok")
    with pytest.raises(stripe.APIError) as again:
        once.customers.create({}, {"idempotency_key": "user-1"})
    assert again.value.http_status == 500
    assert shop.v1.customers.list().data == []

    once.customers.create({}, {"idempotency_key": "user-1-again"})

    assert len(shop.v1.customers.list().data) == 1


def test_the_api_can_hang(shop: Shop) -> None:
    shop.control("faults", mode="hang", seconds=60)
    impatient = stripe.RequestsClient(timeout=0.2)
    with pytest.raises(stripe.APIConnectionError):
        client(shop.base, http_client=impatient, max_network_retries=0).customers.list()
    shop.control("faults", mode="ok")
    assert shop.v1.customers.list().data == []


def test_an_unknown_parameter_is_refused_and_nothing_is_made(shop: Shop) -> None:
    for call, params in (
        (shop.v1.customers.create, {"emial": "a@example.com"}),
        (shop.v1.products.create, {"name": "Other", "colour": "red"}),
        (shop.v1.coupons.create, {"percent_off": 5, "amount": 3}),
        (shop.v1.customers.list, {"name": "Alice"}),
    ):
        with pytest.raises(stripe.InvalidRequestError) as refused:
            call(params)
        assert refused.value.code == "parameter_unknown"
    assert shop.v1.customers.list().data == []
    assert len(shop.v1.products.list().data) == 1


def test_a_nested_unknown_parameter_is_named(shop: Shop) -> None:
    with pytest.raises(stripe.InvalidRequestError) as refused:
        shop.session(shop.customer().id, subscription_data={"trial": "7"})
    assert refused.value.param == "subscription_data[trial]"


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("customers", b"email=%ff%fe"),
        ("customers", b"\xff\xfe"),
        ("customers", b"[]=1"),
        ("customers", b"a[b=1"),
        ("customers", b"metadata=1&metadata[a]=2"),
        ("customers", b"metadata[a][b]=2"),
        ("customers", b"email[]=a@example.com"),
        ("customers", b"balance=1e9"),
        ("customers", b"balance=" + b"9" * 400),
        ("customers", b"email=" + b"a" * 9000),
        ("customers", b"a" + b"[b]" * 9000 + b"=1"),
        ("customers", b"email=%00"),
        ("products", b"name="),
        ("prices", b"product[]=1"),
        ("prices", b"product=prod_none&unit_amount=-1"),
        ("coupons", b"percent_off=nan"),
        ("coupons", b"percent_off=101"),
        ("checkout/sessions", b"line_items=1"),
        ("checkout/sessions", b"line_items[a][price]=1&mode=payment"),
        ("checkout/sessions", b"customer=cus_none"),
        ("refunds", b"charge[]=1"),
        ("subscriptions/sub_none", b"cancel_at_period_end=perhaps"),
        ("invoices/in_none/pay", b""),
        ("payment_methods/pm_none/attach", b"customer=cus_none"),
        ("billing_portal/sessions", b"return_url=http%3A%2F%2Fx%3B%20script-src%20*"),
        ("billing_portal/configurations", b"features=1"),
        ("billing_portal/configurations", b"features[made_up][enabled]=true"),
        ("billing_portal/configurations", b"features[subscription_update][products]=x"),
        ("billing_portal/configurations", b"features[subscription_update][products][0]=x"),
        ("billing_portal/configurations", b"features[subscription_cancel][mode]=x"),
        ("nothing/there", b""),
        ("%ff", b""),
        ("//", b""),
    ],
)
def test_malformed_input_is_refused_and_never_an_error_of_ours(
    shop: Shop, path: str, body: bytes
) -> None:
    events = shop.happened()
    answer = posted(shop, path, body)
    if body != b"email=%ff%fe":  # what is no UTF-8 within an escape is taken as best it can
        assert 400 <= answer.status_code < 500, answer.text
        assert answer.json()["error"]["type"] == "invalid_request_error"
        assert shop.happened() == events
    assert answer.status_code < 500


@pytest.mark.parametrize(
    "query",
    [
        "limit=0",
        "limit=101",
        "limit=x",
        "created[gte]=x",
        "created=x",
        "starting_after=evt_none",
        "delivery_success=perhaps",
        "types=x",
        "&".join("types[]=a" for _ in range(21)),
    ],
)
def test_a_malformed_list_is_refused(shop: Shop, query: str) -> None:
    headers = {"Authorization": f"Bearer {KEY}"}
    answer = requests.get(f"{shop.base}/v1/events?{query}", headers=headers, timeout=10)
    assert answer.status_code in (400, 404), answer.text


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("pay", "nonsense"),
        ("pay", "[]"),
        ("pay", '{"session": 5, "number": []}'),
        ("pay", '{"session": "\\ud800", "number": "4242424242424242"}'),
        ("clock", '{"advance": "x"}'),
        ("clock", '{"advance": -1}'),
        ("clock", '{"advance": 1e400}'),
        ("clock", '{"advance": 99999999999}'),
        ("faults", '{"mode": "fire"}'),
        ("faults", '{"mode": "ok", "seconds": true}'),
        ("dispute", "{}"),
        ("subscription", '{"id": "sub_none"}'),
        ("redeliver", '{"event": "evt_none"}'),
        ("deliveries", '{"mode": "ok", "more": 1}'),
        ("clock", "[" * 100_000),
    ],
)
def test_a_malformed_control_is_refused(shop: Shop, path: str, body: str) -> None:
    headers = {"Authorization": f"Bearer {KEY}"}
    answer = requests.post(f"{shop.base}/sandbox/{path}", data=body, headers=headers, timeout=10)
    assert 400 <= answer.status_code < 500, answer.text


def test_headers_that_are_no_ascii_are_refused(shop: Shop) -> None:
    assert posted(shop, "customers", b"", **{"Idempotency-Key": "\xff"}).status_code == 400
    assert posted(shop, "customers", b"", **{"Idempotency-Key": "k" * 256}).status_code == 400
    for key in ("Bearer \xff", "Basic \xff", "Basic AAAA", "Basic ====", ""):
        refused = posted(shop, "customers", b"", Authorization=key)
        assert refused.status_code == 401


def test_lists_go_on_in_pages_both_ways(shop: Shop) -> None:
    ids = [shop.customer().id for _ in range(5)][::-1]
    page = shop.v1.customers.list({"limit": 2})
    assert ([one.id for one in page.data], page.has_more) == (ids[:2], True)
    assert [one.id for one in page.auto_paging_iter()] == ids
    back = shop.v1.customers.list({"limit": 2, "ending_before": ids[4]})
    assert ([one.id for one in back.data], back.has_more) == (ids[2:4], True)


def test_subscriptions_are_listed_without_those_that_ended_unless_asked_for(shop: Shop) -> None:
    subscription = shop.subscribed()
    shop.v1.subscriptions.cancel(subscription.id)
    assert shop.v1.subscriptions.list().data == []
    assert len(shop.v1.subscriptions.list({"status": "all"}).data) == 1
    assert len(shop.v1.subscriptions.list({"status": "canceled"}).data) == 1
    assert shop.v1.subscriptions.list({"status": "active"}).data == []


def test_events_are_listed_by_time_and_type(shop: Shop) -> None:
    subscription = shop.subscribed()
    shop.advance(days=32)
    renewed = shop.subscription(subscription.id)["items"].data[0].current_period_start
    since = shop.v1.events.list({"created": {"gte": renewed}, "types": ["invoice.paid"]})
    assert [one.type for one in since.data] == ["invoice.paid"]
    assert len(shop.v1.events.list({"type": "invoice.paid"}).data) == 2


def test_a_price_s_lookup_key_moves_only_when_asked_to(shop: Shop) -> None:
    first = shop.price(2999, "month", lookup_key="pro")
    with pytest.raises(stripe.InvalidRequestError):
        shop.price(3999, "month", lookup_key="pro")
    second = shop.price(3999, "month", lookup_key="pro", transfer_lookup_key=True)
    (found,) = shop.v1.prices.list({"lookup_keys": ["pro"], "active": True}).data
    assert found.id == second.id
    assert shop.v1.prices.retrieve(first.id).lookup_key is None


def test_a_retired_price_is_not_sold(shop: Shop) -> None:
    shop.v1.prices.update(shop.monthly.id, {"active": False, "metadata": {"old": "yes"}})
    with pytest.raises(stripe.InvalidRequestError):
        shop.session(shop.customer().id)
    assert shop.monthly.id not in {one.id for one in shop.v1.prices.list({"active": True}).data}


def test_metadata_is_merged_and_an_empty_value_takes_a_key_away(shop: Shop) -> None:
    customer = shop.v1.customers.create({"metadata": {"a": "1", "b": "2"}})
    shop.v1.customers.update(customer.id, {"metadata": {"a": "", "c": "3"}, "name": "Alice"})
    found = shop.v1.customers.retrieve(customer.id)
    assert (found.metadata.to_dict(), found.name) == ({"b": "2", "c": "3"}, "Alice")


def test_products_and_coupons_change_what_may_change(shop: Shop) -> None:
    assert shop.v1.products.update(shop.product.id, {"name": "Pro 2"}).name == "Pro 2"
    coupon = shop.v1.coupons.create({"id": "half", "percent_off": 50, "duration": "once"})
    assert shop.v1.coupons.update(coupon.id, {"name": "Half"}).name == "Half"
    with pytest.raises(stripe.InvalidRequestError):
        shop.v1.coupons.update(coupon.id, {"percent_off": 60})
    with pytest.raises(stripe.InvalidRequestError) as taken:
        shop.v1.coupons.create({"id": "half", "percent_off": 5})
    assert taken.value.code == "resource_already_exists"
    assert shop.v1.coupons.delete("half").deleted
    with pytest.raises(stripe.InvalidRequestError):
        shop.v1.coupons.retrieve("half")


def test_the_portal_s_settings_are_kept_and_changed(shop: Shop) -> None:
    configurations = shop.v1.billing_portal.configurations
    features = {
        "subscription_cancel": {"enabled": True, "mode": "at_period_end"},
        "subscription_update": {
            "enabled": True,
            "default_allowed_updates": ["price"],
            "products": [{"product": shop.product.id, "prices": [shop.monthly.id]}],
        },
    }
    made = configurations.create({"features": features, "metadata": {"key": "1"}})
    kept = made.features.to_dict()
    assert kept["subscription_update"]["products"][0]["prices"] == [shop.monthly.id]
    assert kept["invoice_history"]["enabled"] is False
    configurations.update(made.id, {"active": False})
    assert configurations.list({"active": True}).data == []
    assert configurations.retrieve(made.id).metadata["key"] == "1"


def test_the_account_is_the_same_each_time(shop: Shop) -> None:
    first = shop.v1.accounts.retrieve_current()
    assert first.id == shop.v1.accounts.retrieve_current().id


def test_a_card_of_somebody_else_is_not_used(shop: Shop) -> None:
    subscription = shop.subscribed()
    card = shop.v1.payment_methods.attach("pm_card_visa", {"customer": shop.customer().id})
    with pytest.raises(stripe.InvalidRequestError):
        shop.v1.subscriptions.update(subscription.id, {"default_payment_method": card.id})


def test_what_only_the_sandbox_knows_is_never_shown(shop: Shop) -> None:
    session = shop.session(shop.customer().id)
    shop.control("pay", session=session.id, number=GOOD)
    for path in ("checkout/sessions", "subscriptions", "payment_methods", "invoices", "events"):
        headers = {"Authorization": f"Bearer {KEY}"}
        text = requests.get(f"{shop.base}/v1/{path}?limit=100", headers=headers, timeout=10).text
        assert '"_' not in text
