# SPDX-License-Identifier: Apache-2.0
"""Cuts the demonstration's table out of the United Nations' World Population Prospects 2024.

Source: `population.csv.gz` of the package bokeh-sampledata 2026.1, which holds the Medium variant
at five-year steps from 1950 to 2100 in persons (CC BY 3.0 IGO; attribution in NOTICE). Kept here:
twelve countries, all 31 years, 21 age groups, two sexes. Run by `make data`.
"""

from __future__ import annotations

import csv
import gzip
import hashlib
import io
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

ROOT = Path(__file__).resolve().parent.parent
TARGET = ROOT / "src/corridor/cli/demo_data/population.parquet"
SOURCE_SHA256 = "97d34d53cc2bcb2cbaf04186096f096652ab0e80808d7f66ad6a71c4fe903f55"
SIZE_BYTES_MAX = 120_000
ROWS = 15_624  # 12 countries x 31 years x 21 age groups x 2 sexes
CHINA_2025 = 1_416_096_097  # the sum that the demonstration shows
COUNTRIES = (
    "Brazil",
    "China",
    "Egypt",
    "Germany",
    "Indonesia",
    "Japan",
    "Kenya",
    "Mexico",
    "Nigeria",
    "Pakistan",
    "Russian Federation",
    "Serbia",
)
SCHEMA = pa.schema(
    [
        ("country", pa.string()),
        ("year", pa.int16()),
        ("sex", pa.string()),
        ("age_group", pa.string()),
        ("age_from", pa.int16()),
        ("persons", pa.int64()),
    ],
    metadata={
        "source": "UN World Population Prospects 2024 · CC BY 3.0 IGO",
        "changed": "12 countries cut out; no value changed",
    },
)


def cut(packed: bytes) -> pa.Table:
    """The rows of COUNTRIES in SCHEMA, in the order of country, year, sex (male first), age."""
    text = io.TextIOWrapper(gzip.GzipFile(fileobj=io.BytesIO(packed)), encoding="utf-8")
    rows = [row for row in csv.DictReader(text) if row["Location"] in COUNTRIES]
    rows.sort(
        key=lambda r: (r["Location"], int(r["Year"]), r["Sex"] != "Male", int(r["AgeGrpStart"]))
    )
    columns = {
        "country": [row["Location"] for row in rows],
        "year": [int(row["Year"]) for row in rows],
        "sex": [row["Sex"].lower() for row in rows],
        "age_group": [row["AgeGrp"] for row in rows],
        "age_from": [int(row["AgeGrpStart"]) for row in rows],
        "persons": [int(row["Value"]) for row in rows],
    }
    return pa.table(columns, schema=SCHEMA)


def main(source: str) -> None:
    """Check the source, cut, check what was cut, write."""
    packed = Path(source).read_bytes()
    digest = hashlib.sha256(packed).hexdigest()
    if digest != SOURCE_SHA256:
        sys.exit(f"{source} is not the file this was written for: sha256 {digest}")
    table = cut(packed)
    china = sum(
        row["persons"]
        for row in table.select(["country", "year", "persons"]).to_pylist()
        if row["country"] == "China" and row["year"] == 2025
    )
    if (table.num_rows, china) != (ROWS, CHINA_2025):
        sys.exit(f"cut {table.num_rows} rows, China in 2025: {china}")
    TARGET.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(
        table,
        TARGET,
        compression="zstd",
        compression_level=19,
        column_encoding={"persons": "DELTA_BINARY_PACKED"},
        use_dictionary=["country", "year", "sex", "age_group", "age_from"],
    )
    size = TARGET.stat().st_size
    if size > SIZE_BYTES_MAX:
        sys.exit(f"{size} bytes are more than {SIZE_BYTES_MAX}")
    print(f"{TARGET.relative_to(ROOT)}: {table.num_rows:,} rows, {size:,} bytes")


if __name__ == "__main__":
    main(sys.argv[1])
