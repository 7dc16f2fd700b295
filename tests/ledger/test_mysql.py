"""MySQL 8 takes the ledger: its tables, its revisions, and every kind of statement."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import MetaData
from sqlalchemy import Table
from sqlalchemy import text
from sqlalchemy.schema import CreateIndex
from sqlalchemy.schema import CreateTable

from flask_llm_cost.ledger import Base
from flask_llm_cost.ledger import Ledger
from flask_llm_cost.ledger.attach import copy_with_stock_types
from flask_llm_cost.maintenance import prune
from tests.made_events import NOON
from tests.made_events import event
from tests.mysql_dialect import MYSQL
from tests.mysql_dialect import MySQLWatch
from tests.mysql_dialect import objections

_LONGEST_KEY = 3_072  # bytes of one index, with InnoDB's DYNAMIC rows


def _own_and_copied(name: str) -> list[Table]:
    """A table of our own models, and its copy in the host's metadata."""
    copies = MetaData()
    for table in Base.metadata.sorted_tables:
        copy_with_stock_types(table, copies)
    return [Base.metadata.tables[name], copies.tables[name]]


@pytest.mark.parametrize("name", sorted(Base.metadata.tables))
@pytest.mark.parametrize("version", MYSQL)
def test_every_table_and_index_is_made_in_mysqls_own_words(name: str, version: str) -> None:
    for table in _own_and_copied(name):
        sql = str(CreateTable(table).compile(dialect=MYSQL[version]))
        assert objections(sql) == []
        assert "ENGINE=InnoDB" in sql
        assert "utf8mb4" in sql
        assert "DATETIME," not in sql, "MySQL drops the fractions of a DATETIME without a precision"
        for index in table.indexes:
            assert objections(str(CreateIndex(index).compile(dialect=MYSQL[version]))) == []


def test_no_index_is_longer_than_innodb_allows() -> None:
    for table in Base.metadata.sorted_tables:
        for index in (*table.indexes, table.primary_key):
            bytes_of_text = sum(4 * (getattr(column.type, "length", None) or 2) for column in index.columns)
            assert bytes_of_text <= _LONGEST_KEY, f"{table.name}: {index.name}"


@pytest.mark.parametrize(
    ("sql", "refused"),
    [
        ("INSERT INTO t (a) VALUES (1) RETURNING id", "RETURNING"),
        ("CREATE OR REPLACE TABLE t (a INT)", "CREATE OR REPLACE TABLE"),
        ("ALTER TABLE t ADD COLUMN IF NOT EXISTS a INT", "IF NOT EXISTS"),
        ("DELETE FROM t WHERE id IN (SELECT id FROM t WHERE a < 1)", "1093"),
        ("UPDATE t SET a = 1 WHERE id = (SELECT max(id) FROM `t`)", "1093"),
        ("SELECT MEDIAN(a) OVER () FROM t", "MEDIAN"),
        ("SELECT a FROM t FOR UPDATE WAIT 3", "WAIT"),
        ("DELETE FROM t WHERE id IN (SELECT t_id FROM t_tags)", ""),
        ("SELECT a FROM t FOR UPDATE", ""),
    ],
)
def test_what_only_mariadb_knows_would_be_noticed(sql: str, refused: str) -> None:
    found = objections(sql)
    assert any(refused in each for each in found) if refused else found == []


def test_statements_are_watched_on_mariadb_and_run_in_mysqls_mode(
    ledger: Ledger, mysql_watch: MySQLWatch
) -> None:
    if ledger.engine.dialect.name not in ("mysql", "mariadb"):
        pytest.skip("a test of what the MariaDB tests of this suite look at")
    mysql_watch.forget()
    ledger.write([event(tags={"a": "1"})])
    prune(ledger, NOON + timedelta(days=9))
    seen = "\n".join(mysql_watch.seen)
    assert "ON DUPLICATE KEY UPDATE" in seen
    assert " AS new " in seen, "as MySQL writes it from 8.0.20 on"
    assert "DELETE FROM llm_cost_calls" in seen
    assert "innodb_lock_wait_timeout" in seen
    with ledger.engine.connect() as connection:
        assert "ONLY_FULL_GROUP_BY" in str(connection.execute(text("SELECT @@sql_mode")).scalar())


def test_an_upsert_is_written_for_each_version_of_mysql() -> None:
    from flask_llm_cost.ledger.rows import META
    from flask_llm_cost.ledger.statements import insert_replacing

    statement = insert_replacing(META, "key", "value", "mysql")
    old, new = (str(statement.compile(dialect=dialect)) for dialect in MYSQL.values())
    assert "VALUES(value)" in old.replace("`", "")
    assert "AS new ON DUPLICATE KEY UPDATE value = new.value" in new.replace("`", "")
