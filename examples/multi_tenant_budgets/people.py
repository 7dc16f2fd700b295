"""Who may sign in. An app of your own has a table for that, and Flask-Login."""

from __future__ import annotations

from dataclasses import dataclass

from werkzeug.datastructures import Authorization

PASSWORD = "demo"


@dataclass(frozen=True)
class Person:
    name: str
    tenant: str
    is_admin: bool = False


PEOPLE = {
    person.name: person
    for person in (
        Person("ann", "acme"),
        Person("amy", "acme"),
        Person("abe", "acme"),
        Person("hal", "harbour"),
        Person("root", "operators", is_admin=True),
    )
}


def find_person(given: Authorization | None) -> Person | None:
    """The person with this name and password, or ``None``."""
    if given is None or given.password != PASSWORD:
        return None
    return PEOPLE.get(given.username or "")
