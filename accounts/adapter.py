"""What we want differently from allauth: subjects without a prefix, and visitors who sign up."""

from typing import Any

from allauth.account.adapter import DefaultAccountAdapter
from django.http import HttpRequest

from accounts import visitors
from accounts.models import User, Visitor


class AccountAdapter(DefaultAccountAdapter):  # type: ignore[misc]
    """allauth's adapter with our own words."""

    error_messages = DefaultAccountAdapter.error_messages | {
        "email_password_mismatch": "The e-mail address or the password is not right.",
        "email_taken": "There is an account with this address. Log in, or reset its password.",
        "incorrect_password": "That is not the password.",
        "enter_current_password": "That is not your current password.",
        "too_many_login_attempts": "Too many attempts with a wrong password. Try again in five "
        "minutes, or reset the password.",
        "rate_limited": "That was too often. Wait a little, then try again.",
    }

    def format_email_subject(self, subject: str) -> str:
        """The subject as its template has it."""
        return subject

    def save_user(self, request: HttpRequest, user: User, form: Any, commit: bool = True) -> User:
        """Saves a new user; the visitor that this browser was becomes them."""
        saved: User = super().save_user(request, user, form, commit)
        credential = request.COOKIES.get(visitors.COOKIE, "")
        visitor_id = visitors.visitor_id_of(credential) if credential else None
        if commit and visitor_id is not None:
            # Whoever signs up first keeps the visit: a browser may be shared.
            Visitor.objects.filter(pk=visitor_id, became=None).update(became=saved)
        return saved
