"""Refusals, in Stripe's shape.

ApiError: nothing that the call did stays.  CardDeclined: the failed attempt stays, as it does at
a bank.  Failed: nothing was done, and the same idempotency key is answered so from then on.
"""

from typing import Any


class ApiError(Exception):
    """A request that is answered with an error."""

    def __init__(self, message: str, code: str = "", param: str = "", status: int = 400) -> None:
        super().__init__(message)
        self.code, self.param, self.status = code, param, status

    def body(self) -> dict[str, Any]:
        """The answer's JSON."""
        kind = "api_error" if self.status >= 500 else "invalid_request_error"
        kind = "card_error" if self.status == 402 else kind
        kind = self.code if self.code == "idempotency_error" else kind
        error = {"type": kind, "message": str(self)}
        if self.code and self.code != kind:
            error["code"] = self.code
        if self.param:
            error["param"] = self.param
        return {"error": error}


class CardDeclined(ApiError):
    """The bank said no."""

    def __init__(self, message: str) -> None:
        super().__init__(message, "card_declined", status=402)


class Failed(ApiError):
    """A mistake of the API's own."""

    def __init__(self) -> None:
        super().__init__("An unknown error occurred.", status=500)


def missing(kind: str, object_id: str, param: str = "id") -> ApiError:
    """There is no such object."""
    return ApiError(f"No such {kind}: '{object_id[:80]}'", "resource_missing", param, 404)
