"""Staff's log-in at /admin/login/: by e-mail address, and as slow to guess at as everybody's."""

from typing import Any

from allauth.account.adapter import get_adapter
from unfold.forms import AuthenticationForm


class StaffLoginForm(AuthenticationForm):  # type: ignore[misc]
    """The admin's form over allauth's log-in, whose limits on attempts then hold here too."""

    def clean(self) -> dict[str, Any]:
        """Authenticates; ValidationError for wrong credentials, no staff, or too many attempts."""
        email = self.cleaned_data.get("username")
        password = self.cleaned_data.get("password")
        if email and password:
            self.user_cache = get_adapter().authenticate(
                self.request, email=email, password=password
            )
            if self.user_cache is None:
                raise self.get_invalid_login_error()
            self.confirm_login_allowed(self.user_cache)
        return dict(self.cleaned_data)
