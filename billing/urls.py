"""The addresses of payments."""

from django.urls import path

from billing.pages.account import billing, portal
from billing.pages.paid import paid, paid_state
from billing.pages.recommended import recommended
from billing.payments.webhooks import webhook

urlpatterns = [
    path("billing/", billing, name="billing"),
    path("billing/portal/", portal, name="billing_portal"),
    path("billing/return/", paid, name="billing_return"),
    path("billing/return/state/", paid_state, name="billing_return_state"),
    path("billing/webhook/", webhook, name="stripe_webhook"),
    path("r/<slug:code>/", recommended, name="recommended"),
]
