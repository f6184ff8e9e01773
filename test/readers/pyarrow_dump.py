"""Writes Parquet files in canonical form: pyarrow_dump.py OUTPUT FILE ..."""

import sys

import pyarrow.parquet as pq
from canonical import cells, write_dump


def main(output, paths):
    with open(output, "w", encoding="utf-8") as file:
        for path in paths:
            table = pq.ParquetFile(path).read()
            columns = [cells(column) for column in table.columns]
            head = {"table": path, "snapshot": None, "columns": table.column_names}
            write_dump(file, head, columns)


main(sys.argv[1], sys.argv[2:])
