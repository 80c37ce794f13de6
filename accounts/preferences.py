"""What a user prefers among models, by their public names."""

import uuid
from dataclasses import dataclass
from typing import Final

from accounts.postgres import ReadPool

MOST_MODELS: Final = 20
"""In either list."""


@dataclass(frozen=True, slots=True)
class Preferences:
    """Models to be asked first, in order, and those never to be asked, where there is a choice."""

    preferred: tuple[str, ...] = ()
    avoided: tuple[str, ...] = ()


NONE: Final = Preferences()

_FIND: Final = "SELECT preferred_models, avoided_models FROM accounts_user WHERE id = %s"
_SAVE: Final = "UPDATE accounts_user SET preferred_models = %s, avoided_models = %s WHERE id = %s"


def preferences_in(preferred: list[str], avoided: list[str]) -> Preferences:
    """The columns' values; the same object for all who have none."""
    return Preferences(tuple(preferred), tuple(avoided)) if preferred or avoided else NONE


async def find_preferences(pool: ReadPool, user_id: uuid.UUID) -> Preferences:
    """The user's, none for a stranger's id.  PostgresUnavailable."""
    rows = await pool.fetch(_FIND, (user_id,))
    return preferences_in(*rows[0]) if rows else NONE


async def save_preferences(pool: ReadPool, user_id: uuid.UUID, preferences: Preferences) -> None:
    """Puts these in place of the user's earlier ones.  PostgresUnavailable."""
    columns = (list(preferences.preferred), list(preferences.avoided))
    await pool.fetch(_SAVE, (*columns, user_id))
