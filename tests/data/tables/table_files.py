"""One small table of mixed columns, written in every format by other libraries."""

import datetime
import gzip
import json
import sqlite3

import pandas as pd
import pyarrow as pa
import pyarrow.feather
import pyarrow.parquet

N = 30
DAYS = [datetime.date(2020, 1 + i % 12, 1 + i % 28) for i in range(N)]
COLUMNS = {
    "n": [None if i == 3 else i * 0.5 for i in range(N)],
    "whole": [i * 37 % 23 for i in range(N)],
    "kind": [None if i == 5 else "rgb"[i % 3] for i in range(N)],
    "flag": [None if i == 7 else i % 2 == 0 for i in range(N)],
    "day": [None if i == 2 else day for i, day in enumerate(DAYS)],
    "tags": ["p|q" if i % 3 else "p" for i in range(N)],
}
AS_TEXT = COLUMNS | {"day": [None if day is None else day.isoformat() for day in COLUMNS["day"]]}


def as_csv(path):
    pd.DataFrame(COLUMNS).astype({"whole": int}).to_csv(path / "t.csv", index=False)
    return path / "t.csv"


def as_jsonl(path, name="t.jsonl"):
    rows = [dict(zip(AS_TEXT, row, strict=True)) for row in zip(*AS_TEXT.values(), strict=True)]
    text = "".join(json.dumps({k: v for k, v in row.items() if v is not None}) + "\n" for row in rows)
    (path / name).write_bytes(gzip.compress(text.encode()) if name.endswith(".gz") else text.encode())
    return path / name


def as_parquet(path):
    pa.parquet.write_table(pa.table(COLUMNS), path / "t.parquet", row_group_size=7)
    return path / "t.parquet"


def as_parquet_folder(path):
    """Parts as Spark writes them: one of them without rows, and files that are no part."""
    folder, table = path / "parts.parquet", pa.table(COLUMNS)
    folder.mkdir()
    for i, part in enumerate((table[:11], table[11:11], table[11:])):
        pa.parquet.write_table(part, folder / f"part-{i:05}.snappy.parquet")
    for name in ("_SUCCESS", ".part-00000.snappy.parquet.crc"):
        (folder / name).touch()
    return folder


def as_arrow(path):
    with pa.ipc.new_file(path / "t.arrow", pa.table(COLUMNS).schema) as file:
        file.write_table(pa.table(COLUMNS), max_chunksize=11)
    return path / "t.arrow"


def as_stream(path):
    with pa.ipc.new_stream(path / "s.arrow", pa.table(COLUMNS).schema) as file:
        file.write_table(pa.table(COLUMNS), max_chunksize=11)
    return path / "s.arrow"


def as_feather(path):
    pa.feather.write_feather(pa.table(COLUMNS), path / "t.feather")
    return path / "t.feather"


def as_excel(path):
    pd.DataFrame(COLUMNS).to_excel(path / "t.xlsx", index=False)
    return path / "t.xlsx"


def as_sqlite(path):
    base = sqlite3.connect(path / "t.db")
    base.execute("CREATE TABLE films (n REAL, whole INTEGER, kind TEXT, flag TEXT, day TEXT, tags TEXT)")
    texts = AS_TEXT | {"flag": [None if v is None else str(v).lower() for v in AS_TEXT["flag"]]}
    base.executemany("INSERT INTO films VALUES (?,?,?,?,?,?)", zip(*texts.values(), strict=True))
    base.commit()
    base.close()
    return path / "t.db"
