"""Who is asking: users, their tokens, visitors."""

import datetime as dt
from typing import Any, ClassVar

from django.contrib.auth.models import AbstractBaseUser, BaseUserManager, PermissionsMixin
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.utils import timezone

from accounts import credentials
from accounts.identifiers import uuid7
from accounts.preferences import MOST_MODELS


class UserManager(BaseUserManager["User"]):
    """Makes users that log in with their e-mail address."""

    def create_user(self, email: str, password: str | None = None, **fields: Any) -> "User":
        """A saved user; without a password they can only come in by a reset mail."""
        user = self.model(email=self.normalize_email(email).lower(), **fields)
        user.set_password(password)
        user.save(using=self._db)
        return user

    def create_superuser(self, email: str, password: str | None = None, **fields: Any) -> "User":
        """A saved user with every right in the admin."""
        return self.create_user(email, password, is_staff=True, is_superuser=True, **fields)

    def get_by_natural_key(self, username: str | None) -> "User":
        """The user with this address, whatever its case."""
        return self.get(email__iexact=username)


def _model_names(meaning: str) -> "ArrayField[list[str], list[str]]":
    name = models.CharField(max_length=100)
    return ArrayField(name, size=MOST_MODELS, default=list, blank=True, help_text=meaning)


class User(AbstractBaseUser, PermissionsMixin):
    """A person with an account.  What they may use is not here: the subscription says it."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    email = models.EmailField("e-mail address", unique=True)
    is_active = models.BooleanField(
        "active", default=True, help_text="Off: neither log-in nor tokens work."
    )
    is_staff = models.BooleanField("staff", default=False, help_text="May enter the admin.")
    date_joined = models.DateTimeField(default=timezone.now, editable=False)
    preferred_models = _model_names("Public models to be asked first, in order.")
    avoided_models = _model_names("Public models never to be asked where there is a choice.")

    objects: ClassVar[UserManager] = UserManager()

    USERNAME_FIELD = "email"
    REQUIRED_FIELDS: ClassVar[list[str]] = []

    class Meta:
        ordering = ("-id",)

    def __str__(self) -> str:
        return self.email


class ApiTokenManager(models.Manager["ApiToken"]):
    """Issues tokens."""

    def issue(
        self, *, user: User, name: str, expires_at: dt.datetime | None = None
    ) -> tuple["ApiToken", str]:
        """A saved token and its secret, which exists nowhere else from here on."""
        secret = credentials.new_secret()
        token = self.create(
            user=user,
            name=name,
            expires_at=expires_at,
            prefix=credentials.lookup_prefix(secret),
            last_four=secret[-4:],
            digest=credentials.digest(secret),
        )
        return token, secret


class ApiToken(models.Model):
    """A personal credential for programs.  Stored as a digest; revoked, never deleted."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="tokens")
    name = models.CharField(max_length=60)
    prefix = models.CharField(max_length=credentials.LOOKUP_LENGTH, db_index=True, editable=False)
    last_four = models.CharField(max_length=4, editable=False)
    digest = models.BinaryField(max_length=32, unique=True, editable=False)
    created_at = models.DateTimeField(auto_now_add=True)
    expires_at = models.DateTimeField(null=True, blank=True)
    last_used_at = models.DateTimeField(null=True, blank=True, editable=False)
    revoked_at = models.DateTimeField(null=True, blank=True, editable=False)

    objects: ClassVar[ApiTokenManager] = ApiTokenManager()

    class Meta:
        ordering = ("-id",)
        verbose_name = "API token"

    def __str__(self) -> str:
        return f"{self.name} ({self.display})"

    @property
    def display(self) -> str:
        """What lists show of it: `scalix_abcdefgh…wxyz`."""
        return f"{self.prefix}…{self.last_four}"

    @property
    def state(self) -> str:
        """`active`, `expired` or `revoked`."""
        if self.revoked_at is not None:
            return "revoked"
        if self.expires_at is not None and self.expires_at <= timezone.now():
            return "expired"
        return "active"

    def revoke(self) -> bool:
        """Ends the token; whether this call did it.  The first revocation's time is kept."""
        now = timezone.now()
        revoked = ApiToken.objects.filter(pk=self.pk, revoked_at=None).update(revoked_at=now)
        if revoked:
            self.revoked_at = now
        return bool(revoked)


class Visitor(models.Model):
    """Somebody with no account, known by the signed credential that we gave them."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    ip = models.GenericIPAddressField(null=True)
    user_agent = models.CharField(max_length=300, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    last_request_at = models.DateTimeField(null=True)
    became = models.ForeignKey(
        User,
        on_delete=models.SET_NULL,
        null=True,
        related_name="visits",
        help_text="The account that this visitor signed up for.",
    )

    class Meta:
        ordering = ("-id",)

    def __str__(self) -> str:
        return f"visitor {self.id}"
