"""The addresses of pages and admin.  The API's are `gateway.api.urls`, served by `scalix.asgi`."""

from django.contrib import admin
from django.urls import URLPattern, URLResolver, include, path

urlpatterns: list[URLPattern | URLResolver] = [
    path("", include("gateway.pages.urls")),
    path("", include("accounts.urls")),
    path("", include("billing.urls")),
    path("admin/", admin.site.urls),
]

handler400 = "gateway.pages.failures.bad_request"
handler403 = "gateway.pages.failures.permission_denied"
handler404 = "gateway.pages.failures.page_not_found"
handler429 = "gateway.pages.failures.too_many_requests"  # allauth asks for it
handler500 = "gateway.pages.failures.server_error"
