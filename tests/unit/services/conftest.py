# SPDX-License-Identifier: Apache-2.0
"""A folder with one survey in every format that is read."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import duckdb
import pytest


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One table in four files: survey.{csv,parquet,duckdb,sqlite}."""
    folder = tmp_path_factory.mktemp("data")
    connection = duckdb.connect(str(folder / "survey.duckdb"))
    connection.execute(
        """CREATE TABLE survey AS SELECT
             'h' || i AS household, ['Sever', 'أسوان', NULL][i % 3 + 1] AS region,
             (2018 + i % 8)::INTEGER AS year, (i / 8)::DECIMAL(12, 3) AS kwh,
             DATE '2020-01-01' + (i % 400)::INTEGER AS day,
             TIMESTAMP '2020-01-01 10:00:00' + to_seconds(i) AS seen, i % 2 = 0 AS solar,
             (i * 1.5)::DOUBLE AS income
           FROM range(1000) t(i)"""
    )
    connection.execute("CREATE TABLE other AS SELECT 1 AS a")
    for form in ("csv", "parquet"):
        connection.execute(f"COPY survey TO '{folder}/survey.{form}'")
    rows = connection.execute("SELECT * FROM survey ORDER BY seen").fetchall()
    connection.close()
    lite = sqlite3.connect(folder / "survey.sqlite")
    lite.execute(
        "CREATE TABLE survey (household TEXT, region TEXT, year INTEGER, kwh REAL, day DATE,"
        " seen TIMESTAMP, solar BOOLEAN, income REAL)"
    )
    lite.executemany(
        "INSERT INTO survey VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        [[*row[:3], float(row[3]), row[4].isoformat(), str(row[5]), *row[6:]] for row in rows],
    )
    lite.commit()
    lite.close()
    return folder
