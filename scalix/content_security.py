"""The Content-Security-Policy of each response: strict, and one step less strict in the admin."""

from typing import Any, Final

from csp.constants import SELF, UNSAFE_EVAL, UNSAFE_INLINE
from csp.middleware import CSPMiddleware, PolicyParts
from django.http import HttpRequest
from django.urls import reverse

# Unfold's pages are made with Alpine, which evaluates expressions out of attributes, and carry
# style attributes.  They have no inline script, so scripts still come from our own files alone.
_ADMIN: Final = {
    "script-src": [SELF, UNSAFE_EVAL],
    "style-src": [SELF, UNSAFE_INLINE],
}


class ContentSecurityPolicy(CSPMiddleware):  # type: ignore[misc]
    """django-csp's middleware, with what the admin needs below /admin/ and nowhere else."""

    def get_policy_parts(self, request: HttpRequest, *args: Any, **kwargs: Any) -> PolicyParts:
        """The policy of the settings; for the admin, with two sources replaced."""
        parts = super().get_policy_parts(request, *args, **kwargs)
        if request.path_info.startswith(reverse("admin:index")):
            parts.replace = _ADMIN | (parts.replace or {})
        return parts
