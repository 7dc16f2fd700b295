from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from flask_llm_cost.errors import ConfigurationError
from flask_llm_cost.pricing.documents import SIZE_LIMIT
from flask_llm_cost.pricing.documents import file_signature
from flask_llm_cost.pricing.documents import read_document


def test_yaml_and_json_files_hold_the_same(tmp_path: Path) -> None:
    (tmp_path / "p.yml").write_text('acme/m1: {input: "1.25", output: 10}\n')
    (tmp_path / "p.json").write_text('{"acme/m1": {"input": "1.25", "output": 10}}')

    from_yaml = read_document(tmp_path / "p.yml")
    from_json = read_document(tmp_path / "p.json")

    assert from_yaml.content == from_json.content == {"acme/m1": {"input": "1.25", "output": 10}}
    assert from_yaml.version != from_json.version


def test_a_byte_order_mark_does_not_matter(tmp_path: Path) -> None:
    (tmp_path / "p.yml").write_bytes(b"\xef\xbb\xbfm1: {input: 1}\n")

    assert read_document(tmp_path / "p.yml").content == {"m1": {"input": 1}}


def laughs(levels: int) -> str:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, levels)]
    return "\n".join(lines)


BAD: dict[str, tuple[str, bytes, str]] = {
    "empty": ("p.yml", b"", "empty"),
    "blank": ("p.yml", b" \n\n", "empty"),
    "bytes": ("p.yml", b"\xff\xfe\x00", "not UTF-8"),
    "yaml syntax": ("p.yml", b"a: [1\nb: 2", "not valid YAML"),
    "json syntax": ("p.json", b'{"a": ', "not valid JSON"),
    "a python object": ("p.yml", b"a: !!python/object/apply:os.system ['true']", "not valid YAML"),
    "aliases": (
        "p.yml",
        b"a: &x {input: 1}\nb: *x",
        r"p\.yml: YAML aliases are not accepted \(line 2\); write the values out\.$",
    ),
    "a billion laughs": ("p.yml", laughs(9).encode(), "aliases are not accepted"),
    "a merge key": ("p.yml", b"a: &x {input: 1}\nb: {<<: *x}", "aliases are not accepted"),
    "deep yaml": (
        "p.yml",
        b"a: " + b"[" * 30 + b"]" * 30,
        r"p\.yml: nested deeper than 20 levels \(line 1\)\.$",
    ),
    # Newer versions of libyaml refuse this one themselves.
    "very deep yaml": ("p.yml", b"a: " + b"[" * 100_000 + b"]" * 100_000, "nested deeper|nesting depth"),
    "deep json": ("p.json", b"[" * 500_000 + b"]" * 500_000, "nested too deep"),
    "a key twice in yaml": (
        "p.yml",
        b"a: {input: 1}\na: {input: 2}",
        r"'a' stands there twice \(line 2\)\.$",
    ),
    "a key twice in json": ("p.json", b'{"a": 1, "a": 2}', "'a' stands there twice"),
    "too large": ("p.yml", b"#" * (SIZE_LIMIT + 1), "larger than 2,097,152 bytes"),
    "two yaml documents": ("p.yml", b"a: {input: 1}\n---\nb: {input: 1}\n", "not valid YAML"),
}


@pytest.mark.parametrize(("name", "content", "message"), BAD.values(), ids=BAD)
def test_a_bad_file_is_refused_with_its_path(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    path = tmp_path / name
    path.write_bytes(content)

    with pytest.raises(ConfigurationError, match=message) as refused:
        read_document(path)

    assert str(refused.value).startswith(str(path))


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="No such file"):
        read_document(tmp_path / "none.yml")


def test_what_is_not_a_file_is_refused_without_waiting_for_it(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.yml")

    for path in (tmp_path, tmp_path / "pipe.yml"):
        with pytest.raises(ConfigurationError, match="not a regular file"):
            read_document(path)


def test_the_signature_tells_a_changed_file_from_the_old_one(tmp_path: Path) -> None:
    path = tmp_path / "p.json"
    assert file_signature(path) is None

    path.write_text(json.dumps({"a": 1}))
    before = file_signature(path)
    path.write_text(json.dumps({"a": 10}))

    assert before is not None
    assert file_signature(path) != before
