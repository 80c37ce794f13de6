"""What payments have to hear of accounts: who signs up, and who gets another address."""

from typing import Any

from allauth.account.signals import email_changed, user_signed_up
from django.dispatch import receiver
from django.http import HttpRequest

from accounts import visitors
from accounts.models import User
from billing.pages.recommended import code_in
from billing.payments import checkout, referrals


@receiver(user_signed_up)
def remember_who_recommended(request: HttpRequest, user: User, **_: Any) -> None:
    """Connects a new user with whoever sent them."""
    code = code_in(request)
    if not code:
        return
    credential = request.COOKIES.get(visitors.COOKIE, "")
    referrals.record(code, user, visitors.visitor_id_of(credential) if credential else None)


@receiver(email_changed)
def send_receipts_there(user: User, **_: Any) -> None:
    """The worker tells Stripe of the new address as soon as it looks at the customer."""
    if checkout.customer_of(user) is not None:
        checkout.ask_for_refresh(user)
