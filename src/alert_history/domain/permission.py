"""What a caller may be allowed to do. Pure; who is granted what is decided elsewhere."""

from enum import StrEnum


class Permission(StrEnum):
    """What one operation, page or ingest path needs. `domain.grant` says which scopes grant it."""

    PUBLIC = "public"
    """Open to everyone who can connect."""
    INGEST = "ingest"
    """To send alerts."""
    READ = "read"
    """To see history, targets and how the service fares."""
    OPERATE = "operate"
    """To change what is done with alerts: modes, corrections, replays, test messages."""
    ADMIN = "admin"
    """To change who may do what."""
