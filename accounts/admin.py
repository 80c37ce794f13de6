"""Staff's pages for people: users, their tokens, visitors.

Nothing here is deleted: an account is suspended, a token revoked, and the ledger keeps naming both.
"""

import uuid
from typing import Any, ClassVar

from django import forms
from django.contrib import admin, messages
from django.contrib.auth.admin import GroupAdmin as DjangoGroupAdmin
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.contrib.auth.models import Group
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from unfold.admin import ModelAdmin
from unfold.decorators import action, display
from unfold.enums import ActionVariant
from unfold.forms import AdminPasswordChangeForm, UserChangeForm, UserCreationForm

from accounts import credentials
from accounts.models import ApiToken, User, Visitor

_STATE_COLOURS = {"active": "success", "expired": "warning", "revoked": "danger"}


class ViewOnly(ModelAdmin):
    """Rows that staff may look at and nobody may add, change or delete, superusers included."""

    def has_add_permission(self, request: HttpRequest, *args: Any) -> bool:
        """Never."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Never."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Never."""
        return False


def back_to(page: str, object_id: object) -> HttpResponse:
    """To the object's page, out of a dialog that htmx shows."""
    url = reverse(f"admin:{page}_change", args=(object_id,))
    return HttpResponse(headers={"HX-Redirect": url})


class NewUserForm(UserCreationForm):
    """A user to be."""

    usable_password = None  # Django's switch for accounts that come by other ways than a password

    class Meta:
        model = User
        fields = ("email",)

    def clean_email(self) -> str:
        """In lower case, as every address is stored."""
        return str(self.cleaned_data["email"]).lower()


class UserForm(UserChangeForm):
    """A user that exists."""

    class Meta:
        model = User
        fields = "__all__"
        field_classes: ClassVar[dict[str, type[forms.Field]]] = {}

    def clean_email(self) -> str:
        """In lower case, as every address is stored."""
        return str(self.cleaned_data["email"]).lower()


class UserAdmin(DjangoUserAdmin, ModelAdmin):  # type: ignore[type-arg]
    """Users.  `billing.admin` completes and registers it, since tiers and usage are billing's."""

    form = UserForm
    add_form = NewUserForm
    change_password_form = AdminPasswordChangeForm
    ordering = ("-id",)
    list_display: tuple[str, ...] = ("email", "standing", "is_staff", "date_joined")
    list_filter: ClassVar[tuple[Any, ...]] = ("is_active", "is_staff")
    list_filter_submit = False
    search_fields = ("email",)
    search_help_text = "E-mail address, or a part of it"
    show_full_result_count = False
    readonly_fields: ClassVar[tuple[str, ...]] = ("is_active", "last_login", "date_joined")
    filter_horizontal = ("groups", "user_permissions")
    fieldsets: ClassVar[tuple[Any, ...]] = (
        (None, {"fields": ("email", "password", "is_active")}),
        (
            "Rights in this admin",
            {
                "classes": ("collapse",),
                "fields": ("is_staff", "is_superuser", "groups", "user_permissions"),
            },
        ),
        ("Dates", {"fields": ("last_login", "date_joined")}),
    )
    add_fieldsets = ((None, {"fields": ("email", "password1", "password2")}),)
    actions_detail = ("suspend", "reinstate")

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Never: a suspended account still explains its ledger rows."""
        return False

    def get_readonly_fields(self, request: HttpRequest, obj: User | None = None) -> tuple[str, ...]:
        """Only superusers hand out rights: else who may edit users could make themselves one."""
        fields = tuple(super().get_readonly_fields(request, obj))
        if request.user.is_superuser:
            return fields
        return (*fields, "is_staff", "is_superuser", "groups", "user_permissions")

    @display(
        description="state",
        ordering="is_active",
        label={"active": "success", "suspended": "danger"},
    )
    def standing(self, user: User) -> str:
        """Whether the account works."""
        return "active" if user.is_active else "suspended"

    def has_suspend_permission(self, request: HttpRequest, object_id: Any = None) -> bool:
        """For an account that works, and is not one's own."""
        return self._may_switch(request, object_id, active=True)

    def has_reinstate_permission(self, request: HttpRequest, object_id: Any = None) -> bool:
        """For an account that is suspended."""
        return self._may_switch(request, object_id, active=False)

    @action(
        description="Suspend",
        permissions=("suspend",),
        icon="block",
        variant=ActionVariant.DANGER,
        dialog={
            "title": "Suspend this account?",
            "description": "From the next second on neither log-in nor tokens work. Nothing is "
            "deleted, and you can reinstate the account at any time.",
            "form_submit_text": "Suspend",
        },
    )
    def suspend(self, request: HttpRequest, form: forms.Form, object_id: uuid.UUID) -> HttpResponse:
        """Switches an account off."""
        return self._switch(request, object_id, active=False, done="Suspended")

    @action(
        description="Reinstate",
        permissions=("reinstate",),
        icon="check_circle",
        dialog={
            "title": "Reinstate this account?",
            "description": "Log-in works again, and so do the tokens that were not revoked.",
            "form_submit_text": "Reinstate",
        },
    )
    def reinstate(
        self, request: HttpRequest, form: forms.Form, object_id: uuid.UUID
    ) -> HttpResponse:
        """Switches a suspended account on."""
        return self._switch(request, object_id, active=True, done="Reinstated")

    def _may_switch(self, request: HttpRequest, object_id: Any, *, active: bool) -> bool:
        return (
            request.user.has_perm("accounts.change_user")
            and str(object_id) != str(request.user.pk)
            and User.objects.filter(pk=object_id, is_active=active).exists()
        )

    def _switch(
        self, request: HttpRequest, object_id: uuid.UUID, *, active: bool, done: str
    ) -> HttpResponse:
        user = User.objects.get(pk=object_id)
        user.is_active = active
        user.save(update_fields=["is_active"])
        self.log_change(request, user, f"{done}.")
        messages.success(request, f"{done} {user.email}.")
        return back_to("accounts_user", object_id)


@admin.register(ApiToken)
class ApiTokenAdmin(ViewOnly):
    """Tokens: whose, since when, last used; never the secret, which nobody has."""

    list_display = ("name", "display_text", "user", "state_label", "created_at", "last_used_at")
    list_select_related = ("user",)
    list_filter = (("revoked_at", admin.EmptyFieldListFilter),)
    search_fields = ("user__email", "prefix", "name")
    search_help_text = "E-mail address, token name, or how the token begins (scalix_…)"
    show_full_result_count = False
    fields = (
        "user",
        "name",
        "display_text",
        "state_label",
        "created_at",
        "expires_at",
        "last_used_at",
        "revoked_at",
    )
    readonly_fields = fields
    actions_detail = ("revoke",)

    def get_search_results(
        self, request: HttpRequest, queryset: Any, search_term: str
    ) -> tuple[Any, bool]:
        """Finds a pasted token by its stored beginning; the rest of what was pasted is dropped."""
        if search_term.startswith(credentials.PREFIX):
            search_term = credentials.lookup_prefix(search_term)
        found: tuple[Any, bool] = super().get_search_results(request, queryset, search_term)
        return found

    @display(description="token")
    def display_text(self, token: ApiToken) -> str:
        """Its beginning and end."""
        return token.display

    @display(description="state", label=_STATE_COLOURS)
    def state_label(self, token: ApiToken) -> str:
        """Active, expired or revoked."""
        return token.state

    def has_revoke_permission(self, request: HttpRequest, object_id: Any = None) -> bool:
        """For a token that is not revoked yet."""
        return (
            request.user.has_perm("accounts.change_apitoken")
            and ApiToken.objects.filter(pk=object_id, revoked_at=None).exists()
        )

    @action(
        description="Revoke",
        permissions=("revoke",),
        icon="key_off",
        variant=ActionVariant.DANGER,
        dialog={
            "title": "Revoke this token?",
            "description": "Programs that use it are refused from the next second on. This can't "
            "be undone; its owner can create another one.",
            "form_submit_text": "Revoke",
        },
    )
    def revoke(self, request: HttpRequest, form: forms.Form, object_id: uuid.UUID) -> HttpResponse:
        """Ends a token."""
        token = ApiToken.objects.get(pk=object_id)
        if token.revoke():
            self.log_change(request, token, "Revoked.")
            messages.success(request, f"Revoked “{token.name}”.")
        return back_to("accounts_apitoken", object_id)


@admin.register(Visitor)
class VisitorAdmin(ViewOnly):
    """People without an account."""

    list_display = ("id", "ip", "created_at", "last_request_at", "became")
    list_select_related = ("became",)
    list_filter = (("became", admin.EmptyFieldListFilter),)
    search_fields = ("ip", "became__email")
    search_help_text = "IP address, or the e-mail address of the account they signed up for"
    show_full_result_count = False


admin.site.unregister(Group)


@admin.register(Group)
class GroupAdmin(DjangoGroupAdmin, ModelAdmin):
    """Sets of rights for staff."""
