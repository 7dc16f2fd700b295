"""Who runs a command, for the audit trail."""

from __future__ import annotations

import getpass


def system_user() -> str:
    """The name of the system's user."""
    try:
        return getpass.getuser()
    except (KeyError, OSError, ImportError):  # a container's user may have no name
        return "unknown"
