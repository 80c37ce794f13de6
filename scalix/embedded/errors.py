"""What can go wrong in the embedded parts, in words for the person who typed the command.

EmbeddedError
├── AlreadyRunningError      another supervisor holds this state folder
└── PartFailedError          a part or a start-up step ended before it was ready
"""


class EmbeddedError(Exception):
    """Its text is complete: what happened, and what the reader can do about it."""


class AlreadyRunningError(EmbeddedError):
    """Another supervisor holds this state folder."""


class PartFailedError(EmbeddedError):
    """A part or a start-up step ended before it was ready; the text ends with its last lines."""
