"""Staff's pages of limits: the plans', and other ones for single users."""

from django.contrib.admin.models import LogEntry
from django.test import Client
from django.utils import timezone

from accounts.models import User
from billing.models import Allowance, Plan
from tests.admin.test_people import CONFIRMED
from tests.conftest import Person

ALLOWANCES = "/admin/billing/allowance/"


def add(staff: Client, person: Person, **fields: str) -> int:
    values = {
        "user": str(person.user.pk),
        "limit": "requests_per_day",
        "kind": "add",
        "amount": "100",
        "starts_at_0": "2026-01-01",
        "starts_at_1": "00:00",
        "reason": "a workshop",
    }
    return staff.post(f"{ALLOWANCES}add/", values | fields).status_code


def test_staff_give_another_limit_and_it_says_who_gave_it(
    staff: Client, root: User, bob: Person
) -> None:
    assert add(staff, bob) == 302
    allowance = Allowance.objects.get()
    assert (allowance.user, allowance.amount, allowance.granted_by) == (bob.user, 100, root)
    assert LogEntry.objects.filter(object_id=str(allowance.pk), user=root).exists()


def test_one_without_a_reason_or_with_nothing_to_add_is_not_given(
    staff: Client, bob: Person
) -> None:
    assert add(staff, bob, reason="") == 200
    assert add(staff, bob, amount="") == 200
    assert add(staff, bob, limit="concurrent_requests", kind="set", amount="0") == 200
    assert not Allowance.objects.exists()


def test_withdrawn_it_counts_no_more_and_stays_on_record(
    staff: Client, root: User, bob: Person
) -> None:
    add(staff, bob)
    page = f"{ALLOWANCES}{Allowance.objects.get().pk}/"
    assert "Withdraw this allowance?" in staff.get(f"{page}withdraw/").content.decode()
    assert Allowance.objects.in_force().exists()

    staff.post(f"{page}withdraw/", CONFIRMED)

    allowance = Allowance.objects.get()
    assert allowance.ends_at is not None
    assert allowance.ends_at <= timezone.now()
    assert not Allowance.objects.in_force().exists()
    assert LogEntry.objects.filter(change_message__contains="Withdrawn", user=root).exists()
    assert staff.post(f"{page}withdraw/", CONFIRMED).status_code == 403


def test_what_was_given_is_neither_edited_nor_deleted(staff: Client, bob: Person) -> None:
    add(staff, bob)
    page = f"{ALLOWANCES}{Allowance.objects.get().pk}/"
    staff.post(f"{page}change/", {"amount": "9"})
    assert staff.post(f"{page}delete/", CONFIRMED).status_code == 403
    assert Allowance.objects.get().amount == 100


def test_a_plans_address_limits_are_edited_where_its_others_are(staff: Client) -> None:
    page = staff.get("/admin/billing/plan/free/change/").content.decode()
    assert "A network address, all its accounts together" in page
    values = {
        field.name: value
        for field in Plan._meta.fields
        if field.name != "tier" and (value := getattr(Plan.objects.get(tier="free"), field.name))
    }
    values["address_requests_per_minute"] = 7
    assert staff.post("/admin/billing/plan/free/change/", values).status_code == 302
    assert Plan.objects.get(tier="free").address_requests_per_minute == 7
