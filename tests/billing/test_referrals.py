"""Users who bring users: both gain once, nobody gains from themselves."""

import datetime as dt
from dataclasses import replace
from typing import Any

import pytest
from django.db.models import QuerySet
from django.test import Client
from django.utils import timezone

from accounts import visitors
from accounts.identifiers import uuid7
from accounts.models import User, Visitor
from billing.payments import checkout, inbox, referrals
from billing.payments.models import Checkout, Customer, OutgoingMail, Referral
from billing.payments.states import CardState
from tests.billing.fake_stripe import FakeStripe, subscription
from tests.conftest import Person

NEW = {"email": "dora@example.com", "password1": "correct horse battery"}


def sign_up(browser: Client, **changed: str) -> User:
    """Signs up in this browser as a person does."""
    form = NEW | changed
    answer = browser.post("/signup/", form)
    assert answer.status_code == 302, answer.content.decode()
    return User.objects.get(email__iexact=form["email"])


def of(user: User) -> QuerySet[Referral]:
    return Referral.objects.filter(referred=user)


def brought_by(person: Person, browser: Client | None = None, **changed: str) -> User:
    browser = browser or Client()
    browser.get(f"/r/{referrals.code_of(person.user)}/")
    return sign_up(browser, **changed)


def test_who_signs_up_with_a_link_was_brought_by_its_owner(flush: object, bob: Person) -> None:
    dora = brought_by(bob)

    referral = of(dora).get()
    assert (referral.referrer, referral.state) == (bob.user, "waiting")
    offers = checkout.offers_for(dora, None)
    assert (offers.monthly.total_cents, offers.annual.total_cents) == (1199, 23032)


def test_who_signs_up_without_a_link_was_brought_by_nobody(flush: object, bob: Person) -> None:
    assert not of(sign_up(Client())).exists()


@pytest.mark.parametrize("code", ["nobodys", "0", "x" * 400])
def test_a_code_that_is_nobodys_is_not_remembered(flush: object, bob: Person, code: str) -> None:
    browser = Client()
    answer = browser.get(f"/r/{code}/")

    assert answer["location"] == "/"
    assert not of(sign_up(browser)).exists()


def test_a_cookie_that_somebody_made_up_counts_for_nothing(flush: object, bob: Person) -> None:
    browser = Client()
    browser.cookies["scalix_recommended"] = referrals.code_of(bob.user)

    assert not of(sign_up(browser)).exists()


def test_who_has_an_account_already_is_not_brought_by_a_link(
    flush: object, bob: Person, alice: Person
) -> None:
    browser = Client()
    browser.force_login(alice.user)
    browser.get(f"/r/{referrals.code_of(bob.user)}/")

    assert not Referral.objects.exists()
    assert "scalix_recommended" not in browser.cookies


@pytest.mark.parametrize("email", ["bob+free@example.com", "BOB+1@example.com"])
def test_the_same_mailbox_gains_nothing(flush: object, bob: Person, email: str) -> None:
    again = brought_by(bob, email=email)

    assert of(again).get().state == "void"
    assert checkout.offers_for(again, None).monthly.total_cents == 1499


def test_dots_don_t_make_another_mailbox_where_they_don_t_count() -> None:
    assert referrals.mailbox("B.o.b+x@Gmail.com") == referrals.mailbox("bob@googlemail.com")
    assert referrals.mailbox("b.ob@example.com") != referrals.mailbox("bob@example.com")


def test_the_same_browser_gains_nothing(flush: object, bob: Person) -> None:
    browser = Client()
    visitor = Visitor.objects.create(id=uuid7(), became=bob.user)
    browser.cookies[visitors.COOKIE] = visitors.credential_for(visitor.pk)

    assert of(brought_by(bob, browser)).get().reason == "the same browser as the referrer's"


def test_a_referral_ends_after_thirty_days(flush: object, bob: Person) -> None:
    dora = brought_by(bob)
    Referral.objects.update(expires_at=timezone.now() - dt.timedelta(seconds=1))

    assert checkout.offers_for(dora, None).monthly.total_cents == 1499


# When the other has paid --------------------------------------------------------------------


@pytest.fixture
def dora(db: None, bob: Person) -> Customer:
    """Whom Bob has brought, known to Stripe as cus_2."""
    user = User.objects.create_user("dora@example.com", "correct horse battery")
    referrals.record(referrals.code_of(bob.user), user, None)
    return Customer.objects.create(user=user, mode="sandbox", stripe_id="cus_2")


def pays(customer: Customer, stripe: FakeStripe) -> None:
    assert customer.stripe_id
    stripe.set(customer.stripe_id, subscription())
    Customer.objects.filter(pk=customer.pk).update(refresh_wanted_at=timezone.now())
    inbox.drain(stripe)
    inbox.drain(stripe)


def test_a_free_referrer_has_a_discount_once_the_other_has_paid(
    stripe_double: FakeStripe, bob: Person, dora: Customer
) -> None:
    assert checkout.offers_for(bob.user, None).monthly.total_cents == 1499
    pays(dora, stripe_double)

    assert of(dora.user).get().state == "earned"
    assert checkout.offers_for(bob.user, None).monthly.total_cents == 1199
    assert stripe_double.credits == []


def test_a_referrer_on_pro_has_a_credit_once_and_is_told(
    stripe_double: FakeStripe, customer: Customer, dora: Customer
) -> None:
    pays(customer, stripe_double)
    pays(dora, stripe_double)
    pays(dora, stripe_double)
    pays(customer, stripe_double)

    assert stripe_double.credits == [("cus_1", 600)]
    referral = of(dora.user).get()
    assert (referral.state, referral.credit_cents) == ("rewarded", 600)
    assert OutgoingMail.objects.filter(kind="referral_rewarded").count() == 1


def test_what_was_earned_before_is_credited_when_the_referrer_upgrades(
    stripe_double: FakeStripe, customer: Customer, dora: Customer
) -> None:
    pays(dora, stripe_double)
    pays(customer, stripe_double)

    assert stripe_double.credits == [("cus_1", 600)]


def test_the_referrers_own_card_gains_nothing(
    stripe_double: FakeStripe, customer: Customer, dora: Customer
) -> None:
    card = CardState("visa", "4242", "fingerprint")
    stripe_double.cards = {"cus_1": card, "cus_2": card}
    pays(customer, stripe_double)
    pays(dora, stripe_double)

    referral = of(dora.user).get()
    assert (referral.state, referral.reason) == ("void", "both pay with the same card")
    assert stripe_double.credits == []


def uses(customer: Customer, referral: Referral) -> None:
    """The customer's Checkout, with the discount of this referral, is paid."""
    Checkout.objects.create(
        customer=customer,
        stripe_id="cs_1",
        url="http://127.0.0.1:9/",
        price_key="scalix_pro_monthly",
        lines=[],
        total_cents=1199,
        referral=referral,
        expires_at=timezone.now() + dt.timedelta(minutes=31),
    )


@pytest.mark.parametrize(("own", "state"), [("fingerprint", "void"), ("another", "rewarded")])
def test_the_referrers_own_card_gains_nothing_where_it_is_known_only_at_their_own_upgrade(
    own: str, state: str, stripe_double: FakeStripe, customer: Customer, dora: Customer
) -> None:
    stripe_double.cards = {"cus_2": CardState("visa", "4242", "fingerprint")}
    pays(dora, stripe_double)
    assert of(dora.user).get().state == "earned"
    stripe_double.cards["cus_1"] = CardState("visa", "4242", own)
    uses(customer, of(dora.user).get())

    pays(customer, stripe_double)

    referral = of(dora.user).get()
    assert (referral.state, bool(referral.rewarded_at)) == (state, state == "rewarded")
    assert stripe_double.credits == []


@pytest.mark.parametrize("status", ["active", "canceled"])
@pytest.mark.parametrize("fields", [{"refunded_cents": 2999}, {"dispute": "lost"}])
def test_what_was_earned_is_void_once_the_payment_that_earned_it_is_taken_back(
    fields: dict[str, Any],
    status: str,
    stripe_double: FakeStripe,
    customer: Customer,
    dora: Customer,
) -> None:
    pays(dora, stripe_double)
    assert of(dora.user).get().state == "earned"
    paid = subscription(status)
    stripe_double.set("cus_2", replace(paid, invoices=(replace(paid.invoices[0], **fields),)))
    Customer.objects.filter(pk=dora.pk).update(refresh_wanted_at=timezone.now())
    inbox.drain(stripe_double)

    referral = of(dora.user).get()
    assert (referral.state, referral.reason) == (
        "void",
        "the payment that earned it was taken back",
    )
    assert checkout.offers_for(customer.user, None).monthly.total_cents == 1499
    pays(customer, stripe_double)
    assert stripe_double.credits == []


def test_what_was_earned_stays_when_the_other_just_stops_paying(
    stripe_double: FakeStripe, customer: Customer, dora: Customer
) -> None:
    pays(dora, stripe_double)
    stripe_double.set("cus_2", subscription("canceled"))
    Customer.objects.filter(pk=dora.pk).update(refresh_wanted_at=timezone.now())
    inbox.drain(stripe_double)

    assert of(dora.user).get().state == "earned"


def test_nothing_is_earned_by_whoever_pays_after_the_referral_has_expired(
    stripe_double: FakeStripe, customer: Customer, dora: Customer
) -> None:
    Referral.objects.update(expires_at=timezone.now() - dt.timedelta(days=41))
    pays(customer, stripe_double)
    pays(dora, stripe_double)

    assert of(dora.user).get().state == "void"
    assert stripe_double.credits == []


def test_a_referral_that_staff_took_back_pays_nothing(
    stripe_double: FakeStripe, customer: Customer, dora: Customer
) -> None:
    assert referrals.void(of(dora.user).get(), "fraud")
    pays(customer, stripe_double)
    pays(dora, stripe_double)

    assert of(dora.user).get().reason == "fraud"
    assert stripe_double.credits == []


def test_stripe_away_at_the_credit_leaves_it_to_the_next_time(
    stripe_double: FakeStripe, customer: Customer, dora: Customer
) -> None:
    pays(customer, stripe_double)
    stripe_double.credit_fails = True
    pays(dora, stripe_double)
    assert of(dora.user).get().state == "earned"

    stripe_double.credit_fails = False
    pays(customer, stripe_double)

    assert stripe_double.credits == [("cus_1", 600)]
