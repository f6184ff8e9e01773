# Creates a table of format version 2 in a SQLite catalog with pyiceberg, appends twice and deletes
# rows by rewriting: pyiceberg_engine.py CATALOG_FILE CATALOG_NAME WAREHOUSE NAMESPACE.TABLE
import sys

import pyarrow as pa
from pyiceberg.catalog.sql import SqlCatalog


def main() -> None:
    path, name, warehouse, identifier = sys.argv[1:]
    catalog = SqlCatalog(name, uri=f"sqlite:///{path}", warehouse=f"file://{warehouse}")
    catalog.create_namespace_if_not_exists(identifier.split(".")[0])
    rows = pa.table({"id": pa.array(range(10), pa.int64()), "name": ["x"] * 10})
    location = f"file://{warehouse}/{identifier.replace('.', '/')}"
    table = catalog.create_table(identifier, rows.schema, location=location)
    table.append(rows)
    table.append(rows.slice(0, 4))
    table.delete("id = 9")


main()
