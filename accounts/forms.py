"""Accounts' forms: allauth's, worded and labelled for password managers, and a new token's."""

import datetime as dt
from typing import Any, ClassVar

from allauth.account.forms import (
    AddEmailForm,
    ChangePasswordForm,
    LoginForm,
    ReauthenticateForm,
    ResetPasswordForm,
    ResetPasswordKeyForm,
    SignupForm,
)
from django import forms
from django.utils import timezone

from accounts.models import ApiToken, User

_PASSWORD_RULE = "At least 10 characters. A few words make a good one."  # noqa: S105


class _PlainFields:
    """Labels say what a field is; placeholders that vanish would say it twice."""

    wording: ClassVar[dict[str, dict[str, Any]]] = {}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        fields: dict[str, forms.Field] = self.fields  # type: ignore[attr-defined]
        for name, field in fields.items():
            field.widget.attrs.pop("placeholder", None)
            given = dict(self.wording.get(name, {}))
            field.label = given.pop("label", field.label)
            field.help_text = given.pop("help_text", "")
            field.widget.attrs |= given
            field.error_messages["required"] = f"Fill in {(field.label or name).lower()}."


_EMAIL = {"label": "E-mail address", "autocomplete": "username", "autocapitalize": "none"}


class SignUpForm(_PlainFields, SignupForm):  # type: ignore[misc]
    """E-mail address and a password, once: it can be looked at, and reset by mail."""

    wording = {
        "email": _EMAIL,
        "password1": {"label": "Password", "help_text": _PASSWORD_RULE},
    }


class LogInForm(_PlainFields, LoginForm):  # type: ignore[misc]
    """E-mail address and password."""

    wording = {"login": _EMAIL, "password": {"label": "Password"}}


class PasswordResetForm(_PlainFields, ResetPasswordForm):  # type: ignore[misc]
    """The address that a reset mail is sent to, if it has an account."""

    wording = {"email": _EMAIL}


class NewPasswordForm(_PlainFields, ResetPasswordKeyForm):  # type: ignore[misc]
    """A new password, behind the link of a reset mail."""

    wording = {
        "password1": {"label": "New password", "help_text": _PASSWORD_RULE},
        "password2": {"label": "New password, again"},
    }


class PasswordChangeForm(_PlainFields, ChangePasswordForm):  # type: ignore[misc]
    """The password as it is, and the new one."""

    wording = {
        "oldpassword": {"label": "Current password"},
        "password1": {"label": "New password", "help_text": _PASSWORD_RULE},
        "password2": {"label": "New password, again"},
    }


class PasswordAgainForm(_PlainFields, ReauthenticateForm):  # type: ignore[misc]
    """The password, to confirm who sits there."""

    wording = {"password": {"label": "Password"}}


class NewEmailForm(_PlainFields, AddEmailForm):  # type: ignore[misc]
    """One more address for an account."""

    wording = {"email": {"label": "New e-mail address", "autocomplete": "email"}}


class TokenForm(forms.Form):
    """A new token: its name, and how long it is to live."""

    LIVES: ClassVar[list[tuple[str, str]]] = [
        ("30", "30 days"),
        ("90", "90 days"),
        ("365", "1 year"),
        ("", "No expiry"),
    ]

    name = forms.CharField(
        label="Name",
        max_length=60,
        widget=forms.TextInput(attrs={"autocomplete": "off", "spellcheck": "false"}),
        error_messages={"required": "Give it a name: where it will be used, for example."},
    )
    days = forms.ChoiceField(label="Expires after", choices=LIVES, required=False, initial="90")

    def __init__(self, *args: Any, user: User, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._user = user

    def clean_name(self) -> str:
        """A name that no active token of the user has: so a page sent twice makes one token."""
        name: str = self.cleaned_data["name"]
        taken = ApiToken.objects.filter(user=self._user, name__iexact=name)
        if any(token.state == "active" for token in taken):
            raise forms.ValidationError(
                f"You have an active token named “{name}”. Its secret was shown once and can’t be "
                "shown again: choose another name, or revoke that one.",
                code="name_taken",
            )
        return name

    @property
    def expires_at(self) -> dt.datetime | None:
        """When the token is to end; None: never.  Of a valid form."""
        days = self.cleaned_data["days"]
        return timezone.now() + dt.timedelta(days=int(days)) if days else None
