"""The admin's own sections: people, API sessions, schedules and the history of changes."""

from aegisml.base.admin import history, people, schedules

__all__ = ["history", "people", "schedules"]
