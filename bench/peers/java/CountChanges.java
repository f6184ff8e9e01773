// What Java offers: Debezium's engine, counting row changes as Connect records, without a format.
// Prints {"rows":N,"seconds":S}, where the seconds begin with the first row.
//
//   BENCH_PASSWORD=... java -cp ... CountChanges ROWS KEY=VALUE...
//
// The keys are the connector's. `start.file` and `start.gtids` (what is before it) say where a MySQL
// log begins; Debezium takes that from stored offsets only, and rebuilds the history of the schema.

import io.debezium.embedded.Connect;
import io.debezium.engine.DebeziumEngine;
import io.debezium.engine.DebeziumEngine.RecordCommitter;
import io.debezium.engine.RecordChangeEvent;
import io.debezium.engine.format.ChangeEventFormat;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Properties;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.Executors;
import org.apache.kafka.connect.source.SourceRecord;
import org.apache.kafka.connect.storage.MemoryOffsetBackingStore;

public class CountChanges {
  private static long wanted;
  private static long received;
  private static long startNanos;
  private static final CompletableFuture<Void> done = new CompletableFuture<>();

  /** Offsets that are there before the engine has run for the first time. */
  public static class GivenOffsets extends MemoryOffsetBackingStore {
    static String file;
    static String gtids;

    @Override
    public void start() {
      super.start();
      if (file == null) return;
      String key = "[\"bench\",{\"server\":\"bench\"}]";
      String value = "{\"file\":\"" + file + "\",\"pos\":4,\"gtids\":\"" + gtids + "\"}";
      data.put(bytes(key), bytes(value));
    }

    @Override
    public Set<Map<String, Object>> connectorPartitions(String connector) {
      return Set.of();
    }

    private static ByteBuffer bytes(String text) {
      return ByteBuffer.wrap(text.getBytes(StandardCharsets.UTF_8));
    }
  }

  private static void take(
      List<RecordChangeEvent<SourceRecord>> events,
      RecordCommitter<RecordChangeEvent<SourceRecord>> committer)
      throws InterruptedException {
    for (RecordChangeEvent<SourceRecord> event : events) {
      SourceRecord record = event.record();
      if (record.valueSchema() == null || record.valueSchema().field("op") == null) continue;
      if (startNanos == 0) startNanos = System.nanoTime();
      received++;
    }
    committer.markBatchFinished();
    if (received >= wanted) done.complete(null);
  }

  public static void main(String[] args) throws Exception {
    wanted = Long.parseLong(args[0]);
    Properties config = new Properties();
    for (int at = 1; at < args.length; at++) {
      String[] pair = args[at].split("=", 2);
      config.setProperty(pair[0], pair[1]);
    }
    GivenOffsets.file = (String) config.remove("start.file");
    GivenOffsets.gtids = (String) config.remove("start.gtids");
    Map<String, String> own =
        Map.of(
            "name", "bench",
            "topic.prefix", "bench",
            "offset.storage", GivenOffsets.class.getName(),
            "offset.flush.interval.ms", "60000",
            "schema.history.internal", "io.debezium.relational.history.MemorySchemaHistory",
            "database.password", System.getenv("BENCH_PASSWORD"),
            "max.batch.size", "20480",
            "max.queue.size", "81920");
    config.putAll(own);
    DebeziumEngine<RecordChangeEvent<SourceRecord>> engine =
        DebeziumEngine.create(ChangeEventFormat.of(Connect.class))
            .using(config)
            .notifying(CountChanges::take)
            .using((ok, message, error) -> {
              if (!ok) done.completeExceptionally(new RuntimeException(message, error));
            })
            .build();
    Executors.newSingleThreadExecutor().execute(engine);
    done.get();
    double seconds = (System.nanoTime() - startNanos) / 1e9;
    System.out.printf(Locale.ROOT, "{\"rows\":%d,\"seconds\":%f}%n", received, seconds);
    System.exit(0);
  }
}
