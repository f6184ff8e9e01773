// Says which data files Iceberg's Java library would read for a filter on one column:
// IcebergPlan OUTPUT CATALOG_FILE CATALOG_NAME [NAMESPACE.TABLE COLUMN OPERATION VALUE ...]
// A line for each filter: a JSON array of paths.
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.BufferedWriter;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.apache.hadoop.conf.Configuration;
import org.apache.iceberg.FileScanTask;
import org.apache.iceberg.Table;
import org.apache.iceberg.catalog.TableIdentifier;
import org.apache.iceberg.expressions.Expression;
import org.apache.iceberg.expressions.Expressions;
import org.apache.iceberg.io.CloseableIterable;
import org.apache.iceberg.jdbc.JdbcCatalog;
import org.apache.iceberg.types.Type;

public final class IcebergPlan {
  public static void main(String[] args) throws IOException {
    try (JdbcCatalog catalog = new JdbcCatalog();
        BufferedWriter output = Files.newBufferedWriter(Path.of(args[0]))) {
      catalog.setConf(new Configuration(false));
      catalog.initialize(
          args[2],
          Map.of(
              "uri", "jdbc:sqlite:" + args[1],
              "warehouse", "file://" + Path.of(args[1]).toAbsolutePath().getParent(),
              "clients", "1",
              "jdbc.schema-version", "V1"));
      for (int at = 3; at < args.length; at += 4) {
        Table table = catalog.loadTable(TableIdentifier.parse(args[at]));
        List<String> paths = new ArrayList<>();
        Expression filter = filter(table, args[at + 1], args[at + 2], args[at + 3]);
        try (CloseableIterable<FileScanTask> tasks = table.newScan().filter(filter).planFiles()) {
          for (FileScanTask task : tasks) paths.add(task.file().location());
        }
        output.write(new ObjectMapper().writeValueAsString(paths) + "\n");
      }
    }
  }

  private static Expression filter(Table table, String column, String operation, String value) {
    if (operation.equals("null")) return Expressions.isNull(column);
    Type type = table.schema().findType(column);
    Object literal =
        switch (type.typeId()) {
          case INTEGER, LONG -> Long.valueOf(value);
          case BOOLEAN -> Boolean.valueOf(value);
          default -> value;
        };
    return switch (operation) {
      case "=" -> Expressions.equal(column, literal);
      case "<" -> Expressions.lessThan(column, literal);
      case ">=" -> Expressions.greaterThanOrEqual(column, literal);
      default -> throw new IllegalArgumentException(operation);
    };
  }
}
