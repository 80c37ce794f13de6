"""What every part of the sandbox works with: its objects, its clock, and events about both."""

from billing.sandbox import shapes
from billing.sandbox.clock import Clock
from billing.sandbox.errors import missing
from billing.sandbox.store import Object, Store


class Sandbox:
    """Not safe between threads: for the one thread of the server."""

    def __init__(self, store: Store, base: str = "") -> None:
        """`base`: the address at which browsers find its pages."""
        self.store, self.base, self.clock = store, base, Clock(store)

    def need(self, kind: str, object_id: str, param: str = "id") -> Object:
        """The object; a 404 where there is none, or not any more."""
        found = self.store.get(kind, object_id)
        if found is None or found.get("deleted"):
            raise missing(kind, object_id, param)
        return found

    def save(self, event: str, found: Object, previous: Object | None = None) -> Object:
        """Writes the object and an event about it.

        `previous`: what those of its fields held that changed.
        """
        self.emit(event, self.store.put(found), previous)
        return found

    def emit(self, name: str, about: Object, previous: Object | None = None) -> None:
        """An event with the object as it is now, queued for delivery."""
        data = {"object": shown(about)} | ({"previous_attributes": previous} if previous else {})
        event = shapes.made("event", "evt", self.clock.now(), type=name, data=data)
        event |= {"api_version": shapes.API_VERSION, "pending_webhooks": 1}
        event["request"] = {"id": None, "idempotency_key": None}
        self.store.put(event)
        lost = self.store.setting("deliveries", "ok") == "drop"
        self.store.db.execute(
            "INSERT INTO deliveries VALUES (?, 0, 0, ?, '')",
            (event["id"], "given_up" if lost else "pending"),
        )


def shown(found: Object) -> Object:
    """An object without what only the sandbox keeps of it."""
    return {key: value for key, value in found.items() if not key.startswith("_")}
