"""A call's parameters, as Stripe's clients write them: each is read by its type, once.

Whatever is of another type is a 400, and so is, in the end, whatever nobody has read.
"""

import re
from typing import Any, Final
from urllib.parse import urlsplit

from billing.sandbox.errors import ApiError

LARGEST_AMOUNT: Final = 99_999_999  # cents, as at Stripe
LATEST: Final = 9_999_999_999  # seconds since 1970: the year 2286
_NAME: Final = re.compile(r"([^\[\]]+)((?:\[[^\[\]]*\])*)")
_DEEPEST: Final = 8
_TEXT: Final = 5000


def nested(pairs: list[tuple[str, str]]) -> dict[str, Any]:
    """`a[0][b]=c` as {"a": {"0": {"b": "c"}}}.  ApiError for names that make no tree."""
    tree: dict[str, Any] = {}
    for name, value in pairs:
        found = _NAME.fullmatch(name)
        keys = [found[1], *re.findall(r"\[([^\[\]]*)\]", found[2])] if found else []
        if not 0 < len(keys) <= _DEEPEST:
            raise ApiError("Invalid parameter name.", "parameter_unknown", name[:80])
        at = tree
        for key in keys[:-1]:
            at = at.setdefault(key or str(len(at)), {})
            if not isinstance(at, dict):
                raise _wrong(name, "It is both a value and a group.")
        last = keys[-1] or str(len(at))
        if isinstance(at.get(last), dict):
            raise _wrong(name, "It is both a value and a group.")
        at[last] = value
    return tree


def typed(tree: Any) -> Any:
    """A tree as JSON has it: lists for numbered groups, true and false."""
    if isinstance(tree, dict):
        if tree and all(key.isdigit() for key in tree):
            return [typed(value) for value in tree.values()]
        return {key: typed(value) for key, value in tree.items()}
    return {"true": True, "false": False}.get(tree, tree) if isinstance(tree, str) else tree


class Params:
    """A group of parameters.  Each method takes one out; `done` complains about what is left."""

    def __init__(self, tree: dict[str, Any], path: str = "") -> None:
        self._tree, self._path, self._groups = dict(tree), path, list[Params]()

    def __contains__(self, name: str) -> bool:
        return name in self._tree

    def text(self, name: str) -> str:
        """A text that has to be there."""
        found = self.optional(name)
        if not found:
            raise ApiError(
                f"Missing required param: {self._full(name)}.",
                "parameter_missing",
                self._full(name),
            )
        return found

    def optional(self, name: str) -> str | None:
        """A text; None where it is empty or not there."""
        found = self._tree.pop(name, None)
        if found is not None and not isinstance(found, str):
            raise _wrong(self._full(name), "It has to be a string.")
        if found and (len(found) > _TEXT or "\0" in found):
            raise _wrong(self._full(name), "It is too long, or holds a null character.")
        return found or None

    def choice(self, name: str, *allowed: str) -> str | None:
        """One of these words; None where it is not there."""
        found = self.optional(name)
        if found is not None and found not in allowed:
            raise _wrong(self._full(name), f"It must be one of {', '.join(allowed)}.")
        return found

    def address(self, name: str) -> str:
        """A web page's address."""
        found = self.text(name)
        try:
            parts = urlsplit(found)
            good = parts.scheme in ("http", "https") and re.fullmatch(
                r"[A-Za-z0-9.:\[\]-]+", parts.netloc
            )
        except ValueError:
            good = None
        if not good:
            raise ApiError("Not a valid URL.", "url_invalid", self._full(name))
        return found

    def whole(self, name: str, low: int = 0, high: int = LARGEST_AMOUNT) -> int:
        """A whole number that has to be there."""
        found = self.optional_whole(name, low, high)
        if found is None:
            raise ApiError(
                f"Missing required param: {self._full(name)}.",
                "parameter_missing",
                self._full(name),
            )
        return found

    def optional_whole(self, name: str, low: int = 0, high: int = LARGEST_AMOUNT) -> int | None:
        """A whole number; None where it is empty or not there."""
        given = self._tree.pop(name, "")
        if given == "":
            return None
        text = str(given) if isinstance(given, str | int) and not isinstance(given, bool) else ""
        if not re.fullmatch(r"-?[0-9]{1,11}", text) or not low <= int(text) <= high:
            raise ApiError(
                f"Invalid integer: it must be from {low} to {high}.",
                "parameter_invalid_integer",
                self._full(name),
            )
        return int(text)

    def flag(self, name: str) -> bool | None:
        """True or false; None where it is not there."""
        given = self._tree.pop(name, None)
        if given is None or isinstance(given, bool):
            return given
        if given not in ("true", "false"):
            raise _wrong(self._full(name), "It must be true or false.")
        return bool(given == "true")

    def group(self, name: str) -> "Params":
        """A group; an empty one where it is not there."""
        given = self._tree.pop(name, None) or {}
        if not isinstance(given, dict):
            raise _wrong(self._full(name), "It has to be a group.")
        return self._kept(type(self)(given, self._full(name)))

    def groups(self, name: str) -> list["Params"]:
        """A list of groups."""
        found = self._list(name)
        if not all(isinstance(one, dict) for one in found):
            raise _wrong(self._full(name), "It has to be a list of groups.")
        path = self._full(name)
        return [self._kept(type(self)(one, f"{path}[{at}]")) for at, one in enumerate(found)]

    def texts(self, name: str) -> list[str]:
        """A list of texts."""
        found = self._list(name)
        if not all(isinstance(one, str) for one in found):
            raise _wrong(self._full(name), "It has to be a list of strings.")
        return found

    def free(self, name: str) -> Any:
        """A tree that is kept as it was given; None where it is not there."""
        return typed(self._tree.pop(name, None))

    def metadata(self, before: dict[str, str] | None = None) -> dict[str, str]:
        """What was there, with what is given; an empty value takes its key away."""
        given = self._tree.pop("metadata", {})
        if given == "":
            return {}
        path = self._full("metadata")
        if not isinstance(given, dict) or len(given) > 50:
            raise _wrong(path, "It has to be a group of 50 at most.")
        if not all(isinstance(one, str) and len(one) <= 500 for one in given.values()):
            raise _wrong(path, "Its values have to be strings of 500 characters at most.")
        merged = (before or {}) | given
        return {key: value for key, value in merged.items() if value}

    def ignore(self, *names: str) -> None:
        """What Stripe takes and nothing here depends on."""
        for name in names:
            self._tree.pop(name, None)

    def done(self) -> None:
        """ApiError for a parameter that nobody has read."""
        for name in self._tree:
            full = self._full(name)
            raise ApiError(f"Received unknown parameter: {full}", "parameter_unknown", full)
        for group in self._groups:
            group.done()

    def _list(self, name: str) -> list[Any]:
        given = self._tree.pop(name, None) or []
        if isinstance(given, dict) and all(key.isdigit() for key in given):
            given = list(given.values())
        if not isinstance(given, list):
            raise _wrong(self._full(name), "It has to be a list.")
        return given

    def _kept(self, group: "Params") -> "Params":
        self._groups.append(group)
        return group

    def _full(self, name: str) -> str:
        return f"{self._path}[{name[:80]}]" if self._path else name[:80]


def _wrong(name: str, message: str) -> ApiError:
    return ApiError(f"Invalid {name[:80]}: {message}", "parameter_invalid", name[:80])
