"""Writes tables of a SQLite catalog in canonical form:
pyiceberg_dump.py OUTPUT CATALOG_FILE CATALOG_NAME [NAMESPACE.TABLE[@SNAPSHOT] ...]
"""

import sys

from canonical import cells, write_dump
from pyiceberg.catalog.sql import SqlCatalog
from pyiceberg.types import ListType, UUIDType


def main(output, catalog_file, catalog_name, *wanted):
    catalog = SqlCatalog(catalog_name, uri=f"sqlite:///{catalog_file}")
    with open(output, "w", encoding="utf-8") as file:
        for request in wanted or all_tables(catalog):
            name, _, snapshot = request.partition("@")
            dump(file, catalog.load_table(name), name, int(snapshot) if snapshot else None)


def all_tables(catalog):
    """Sorted names of all tables; a namespace may hold further namespaces."""
    names = []
    pending = list(catalog.list_namespaces())
    seen = set()
    while pending:
        namespace = pending.pop()
        if namespace in seen:
            continue
        seen.add(namespace)
        names += [".".join(name) for name in catalog.list_tables(namespace)]
        pending += catalog.list_namespaces(namespace)
    return sorted(set(names))


def dump(file, table, name, snapshot):
    scan = table.scan(snapshot_id=snapshot)
    arrow = scan.to_arrow()
    fields = scan.projection().fields
    columns = [cells(arrow.column(field.name), is_uuid(field)) for field in fields]
    current = table.current_snapshot()
    used = snapshot or (current.snapshot_id if current else None)
    head = {
        "table": name,
        "snapshot": None if used is None else str(used),
        "columns": [field.name for field in fields],
    }
    write_dump(file, head, columns)


def is_uuid(field):
    kind = field.field_type
    return isinstance(kind.element_type if isinstance(kind, ListType) else kind, UUIDType)


main(*sys.argv[1:])
