"""Refusals, in Stripe's shape."""

from typing import Any


class ApiError(Exception):
    """A request that is answered with an error."""

    def __init__(self, message: str, code: str = "", param: str = "", status: int = 400) -> None:
        super().__init__(message)
        self.code, self.param, self.status = code, param, status

    def body(self) -> dict[str, Any]:
        kind = "idempotency_error" if self.code == "idempotency_error" else "invalid_request_error"
        error = {"type": kind, "message": str(self)}
        if self.code and self.code != kind:
            error["code"] = self.code
        if self.param:
            error["param"] = self.param
        return {"error": error}


def missing(kind: str, object_id: str, param: str = "id") -> ApiError:
    return ApiError(f"No such {kind}: '{object_id}'", "resource_missing", param, 404)
