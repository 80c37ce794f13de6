"""Personal tokens: made, shown once, listed, revoked."""

import datetime as dt
import uuid

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_variables
from django.views.decorators.http import require_http_methods

from accounts.forms import TokenForm
from accounts.models import ApiToken, User
from gateway.pages import code_samples, conversation, history


@never_cache
@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def tokens(request: HttpRequest) -> HttpResponse:
    """The list and the form; a POST makes a token and is the only page that ever shows it."""
    assert isinstance(request.user, User)
    form = TokenForm(request.POST or None, user=request.user)
    if request.method == "POST" and form.is_valid():
        return _created(request, request.user, form)
    now = dt.datetime.now(dt.UTC)
    counts = history.requests_today(request.user.pk, now)
    rows = [
        {"token": token, "requests_today": counts.get(token.pk, 0)}
        for token in request.user.tokens.all()
    ]
    status = 400 if form.is_bound else 200
    return render(request, "tokens/list.html", {"form": form, "rows": rows}, status=status)


@sensitive_variables("secret")
def _created(request: HttpRequest, user: User, form: TokenForm) -> HttpResponse:
    """The secret goes straight into this response, which no cache keeps, and nowhere else."""
    token, secret = ApiToken.objects.issue(
        user=user, name=form.cleaned_data["name"], expires_at=form.expires_at
    )
    context = {
        "token": token,
        "secret": secret,
        "curl": code_samples.chat_call(request, conversation.MODEL, "Hello", secret),
        "exports": code_samples.exports(request, secret),
    }
    return render(request, "tokens/created.html", context, status=201)


@never_cache
@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def revoke(request: HttpRequest, token_id: uuid.UUID) -> HttpResponse:
    """Asks first; a POST ends the token.  Processes act on it within a second."""
    token = get_object_or_404(ApiToken, pk=token_id, user=request.user)
    if request.method == "POST":
        token.revoke()
        messages.success(request, f"The token “{token.name}” is revoked.")
    if token.revoked_at is not None:
        return redirect("tokens")
    return render(request, "tokens/revoke.html", {"token": token})
