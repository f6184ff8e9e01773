// Turns a PEM file of certificates into a PKCS12 trust store: TrustStore PEM STORE PASSWORD
import java.io.InputStream;
import java.io.OutputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.KeyStore;
import java.security.cert.Certificate;
import java.security.cert.CertificateFactory;

public final class TrustStore {
  public static void main(String[] args) throws Exception {
    KeyStore store = KeyStore.getInstance("PKCS12");
    store.load(null, null);
    try (InputStream input = Files.newInputStream(Path.of(args[0]))) {
      int index = 0;
      for (Certificate one : CertificateFactory.getInstance("X.509").generateCertificates(input)) {
        store.setCertificateEntry("certificate-" + index++, one);
      }
    }
    try (OutputStream output = Files.newOutputStream(Path.of(args[1]))) {
      store.store(output, args[2].toCharArray());
    }
  }
}
