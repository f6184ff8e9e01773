# Prints the path of every file that the metadata of any table of a catalog names, over all snapshots
# that are kept: lake_files.py CATALOG NAME
import sys

from pyiceberg.catalog.sql import SqlCatalog
from pyiceberg.table.snapshots import Snapshot


def path_of(uri: str) -> str:
    return uri.removeprefix("file://")


catalog = SqlCatalog(sys.argv[2], uri=f"sqlite:///{sys.argv[1]}", warehouse="file:///nowhere")
for namespace in catalog.list_namespaces():
    for identifier in catalog.list_tables(namespace):
        table = catalog.load_table(identifier)
        files = {table.metadata_location}
        files.update(entry.metadata_file for entry in table.metadata.metadata_log)
        for snapshot in table.metadata.snapshots:
            assert isinstance(snapshot, Snapshot)
            files.add(snapshot.manifest_list)
            for manifest in snapshot.manifests(table.io):
                files.add(manifest.manifest_path)
                for entry in manifest.fetch_manifest_entry(table.io):
                    files.add(entry.data_file.file_path)
        for file in sorted(files):
            print(path_of(file))
