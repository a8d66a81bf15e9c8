// The official `ollama` and `openai` clients, unmodified, against the built file: the conformance tests once more.
import { builtFile } from "../harness/built_odist.ts";

if (Deno.build.os !== "windows") {
  // The harness reads it at each start; every test of this suite means the built file anyway.
  Deno.env.set("ODIST_TEST_BINARY", await builtFile());
  await import("../conformance/ollama_client_test.ts");
  await import("../conformance/openai_client_test.ts");
}
