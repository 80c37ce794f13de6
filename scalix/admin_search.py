"""What Ctrl-K in the admin finds beside pages: a request id, a user, a token.

A few of each, through indexes: a search must not walk a table of millions.
"""

from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import reverse
from unfold.dataclasses import SearchResult

from accounts import credentials
from accounts.identifiers import decode
from accounts.models import ApiToken, User
from billing.models import LedgerEntry, Refusal

_MOST = 10


def find(request: HttpRequest, term: str) -> list[SearchResult]:
    """Results for what staff typed, of what they may view; Unfold hands it over in lower case."""
    found: list[SearchResult] = []
    if request.user.has_perm("billing.view_ledgerentry"):
        found += [
            _result("billing_ledgerentry", entry.pk, entry.request_id, f"Ledger: {entry.status}")
            for entry in _entries(term)
        ]
    if request.user.has_perm("billing.view_refusal"):
        found += [
            _result("billing_refusal", one.pk, one.request_id, f"Refused: {one.code}")
            for one in _refusals(term)
        ]
    if request.user.has_perm("accounts.view_apitoken"):
        found += [
            _result("accounts_apitoken", token.pk, str(token), f"Token of {token.user}")
            for token in _tokens(term)
        ]
    if request.user.has_perm("accounts.view_user"):
        users = User.objects.filter(email__startswith=term)[:_MOST]
        found += [_result("accounts_user", user.pk, user.email, "User") for user in users]
    return found


def _entries(term: str) -> QuerySet[LedgerEntry]:
    try:
        return LedgerEntry.objects.filter(pk=decode("req", term))
    except ValueError:
        return LedgerEntry.objects.none()


def _refusals(term: str) -> QuerySet[Refusal]:
    try:
        return Refusal.objects.filter(pk=decode("req", term))
    except ValueError:
        return Refusal.objects.none()


def _tokens(term: str) -> QuerySet[ApiToken]:
    if not term.startswith(credentials.PREFIX) or len(term) < credentials.LOOKUP_LENGTH:
        return ApiToken.objects.none()
    prefix = credentials.lookup_prefix(term)
    return ApiToken.objects.filter(prefix=prefix).select_related("user")[:_MOST]


def _result(page: str, key: object, title: str, description: str) -> SearchResult:
    link = reverse(f"admin:{page}_change", args=(key,))
    return SearchResult(title=title, description=description, link=link, icon="data_object")
