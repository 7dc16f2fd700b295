"""Providers of other packages: the example package, installed, and packages that are broken."""

from __future__ import annotations

import importlib
import logging
import shutil
import sys
import tomllib
from collections.abc import Callable
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import httpx
import httpx2
import pytest

from flask_llm_cost.doctor.setup import provider_packages
from flask_llm_cost.providers import find_route
from flask_llm_cost.providers import plugins
from flask_llm_cost.providers import provider_of_host
from flask_llm_cost.providers import read_body
from tests.capture.conftest import TrackedApp
from tests.loopback import LoopbackProvider
from tests.loopback import loopback_provider
from tests.wire_formats import sse

EXAMPLE = Path(__file__).parents[2] / "examples" / "provider_plugin"
URL = "http://api.pier.example/v1/say"
BILL = {"words_in": 2_000, "words_out": 500, "sheets": 3}
PRICES = {"pier/pier-1": {"input": "3", "output": "12", "page": "0.01"}}

Install = Callable[[Path], None]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Install]:
    """``install(project)`` puts a project's module and its metadata where Python looks for packages."""
    site = tmp_path / "site-packages"
    site.mkdir()
    modules = set(sys.modules)

    def install(project: Path) -> None:
        told = tomllib.loads((project / "pyproject.toml").read_text("utf-8"))["project"]
        for module in project.glob("*.py"):
            shutil.copy(module, site)
        info = site / f"{told['name'].replace('-', '_')}-{told['version']}.dist-info"
        info.mkdir()
        head = f"Metadata-Version: 2.1\nName: {told['name']}\nVersion: {told['version']}\n"
        (info / "METADATA").write_text(head, "utf-8")
        groups = [
            "\n".join([f"[{group}]", *(f"{name} = {value}" for name, value in points.items())])
            for group, points in told["entry-points"].items()
        ]
        (info / "entry_points.txt").write_text("\n".join(groups), "utf-8")
        importlib.invalidate_caches()
        plugins.forget()

    monkeypatch.syspath_prepend(str(site))
    yield install
    monkeypatch.undo()
    plugins.forget()
    for name in set(sys.modules) - modules:
        if (sys.modules[name].__spec__ and str(site) in str(sys.modules[name].__file__)) or "pier" in name:
            del sys.modules[name]


@pytest.fixture
def project(tmp_path: Path) -> Callable[..., Path]:
    """``project(name, code, value)`` is a package of one module with one entry point."""

    def make(name: str, code: str, value: str = "PROVIDER") -> Path:
        folder = tmp_path / name
        folder.mkdir()
        (folder / f"{name}.py").write_text(code, "utf-8")
        (folder / "pyproject.toml").write_text(
            f'[project]\nname = "{name}"\nversion = "0.1"\n'
            f'[project.entry-points."flask_llm_cost.providers"]\n{name} = "{name}:{value}"\n',
            "utf-8",
        )
        return folder

    return make


@pytest.fixture
def provider() -> Iterator[LoopbackProvider]:
    """The loopback provider, as the proxy through which ``api.pier.example`` is reached."""
    with loopback_provider() as running:
        yield running


@pytest.fixture
def app() -> Iterator[TrackedApp]:
    app = TrackedApp("harbour", {"LLM_COST_PRICING_OVERRIDES": PRICES}, {})
    yield app
    app.close()


@pytest.mark.parametrize("package", [httpx, httpx2], ids=["httpx", "httpx2"])
def test_a_call_to_the_examples_provider_is_a_priced_row(
    install: Install, app: TrackedApp, provider: LoopbackProvider, package: type
) -> None:
    install(EXAMPLE)
    provider.answer({"id": "say-1", "model": "pier-1", "said": "open", "bill": BILL})
    inner = package.HTTPTransport(proxy=provider.url)  # type: ignore[attr-defined]
    with package.Client(transport=app.tracker.http_transport(inner)) as client:  # type: ignore[attr-defined]
        client.post(URL, json={"model": "pier-1", "text": "Is the quay open?"})
        client.post("http://api.pier.example/v1/hush", json={})

    event = app.event
    assert (event.provider, event.operation, event.model) == ("pier", "chat", "pier-1")
    assert (event.input_tokens, event.output_tokens, event.provider_response_id) == (2_000, 500, "say-1")
    # 2000 x 3 / 10^6 + 500 x 12 / 10^6 + 3 x 0.01
    assert (event.total_cost, event.cost_status) == (Decimal("0.042"), "complete")
    assert [item.provider_field for item in event.line_items] == [
        "bill.words_in",
        "bill.words_out",
        "bill.sheets",
    ]


def test_a_stream_of_the_examples_provider_is_read_along(
    install: Install, app: TrackedApp, provider: LoopbackProvider
) -> None:
    install(EXAMPLE)
    said = {"id": "say-2", "model": "pier-1", "said": "open"}
    provider.stream(sse([said, said, {**said, "bill": BILL}]))
    provider.stream(sse([said, said]))
    inner = httpx2.HTTPTransport(proxy=provider.url)
    with httpx2.Client(transport=app.tracker.http_transport(inner)) as client:
        for _ in range(2):
            client.post(URL, json={"model": "pier-1", "stream": True})

    told, cut = app.events
    assert (told.usage_source, told.total_cost, told.stream) == ("stream", Decimal("0.042"), True)
    assert (cut.status, cut.error_type, cut.total_cost) == ("error", "incomplete_stream", None)


def test_nothing_is_loaded_before_a_host_is_nobodys(
    install: Install, project: Callable[..., Path], caplog: pytest.LogCaptureFixture
) -> None:
    install(project("pier_slow", "raise SystemError"))
    assert provider_of_host("api.openai.com", {}) == "openai"
    assert "pier_slow" not in sys.modules
    assert not caplog.records
    assert provider_of_host("api.pier.example", {}) is None
    assert len(caplog.records) == 1


FINE = """
from flask_llm_cost.providers import AnswerReader, Endpoint, Provider, Reading
"""


@pytest.mark.parametrize(
    ("code", "problem"),
    [
        ("import no_such_module", "pier_odd:PROVIDER cannot be loaded (ModuleNotFoundError)"),
        ("1 / 0", "pier_odd:PROVIDER cannot be loaded (ZeroDivisionError)"),
        ("", "pier_odd:PROVIDER cannot be loaded (AttributeError)"),
        (
            FINE + "PROVIDER = Provider(name='odd', endpoints=5)",
            "pier_odd:PROVIDER cannot be loaded (AttributeError)",
        ),
        ("PROVIDER = 'pier'", "it is no Provider but of the class str"),
        (FINE + "PROVIDER = Provider(name='openai')", "there is a provider 'openai' already"),
        (FINE + "PROVIDER = Provider(name='Pier/1')", "its name must be in lower case, without a slash"),
        (
            FINE + "PROVIDER = Provider(name='odd', endpoints={'say': 'chat'})",
            "endpoints['say'] is no Endpoint",
        ),
        (
            FINE + "PROVIDER = Provider(name='odd', readers={'say': Reading})",
            "readers['say'] is no heir of AnswerReader",
        ),
        (
            FINE + "PROVIDER = Provider(name='odd', endpoints={'say': Endpoint('chat', 'usage', 'say')})",
            "endpoints['say'] names the protocol 'say', which nobody reads",
        ),
    ],
)
def test_a_broken_package_warns_once_and_breaks_nothing(
    install: Install,
    project: Callable[..., Path],
    caplog: pytest.LogCaptureFixture,
    code: str,
    problem: str,
) -> None:
    install(EXAMPLE)
    install(project("pier_odd", code))
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            assert provider_of_host("api.pier.example", {}) == "pier"
            assert find_route("POST", "api.openai.com", "/v1/responses").protocol == "openai_responses"

    (record,) = caplog.records
    assert record.getMessage() == f"The provider 'pier_odd' of pier_odd 0.1 is left out: {problem}"
    broken, fine = sorted(provider_packages(), key=lambda check: check.status, reverse=True)
    assert (broken.name, broken.status) == ("provider pier_odd", "warn")
    assert broken.evidence == f"pier_odd 0.1: {problem}."
    assert fine.evidence == "llm-cost-pier 1.0: its hosts are api.pier.example."


def test_a_package_may_send_requests_while_it_is_imported(
    install: Install, project: Callable[..., Path]
) -> None:
    asking = """
from flask_llm_cost.providers import Provider, provider_of_host
assert provider_of_host("api.pier.example", {}) is None
PROVIDER = Provider(name="pier", hosts=("api.pier.example",))
"""
    install(project("pier_asking", asking))

    assert provider_of_host("api.pier.example", {}) == "pier"


def test_without_such_a_package_the_doctor_says_nothing(install: Install) -> None:
    plugins.forget()

    assert list(provider_packages()) == []


def test_two_packages_of_one_name_are_one_provider(install: Install, project: Callable[..., Path]) -> None:
    install(EXAMPLE)
    install(project("quay", FINE + "PROVIDER = Provider(name='pier', hosts=('quay.example',))"))

    assert [plugin.problem for plugin in plugins.all()] == ["", "there is a provider 'pier' already"]
    assert provider_of_host("quay.example", {}) is None


RAISING = """
from flask_llm_cost.providers import AnswerReader, Endpoint, Provider, Reading

class Odd(AnswerReader):
    def {method}(self, *_):
        raise RuntimeError("secret")

    {rest}

PROVIDER = Provider(
    name="pier_raising",
    hosts=("api.raising.example",),
    endpoints={{"say": Endpoint("chat", "usage", "odd")}},
    readers={{"odd": Odd}},
)
"""
REST = {
    "__init__": "whole = reading = lambda self, *_: Reading()",
    "headers": "whole = reading = lambda self, *_: Reading()",
    "whole": "reading = lambda self: Reading()",
    "reading": "whole = lambda self, document: None",
}


@pytest.mark.parametrize("method", sorted(REST))
def test_a_reader_that_raises_costs_the_usage_and_not_the_call(
    install: Install, project: Callable[..., Path], method: str
) -> None:
    install(project("pier_raising", RAISING.format(method=method, rest=REST[method])))
    found = read_body(
        find_route("POST", "api.raising.example", "/v1/say"), b'{"id": "say-1"}', {"x-pier": "1"}
    )

    assert (found.status, found.usage) == ("ok", None)
    assert [problem.partition(": ")[2] for problem in found.problems] == ["RuntimeError"]
