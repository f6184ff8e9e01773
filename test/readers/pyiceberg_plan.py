"""Says which data files pyiceberg would read for a filter on one column:
pyiceberg_plan.py OUTPUT CATALOG_FILE CATALOG_NAME [NAMESPACE.TABLE COLUMN OPERATION VALUE ...]
A line for each filter: a JSON array of paths.
"""

import json
import sys

from pyiceberg.catalog.sql import SqlCatalog
from pyiceberg.expressions import EqualTo, GreaterThanOrEqual, IsNull, LessThan
from pyiceberg.types import BooleanType, IntegerType, LongType

OPERATIONS = {"=": EqualTo, "<": LessThan, ">=": GreaterThanOrEqual}


def main(output, catalog_file, catalog_name, *args):
    catalog = SqlCatalog(catalog_name, uri=f"sqlite:///{catalog_file}")
    with open(output, "w", encoding="utf-8") as file:
        for at in range(0, len(args), 4):
            name, column, operation, value = args[at : at + 4]
            table = catalog.load_table(name)
            scan = table.scan(row_filter=predicate(table, column, operation, value))
            paths = [task.file.file_path for task in scan.plan_files()]
            file.write(json.dumps(paths) + "\n")


def predicate(table, column, operation, value):
    if operation == "null":
        return IsNull(column)
    kind = table.schema().find_type(column)
    if isinstance(kind, (IntegerType, LongType)):
        value = int(value)
    elif isinstance(kind, BooleanType):
        value = value == "true"
    return OPERATIONS[operation](column, value)


main(*sys.argv[1:])
