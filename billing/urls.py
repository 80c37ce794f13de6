"""The addresses of payments, below /billing/."""

from django.urls import path

from billing.payments.webhooks import webhook

urlpatterns = [
    path("webhook/", webhook, name="stripe_webhook"),
]
