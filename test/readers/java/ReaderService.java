// Runs the programs of this folder in one JVM, whose classes are loaded and compiled by then:
// ReaderService SOCKET answers one line, ["class", "argument", ...], by {"code", "out", "err"}.
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.lang.reflect.InvocationTargetException;
import java.net.StandardProtocolFamily;
import java.net.UnixDomainSocketAddress;
import java.nio.channels.Channels;
import java.nio.channels.ServerSocketChannel;
import java.nio.channels.SocketChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Map;

public final class ReaderService {
  private static final ObjectMapper JSON = new ObjectMapper();

  public static void main(String[] args) throws IOException {
    ServerSocketChannel listener = ServerSocketChannel.open(StandardProtocolFamily.UNIX);
    listener.bind(UnixDomainSocketAddress.of(Path.of(args[0])));
    while (true) {
      SocketChannel channel = listener.accept();
      new Thread(() -> serve(channel)).start();
    }
  }

  private static void serve(SocketChannel channel) {
    try (channel;
        BufferedReader reader =
            new BufferedReader(Channels.newReader(channel, StandardCharsets.UTF_8));
        PrintWriter writer =
            new PrintWriter(Channels.newWriter(channel, StandardCharsets.UTF_8))) {
      String line = reader.readLine();
      if (line == null) return;
      writer.println(JSON.writeValueAsString(execute(JSON.readValue(line, String[].class))));
    } catch (IOException failure) {
      // Whoever asked has gone.
    }
  }

  private static Map<String, Object> execute(String[] request) {
    try {
      String[] args = Arrays.copyOfRange(request, 1, request.length);
      Class.forName(request[0]).getMethod("main", String[].class).invoke(null, (Object) args);
      return Map.of("code", 0, "out", "", "err", "");
    } catch (Throwable failure) {
      boolean inside = failure instanceof InvocationTargetException;
      StringWriter text = new StringWriter();
      (inside ? failure.getCause() : failure).printStackTrace(new PrintWriter(text));
      return Map.of("code", 1, "out", "", "err", text.toString());
    }
  }
}
