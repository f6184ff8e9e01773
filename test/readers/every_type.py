"""Writes a table with every type that pyiceberg can write, for the readers' own test:
every_type.py FOLDER makes catalog.db and the table lake.every_type with two snapshots.
"""

import datetime as dt
import decimal
import sys
import uuid

import pyarrow as pa
from pyiceberg.catalog.sql import SqlCatalog
from pyiceberg.schema import Schema
from pyiceberg.types import (
    BinaryType,
    BooleanType,
    DateType,
    DecimalType,
    DoubleType,
    FixedType,
    FloatType,
    IntegerType,
    ListType,
    LongType,
    NestedField,
    StringType,
    TimestampType,
    TimestamptzType,
    TimeType,
    UUIDType,
)

UTC = dt.timezone.utc
BEFORE_EPOCH = dt.datetime(1969, 12, 31, 23, 59, 59, 999999)
AFTER_EPOCH = dt.datetime(1970, 1, 1, 0, 0, 0, 5, UTC)

# Column, Iceberg type, and its values in three rows.
COLUMNS = [
    ("id", LongType(), [1, 2, 3]),
    ("flag", BooleanType(), [True, False, None]),
    ("small", IntegerType(), [-(2**31), 2**31 - 1, None]),
    ("large", LongType(), [-(2**63), 2**63 - 1, None]),
    ("single", FloatType(), [0.1, -0.0, float("nan")]),
    ("number", DoubleType(), [0.1, float("-inf"), float("nan")]),
    ("price", DecimalType(10, 2), [decimal.Decimal("1.50"), decimal.Decimal("-0.07"), None]),
    ("huge", DecimalType(38, 0), [decimal.Decimal(10**38 - 1), decimal.Decimal(0), None]),
    ("tiny", DecimalType(20, 10), [decimal.Decimal("1E-10"), decimal.Decimal(0), None]),
    ("day", DateType(), [dt.date(1969, 12, 31), dt.date(9999, 12, 31), None]),
    ("clock", TimeType(), [dt.time(0, 0, 0, 1), dt.time(23, 59, 59, 999999), None]),
    ("local", TimestampType(), [BEFORE_EPOCH, dt.datetime(1, 1, 1), None]),
    ("instant", TimestamptzType(), [AFTER_EPOCH, dt.datetime(9999, 12, 31, tzinfo=UTC), None]),
    ("text", StringType(), ['ü "quoted"\n\u2028', "", None]),
    ("key", UUIDType(), [uuid.UUID(int=255), uuid.UUID(int=2**128 - 1), None]),
    ("bytes", BinaryType(), [b"\x00\xff", b"", None]),
    ("mark", FixedType(3), [b"\x01\x02\x03", b"\x00\x00\x00", None]),
    ("numbers", ListType(90, IntegerType(), element_required=False), [[1, None, 3], [], None]),
    ("words", ListType(91, StringType(), element_required=False), [["a", None], [""], None]),
    (
        "moments",
        ListType(92, TimestampType(), element_required=False),
        [[dt.datetime(1970, 1, 2)], [None], None],
    ),
    ("singles", ListType(93, FloatType(), element_required=False), [[1.5, None], [], None]),
]


def main(folder):
    catalog = SqlCatalog(
        "fixture", uri=f"sqlite:///{folder}/catalog.db", warehouse=f"file://{folder}/lake"
    )
    catalog.create_namespace("lake")
    fields = [
        NestedField(index + 1, name, kind, required=False)
        for index, (name, kind, _) in enumerate(COLUMNS)
    ]
    table = catalog.create_table(
        "lake.every_type", Schema(*fields), properties={"format-version": "2"}
    )
    layout = table.schema().as_arrow()
    arrays = []
    for field, (_, kind, values) in zip(layout, COLUMNS):
        if isinstance(kind, UUIDType):
            values = [None if value is None else value.bytes for value in values]
        arrays.append(pa.array(values, type=field.type))
    rows = pa.Table.from_arrays(arrays, schema=layout)
    table.append(rows.slice(0, 1))
    table.append(rows.slice(1))
    empty = Schema(NestedField(1, "id", LongType(), required=False))
    catalog.create_table("lake.never_written", empty)


main(sys.argv[1])
