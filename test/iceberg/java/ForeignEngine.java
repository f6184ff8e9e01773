// Commits to a table of a SQLite catalog with Iceberg's own Java library, as another engine would:
// ForeignEngine CATALOG_FILE CATALOG_NAME NAMESPACE.TABLE ACTION [ARGUMENT]
import java.nio.file.Path;
import java.util.Map;
import org.apache.hadoop.conf.Configuration;
import org.apache.iceberg.DataFile;
import org.apache.iceberg.DataFiles;
import org.apache.iceberg.FileScanTask;
import org.apache.iceberg.Table;
import org.apache.iceberg.catalog.TableIdentifier;
import org.apache.iceberg.io.CloseableIterable;
import org.apache.iceberg.jdbc.JdbcCatalog;
import org.apache.iceberg.types.Types;

public final class ForeignEngine {
  public static void main(String[] args) throws Exception {
    try (JdbcCatalog catalog = new JdbcCatalog()) {
      catalog.setConf(new Configuration(false));
      catalog.initialize(
          args[1],
          Map.of(
              "uri", "jdbc:sqlite:" + args[0],
              "warehouse", "file://" + Path.of(args[0]).toAbsolutePath().getParent(),
              "clients", "1",
              "jdbc.schema-version", "V1"));
      Table table = catalog.loadTable(TableIdentifier.parse(args[2]));
      act(table, args[3], args.length > 4 ? args[4] : null);
    }
  }

  private static void act(Table table, String action, String argument) throws Exception {
    switch (action) {
      case "append":
        DataFile file =
            DataFiles.builder(table.spec())
                .withPath(table.location() + "/data/00000-0-foreign.parquet")
                .withFormat("parquet")
                .withFileSizeInBytes(100)
                .withRecordCount(2)
                .build();
        table.newAppend().appendFile(file).commit();
        break;
      case "rewrite-manifests":
        table.rewriteManifests().clusterBy(each -> "one").commit();
        break;
      case "expire":
        table.expireSnapshots().expireOlderThan(System.currentTimeMillis()).retainLast(1).commit();
        break;
      case "rollback":
        table.manageSnapshots().rollbackTo(Long.parseLong(argument)).commit();
        break;
      case "add-column":
        table.updateSchema().addColumn("foreign", Types.IntegerType.get()).commit();
        break;
      case "remove-file":
        try (CloseableIterable<FileScanTask> tasks = table.newScan().planFiles()) {
          for (FileScanTask task : tasks) {
            if (task.file().location().contains(argument)) {
              table.newDelete().deleteFile(task.file()).commit();
              return;
            }
          }
        }
        throw new IllegalArgumentException("no live file " + argument);
      default:
        throw new IllegalArgumentException(action);
    }
  }
}
