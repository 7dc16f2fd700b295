"""``prices refresh`` and ``prices check`` against a loopback HTTPS server."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from flask_llm_cost.pricing import Catalog
from flask_llm_cost.usage import Usage
from tests.cli.apps import CommandApp
from tests.cli.apps import MakeCommandApp
from tests.pricing.asking import ask
from tests.pricing.https_server import PriceServer
from tests.pricing.https_server import reply
from tests.pricing.https_server import serving

MODELS = {f"acme/m{n}": {"input": "1", "output": "4"} for n in range(60)}


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[PriceServer]:
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    with serving(tmp_path) as found:
        yield found


@pytest.fixture
def prices(tmp_path: Path) -> Path:
    path = tmp_path / "prices.json"
    path.write_text('{"acme/ours": {"input": "7"}}')
    return path


@pytest.fixture
def app(make_app: MakeCommandApp, tmp_path: Path, prices: Path) -> CommandApp:
    return make_app(f"sqlite:///{tmp_path / 'app.sqlite'}", LLM_COST_PRICES_FILE=str(prices))


def listing(**changed: dict[str, Any] | None) -> bytes:
    models = {**MODELS, **{f"acme/{name}": body for name, body in changed.items()}}
    document = {"schema_version": 1, "models": {key: body for key, body in models.items() if body}}
    return json.dumps(document).encode()


def test_new_prices_are_fetched_shown_and_written(app: CommandApp, server: PriceServer, prices: Path) -> None:
    url = server.gives("/p.json", listing(m1={"input": "2", "output": "4"}), ETag='"v1"')
    result = app.run("prices", "refresh", "--source", url)

    assert result.exit_code == 0, result.output
    assert "60 new models, 0 changed rates, 0 removed" in result.stdout
    assert f"Written: {prices}" in result.stdout
    written = json.loads(prices.read_text())
    assert written["models"]["acme/ours"] == {"input": "7"}
    assert written["models"]["acme/m1"] == {"input": "2", "output": "4", "source": "own"}
    assert written["sources"][0]["url"] == url
    assert written["sources"][0]["etag"] == '"v1"'
    assert Path(f"{prices}.previous").read_text() == '{"acme/ours": {"input": "7"}}'
    price = ask(Catalog.load(prices_file=prices), Usage(input_tokens=1_000_000))
    assert price.total_cost == 2


def test_a_list_that_has_not_changed_is_not_fetched_again(app: CommandApp, server: PriceServer) -> None:
    url = server.gives("/p.json", listing(), ETag='"v1"')
    assert app.run("prices", "refresh", "--source", url).exit_code == 0
    server.answers["/p.json"] = lambda request: reply(request, status=304)
    result = app.run("prices", "refresh", "--source", url)

    assert result.exit_code == 0
    assert "has not changed since it was fetched" in result.stdout
    assert server.seen[-1][1]["If-None-Match"] == '"v1"'


def test_suspicious_moves_are_refused_without_force(
    app: CommandApp, server: PriceServer, prices: Path
) -> None:
    url = server.gives("/p.json", listing())
    assert app.run("prices", "refresh", "--source", url).exit_code == 0
    before = prices.read_bytes()
    server.gives("/p.json", listing(m1={"input": "6", "output": "4"}))
    refused = app.run("prices", "refresh", "--source", url)

    assert refused.exit_code == 1
    assert "acme/m1: input goes from 1 to 6, more than 5 times" in refused.stdout
    assert prices.read_bytes() == before

    forced = app.run("prices", "refresh", "--source", url, "--force")
    assert forced.exit_code == 0
    assert json.loads(prices.read_text())["models"]["acme/m1"]["input"] == "6"


def test_a_dry_run_shows_and_changes_nothing(app: CommandApp, server: PriceServer, prices: Path) -> None:
    before = prices.read_bytes()
    url = server.gives("/p.json", listing())
    result = app.run("prices", "refresh", "--source", url, "--dry-run")

    assert result.exit_code == 0
    assert "new     acme/m0" in result.stdout
    assert "Dry run: nothing was written." in result.stdout
    assert prices.read_bytes() == before
    assert not Path(f"{prices}.previous").exists()


def test_strict_refuses_what_breaks_a_rule(app: CommandApp, server: PriceServer, prices: Path) -> None:
    before = prices.read_bytes()
    url = server.gives("/p.json", listing(m1={"input": "1", "cache_read_input": "2"}))
    strict = app.run("prices", "refresh", "--source", url, "--strict")

    assert strict.exit_code == 1
    assert "acme/m1 breaks a rule: cache_read: cached input is dearer than input" in strict.stdout
    assert prices.read_bytes() == before

    assert app.run("prices", "refresh", "--source", url).exit_code == 0
    assert "acme/m1" not in json.loads(prices.read_text())["models"]


def test_a_local_file_is_taken_too(app: CommandApp, tmp_path: Path, prices: Path) -> None:
    (tmp_path / "list.yml").write_text("acme/m1:\n  input: '3'\n")
    result = app.run("prices", "refresh", "--source", str(tmp_path / "list.yml"), "--format", "json")
    document = json.loads(result.stdout)

    assert result.exit_code == 0
    assert (document["outcome"], document["source_format"]) == ("written", "own")
    assert [(change["kind"], change["key"]) for change in document["changes"]] == [("new", "acme/m1")]
    assert "acme/m1" in json.loads(prices.read_text())["models"]


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"<html>please log in", r"not valid JSON (line 1)"),
        (b'{"models": {}}', "has no price of a model that is known here"),
    ],
)
def test_a_list_that_is_none_changes_nothing(
    app: CommandApp, server: PriceServer, prices: Path, body: bytes, message: str
) -> None:
    before = prices.read_bytes()
    result = app.run("prices", "refresh", "--source", server.gives("/p.json", body))

    assert result.exit_code == 1
    assert message in result.stderr
    assert prices.read_bytes() == before


def test_without_a_prices_file_the_cure_is_named(make_app: MakeCommandApp, tmp_path: Path) -> None:
    app = make_app(f"sqlite:///{tmp_path / 'app.sqlite'}")
    result = app.run("prices", "refresh", "--source", "https://localhost/p.json")

    assert result.exit_code == 1
    assert "Set LLM_COST_PRICES_FILE" in result.stderr
    assert "echo '{}' > instance/prices.json" in result.stderr


@pytest.mark.parametrize(
    "arguments", [["--source-format", "own"], ["--source-format", "csv"], ["--bogus"], ["--format", "xml"]]
)
def test_wrong_use_is_exit_2(app: CommandApp, arguments: list[str]) -> None:
    for command in ("refresh", "check"):
        assert app.run("prices", command, *arguments).exit_code == 2


def test_an_insecure_address_is_refused(app: CommandApp) -> None:
    result = app.run("prices", "check", "--source", "http://localhost/p.json")

    assert result.exit_code == 1
    assert "only https:// addresses and local files are read" in result.stderr


def test_check_says_whether_prices_drifted(app: CommandApp, server: PriceServer, prices: Path) -> None:
    url = server.gives("/p.json", listing())
    before = prices.read_bytes()
    assert app.run("prices", "check", "--source", url).exit_code == 1
    assert prices.read_bytes() == before

    assert app.run("prices", "refresh", "--source", url).exit_code == 0
    same = app.run("prices", "check", "--source", url)
    assert same.exit_code == 0
    assert "The prices in force are those of the list." in same.stdout

    server.gives("/p.json", listing(m1={"input": "1.5", "output": "4"}))
    drifted = app.run("prices", "check", "--source", url, "--format", "csv")
    assert drifted.exit_code == 1
    [row] = list(csv.DictReader(io.StringIO(drifted.stdout)))
    assert (row["kind"], row["key"], row["rate"]) == ("changed", "acme/m1", "input")
    assert [row["before"], row["after"], row["factor"]] == ["1", "1.5", "1.5"]


def test_check_needs_no_prices_file(make_app: MakeCommandApp, tmp_path: Path, server: PriceServer) -> None:
    app = make_app(f"sqlite:///{tmp_path / 'app.sqlite'}")
    url = server.gives("/p.json", json.dumps({"openai/gpt-5": {"input": "1.25", "output": "9"}}).encode())

    assert app.run("prices", "check", "--source", url).exit_code == 1
