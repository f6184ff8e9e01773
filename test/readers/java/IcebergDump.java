// Writes tables of a SQLite catalog in the canonical form of ../canonical.ts, read by Iceberg's
// own Java library: IcebergDump OUTPUT CATALOG_FILE CATALOG_NAME [NAMESPACE.TABLE[@SNAPSHOT] ...]
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.BufferedWriter;
import java.io.IOException;
import java.math.BigDecimal;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Instant;
import java.time.LocalDate;
import java.time.LocalDateTime;
import java.time.LocalTime;
import java.time.OffsetDateTime;
import java.time.ZoneOffset;
import java.time.temporal.ChronoUnit;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeSet;
import org.apache.hadoop.conf.Configuration;
import org.apache.iceberg.Schema;
import org.apache.iceberg.Snapshot;
import org.apache.iceberg.Table;
import org.apache.iceberg.catalog.Namespace;
import org.apache.iceberg.catalog.TableIdentifier;
import org.apache.iceberg.data.IcebergGenerics;
import org.apache.iceberg.data.Record;
import org.apache.iceberg.io.CloseableIterable;
import org.apache.iceberg.jdbc.JdbcCatalog;
import org.apache.iceberg.types.Type;
import org.apache.iceberg.types.Types;
import org.apache.iceberg.util.SnapshotUtil;

public final class IcebergDump {
  private static final ObjectMapper JSON = new ObjectMapper();
  private static final LocalDateTime EPOCH = LocalDateTime.ofEpochSecond(0, 0, ZoneOffset.UTC);

  public static void main(String[] args) throws IOException {
    try (JdbcCatalog catalog = openCatalog(args[1], args[2]);
        BufferedWriter output = Files.newBufferedWriter(Path.of(args[0]))) {
      List<String> wanted = Arrays.asList(args).subList(3, args.length);
      for (String request : wanted.isEmpty() ? allTables(catalog) : wanted) {
        String[] parts = request.split("@");
        Long snapshot = parts.length > 1 ? Long.valueOf(parts[1]) : null;
        dump(output, catalog.loadTable(TableIdentifier.parse(parts[0])), parts[0], snapshot);
      }
    }
  }

  private static JdbcCatalog openCatalog(String file, String name) {
    JdbcCatalog catalog = new JdbcCatalog();
    catalog.setConf(new Configuration(false));
    // One connection: SQLite knows one writer, and V1 is the layout that our catalog has.
    catalog.initialize(
        name,
        Map.of(
            "uri", "jdbc:sqlite:" + file,
            "warehouse", "file://" + Path.of(file).toAbsolutePath().getParent(),
            "clients", "1",
            "jdbc.schema-version", "V1"));
    return catalog;
  }

  private static Iterable<String> allTables(JdbcCatalog catalog) {
    TreeSet<String> names = new TreeSet<>();
    List<Namespace> pending = new ArrayList<>(catalog.listNamespaces());
    TreeSet<String> seen = new TreeSet<>();
    while (!pending.isEmpty()) {
      Namespace namespace = pending.remove(pending.size() - 1);
      if (!seen.add(namespace.toString())) continue;
      catalog.listTables(namespace).forEach(table -> names.add(table.toString()));
      pending.addAll(catalog.listNamespaces(namespace));
    }
    return names;
  }

  private static void dump(BufferedWriter output, Table table, String name, Long snapshot)
      throws IOException {
    Schema schema = snapshot == null ? table.schema() : SnapshotUtil.schemaFor(table, snapshot);
    Snapshot current = table.currentSnapshot();
    Long used = snapshot != null || current == null ? snapshot : (Long) current.snapshotId();
    Map<String, Object> head = new LinkedHashMap<>();
    head.put("table", name);
    head.put("snapshot", used == null ? null : used.toString());
    head.put("columns", schema.columns().stream().map(Types.NestedField::name).toList());
    writeLine(output, head);
    IcebergGenerics.ScanBuilder scan = IcebergGenerics.read(table);
    if (snapshot != null) scan = scan.useSnapshot(snapshot);
    try (CloseableIterable<Record> records = scan.build()) {
      for (Record record : records) writeLine(output, cells(schema, record));
    }
  }

  private static List<Object> cells(Schema schema, Record record) {
    List<Object> cells = new ArrayList<>();
    for (Types.NestedField field : schema.columns()) {
      cells.add(cell(field.type(), record.getField(field.name())));
    }
    return cells;
  }

  private static Object cell(Type type, Object value) {
    if (value == null) return null;
    switch (type.typeId()) {
      case BOOLEAN, INTEGER, LONG, STRING, UUID:
        return value.toString();
      case FLOAT:
        float single = (Float) value;
        return Float.isNaN(single) ? "NaN" : hex(4, Float.floatToIntBits(single));
      case DOUBLE:
        double number = (Double) value;
        return Double.isNaN(number) ? "NaN" : hex(8, Double.doubleToLongBits(number));
      case DECIMAL:
        return ((BigDecimal) value).toPlainString();
      case DATE:
        return Long.toString(((LocalDate) value).toEpochDay());
      case TIME:
        return Long.toString(((LocalTime) value).toNanoOfDay() / 1000);
      case TIMESTAMP:
        return Long.toString(sinceEpoch(value, ChronoUnit.MICROS));
      case TIMESTAMP_NANO:
        return Long.toString(sinceEpoch(value, ChronoUnit.NANOS));
      case FIXED:
        return HexFormat.of().formatHex((byte[]) value);
      case BINARY:
        ByteBuffer buffer = ((ByteBuffer) value).duplicate();
        byte[] bytes = new byte[buffer.remaining()];
        buffer.get(bytes);
        return HexFormat.of().formatHex(bytes);
      case LIST:
        Type element = type.asListType().elementType();
        List<Object> list = new ArrayList<>();
        for (Object item : (List<?>) value) list.add(cell(element, item));
        return list;
      default:
        throw new IllegalArgumentException("no canonical form for " + type);
    }
  }

  private static long sinceEpoch(Object value, ChronoUnit unit) {
    LocalDateTime local =
        value instanceof OffsetDateTime zoned
            ? LocalDateTime.ofInstant(Instant.from(zoned), ZoneOffset.UTC)
            : (LocalDateTime) value;
    return unit.between(EPOCH, local);
  }

  private static String hex(int size, long bits) {
    String text = HexFormat.of().toHexDigits(bits);
    return text.substring(text.length() - 2 * size);
  }

  private static void writeLine(BufferedWriter output, Object value) throws IOException {
    output.write(new String(JSON.writeValueAsBytes(value), StandardCharsets.UTF_8));
    output.write('\n');
  }
}
