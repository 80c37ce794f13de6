"""From events to incidents: what was wrong with a deployment, from its beginning to its end.

Pure.  What several processes and measures say at one time is one incident; so is what begins again
within ten minutes.
"""

import datetime as dt
import uuid
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Final

AGAIN_WITHIN: Final = dt.timedelta(minutes=10)

# What an event begins or ends, as it is told in public: no error's text, which may name addresses.
_BEGINS: Final = {"lowered": "quality", "circuit_opened": "circuit", "probe_failed": "probe"}
_ENDS: Final = {
    "raised": "quality",
    "reset": "quality",
    "circuit_closed": "circuit",
    "probe_answered": "probe",
}
_IN_PUBLIC: Final = {
    "quality": "Too many answers failed; others were asked first.",
    "circuit": "It kept failing; others were asked first.",
    "probe": "It did not answer a test question.",
}


@dataclass(frozen=True, slots=True)
class Event:
    """Something that changed, as `HealthEvent` has it."""

    at: dt.datetime
    deployment: str
    kind: str
    process_id: uuid.UUID | None = None


@dataclass(frozen=True, slots=True)
class Incident:
    """A time in which something was wrong; `ended` is None while it is."""

    deployment: str
    began: dt.datetime
    ended: dt.datetime | None
    text: str

    @property
    def name(self) -> str:
        """Stable, and unlike any other's: for links and feeds."""
        return f"{self.deployment}-{self.began:%Y%m%d%H%M%S}"

    @property
    def lasted(self) -> str:
        """`4 minutes`; empty while it lasts."""
        if self.ended is None:
            return ""
        minutes = max(1, round((self.ended - self.began).total_seconds() / 60))
        hours, rest = divmod(minutes, 60)
        if not hours:
            return f"{minutes} minute{'' if minutes == 1 else 's'}"
        return f"{hours} h {rest} min" if rest else f"{hours} h"


def incidents_of(events: Iterable[Event]) -> list[Incident]:
    """The incidents in these events, which come in any order; the latest first."""
    wrong: dict[str, set[tuple[str, uuid.UUID | None]]] = defaultdict(set)
    last: dict[str, Incident] = {}
    found: list[Incident] = []
    for event in sorted(events, key=lambda one: one.at):
        name = event.deployment
        if family := _BEGINS.get(event.kind):
            incident = last.get(name)
            if incident and not wrong[name] and _is_over(incident, event.at):
                found.append(incident)
                incident = None
            last[name] = _begun(incident, event, family)
            wrong[name].add((family, event.process_id))
        elif (ended := (_ENDS.get(event.kind, ""), event.process_id)) in wrong[name]:
            wrong[name].discard(ended)
            if not wrong[name]:
                last[name] = replace(last[name], ended=event.at)
    found += last.values()
    return sorted(found, key=lambda one: (one.began, one.deployment), reverse=True)


def _is_over(incident: Incident, now: dt.datetime) -> bool:
    return incident.ended is not None and now - incident.ended > AGAIN_WITHIN


def _begun(incident: Incident | None, event: Event, family: str) -> Incident:
    text = _IN_PUBLIC[family]
    if incident is None:
        return Incident(event.deployment, event.at, None, text)
    more = incident.text if text in incident.text else f"{incident.text} {text}"
    return replace(incident, ended=None, text=more)
