"""The rooms of the package: imports go down one list, and what a room may know is checked in its source."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "flask_llm_cost"
GROUND = (
    "charges", "components", "config", "config_values", "context", "counters", "download", "errors",
    "event_ids", "events", "identity", "money", "sanitize", "scope", "signals", "time_limit",
    "usage", "wording",
)  # fmt: skip
#: Floors from the top down; rooms of one floor do not know each other, but the ground floor is one room.
FLOORS = (
    ("__init__",),
    ("extension",),
    ("assembly", "testing"),
    ("cli", "dashboard"),
    ("doctor",),
    ("reconciliation",),
    ("maintenance",),
    ("celery",),
    ("shutdown",),
    ("capture",),
    ("runtime",),
    ("recorder",),
    ("finished",),
    ("budgets",),
    ("analytics",),
    ("ingest",),
    ("ledger",),
    ("journal",),
    ("pricing",),
    ("providers",),
    GROUND,
)
FLOOR_OF = {room: number for number, rooms in enumerate(FLOORS) for room in rooms}
VALUES = {"pricing", "providers", *GROUND} - {"context", "identity", "scope"}
FACES = {"cli", "dashboard"}
HOST_STATE = {"current_app", "g", "request", "session", "has_app_context", "has_request_context"}


@dataclass(frozen=True)
class Import:
    """One imported name, seen from the file that imports it. ``module`` is absolute."""

    path: Path
    line: int
    module: str
    name: str | None

    def __str__(self) -> str:
        return f"{self.path.relative_to(PACKAGE.parent)}:{self.line} imports {self.module}.{self.name or ''}"

    @property
    def room(self) -> str | None:
        """The room of ours that is imported, or ``None`` for somebody else's module."""
        first, _, rest = self.module.partition(".")
        if first != PACKAGE.name:
            return None
        if rest:
            return rest.partition(".")[0]
        return self.name if self.name in FLOOR_OF else "__init__"

    @property
    def top_level(self) -> str:
        return self.module.partition(".")[0]


def _sources() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


def _room_of(path: Path) -> str:
    return path.relative_to(PACKAGE).with_suffix("").parts[0]


def _imports(path: Path) -> Iterator[Import]:
    """Every import of a file: inside functions and under TYPE_CHECKING too."""
    package = ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts[:-1])
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield Import(path, node.lineno, alias.name, None)
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            module = ".".join([*above, *([node.module] if node.module else [])])
            for alias in node.names:
                yield Import(path, node.lineno, module, alias.name)


ALL_IMPORTS = [found for path in _sources() for found in _imports(path)]


def test_every_file_belongs_to_a_room() -> None:
    assert {_room_of(path) for path in _sources()} <= set(FLOOR_OF)


def test_rooms_import_downward_only() -> None:
    wrong = []
    for found in ALL_IMPORTS:
        importer, imported = _room_of(found.path), found.room
        if imported is None or imported == importer or {importer, imported} <= set(GROUND):
            continue
        if imported not in FLOOR_OF or FLOOR_OF[importer] >= FLOOR_OF[imported]:
            wrong.append(str(found))
    assert not wrong


def _door(room: str) -> set[str]:
    """What a room's ``__init__`` hands out."""
    path = PACKAGE / room / "__init__.py"
    return {found.name for found in _imports(path) if found.name} if path.exists() else set()


DOORS = {room: _door(room) for room in FLOOR_OF if room != "__init__"}


def test_what_a_door_hands_out_is_taken_at_the_door() -> None:
    assert not [
        str(found)
        for found in ALL_IMPORTS
        if found.room in DOORS
        and found.room != _room_of(found.path)
        and found.module != f"{PACKAGE.name}.{found.room}"
        and found.name in DOORS[found.room]
    ]


def test_the_ground_floor_has_no_circles() -> None:
    graph: dict[str, set[str]] = {room: set() for room in GROUND}
    for found in ALL_IMPORTS:
        if _room_of(found.path) in GROUND and found.room:
            graph[_room_of(found.path)].add(found.room)
    TopologicalSorter(graph).prepare()


def test_values_know_neither_flask_nor_sql() -> None:
    forbidden = {"flask", "flask_sqlalchemy", "sqlalchemy", "werkzeug"}
    assert not [
        str(found) for found in ALL_IMPORTS if _room_of(found.path) in VALUES and found.top_level in forbidden
    ]


def test_the_hosts_request_is_read_in_context_and_the_faces_only() -> None:
    assert not [
        str(found)
        for found in ALL_IMPORTS
        if found.top_level == "flask"
        and found.name in HOST_STATE
        and _room_of(found.path) not in FACES | {"context"}
    ]


def test_sdks_http_clients_and_job_queues_are_never_imported_by_us() -> None:
    sdks = {
        "openai",
        "anthropic",
        "httpx",
        "httpx2",
        "aiohttp",
        "requests",
        "google",
        "groq",
        "celery",
        "gevent",
    }
    assert not [str(found) for found in ALL_IMPORTS if found.top_level in {*sdks, "celery", "gevent"}]


@pytest.mark.parametrize(
    "path",
    [path for path in _sources() if path.stat().st_size],
    ids=lambda path: str(path.relative_to(PACKAGE)),
)
def test_annotations_are_not_evaluated(path: Path) -> None:
    first = [node for node in ast.parse(path.read_text("utf-8")).body if not isinstance(node, ast.Expr)]
    assert not first or (isinstance(first[0], ast.ImportFrom) and first[0].module == "__future__")


def test_the_architecture_page_names_every_room_from_the_top_down() -> None:
    page = (PACKAGE.parent / "docs" / "architecture.md").read_text("utf-8")
    table = page[page.index("| Room |") : page.index("\n\nFlask's `current_app`")]
    rooms = [room for floor in FLOORS for room in floor if floor != GROUND]
    told = [name for row in table.splitlines() for name in re.findall(r"`(\w+)/?`", row.split("|")[1])]
    assert sorted(told) == sorted(rooms)
    assert [FLOOR_OF[room] for room in told] == sorted(FLOOR_OF[room] for room in told)
    assert not [name for name in GROUND if f"`{name}`" not in table]
