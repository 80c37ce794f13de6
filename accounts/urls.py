"""Accounts' addresses.  The names are allauth's: its flows and mails look them up."""

from allauth.account import views as allauth
from django.urls import path, re_path

from accounts import views

urlpatterns = [
    path("signup/", views.sign_up, name="account_signup"),
    path("login/", views.log_in, name="account_login"),
    path("logout/", allauth.logout, name="account_logout"),
    path("inactive/", allauth.account_inactive, name="account_inactive"),
    path("confirm-email/", allauth.email_verification_sent, name="account_email_verification_sent"),
    re_path(
        r"^confirm-email/(?P<key>[-:\w]+)/$", allauth.confirm_email, name="account_confirm_email"
    ),
    path("password/reset/", views.reset_password, name="account_reset_password"),
    path("password/reset/done/", allauth.password_reset_done, name="account_reset_password_done"),
    re_path(
        r"^password/reset/key/(?P<uidb36>[0-9A-Za-z]+)-(?P<key>.+)/$",
        views.new_password,
        name="account_reset_password_from_key",
    ),
    path(
        "password/reset/key/done/",
        allauth.password_reset_from_key_done,
        name="account_reset_password_from_key_done",
    ),
    path("account/password/", views.change_password, name="account_change_password"),
    path("account/password/set/", allauth.password_set, name="account_set_password"),
    path("account/email/", views.email, name="account_email"),
    path("account/confirm/", views.reauthenticate, name="account_reauthenticate"),
]
