import java.io.PrintWriter;
import java.io.StringWriter;

/** What the Java programs share. */
final class Calls {
  static final String ORIGIN = System.getenv("CLIENTS_ORIGIN");
  static final String QUESTION = "What is the weather in Paris?";
  static final String RESULT = "{\"temperature\": 21, \"condition\": \"sunny\"}";
  static final String AGE_TEXT = "Mia is 12 years old.";

  interface Body {
    void run() throws Exception;
  }

  private Calls() {}

  /** Makes one call and tells how it went; the next one is made in any case. Kinds are the columns of `../table.ts`. */
  static void call(String kind, String name, Body body) {
    String head = "{\"call\":" + quoted(name) + ", \"kind\": " + quoted(kind) + ", \"ok\": ";
    try {
      body.run();
      System.out.println(head + "true}");
    } catch (Throwable error) {
      StringWriter trace = new StringWriter();
      error.printStackTrace(new PrintWriter(trace));
      String detail = trace.toString();
      String shown = detail.substring(0, Math.min(600, detail.length()));
      System.out.println(head + "false, \"detail\": " + quoted(shown) + "}");
    }
  }

  static void expect(boolean condition, Object seen) {
    if (!condition) throw new AssertionError("unexpected: " + seen);
  }

  private static String quoted(String text) {
    StringBuilder out = new StringBuilder("\"");
    for (char unit : text.toCharArray()) {
      if (unit == '"' || unit == '\\') out.append('\\').append(unit);
      else if (unit < ' ') out.append(String.format("\\u%04x", (int) unit));
      else out.append(unit);
    }
    return out.append('"').toString();
  }
}
