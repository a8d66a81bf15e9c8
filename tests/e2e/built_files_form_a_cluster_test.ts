// Nodes of the built file: the cluster's integration tests once more.
import { builtFile } from "../harness/built_odist.ts";

if (Deno.build.os !== "windows") {
  // The harness reads it at each start; every test of this suite means the built file anyway.
  Deno.env.set("ODIST_TEST_BINARY", await builtFile());
  await import("../integration/cluster_forms_and_grows_test.ts");
  await import("../integration/cluster_serves_every_model_test.ts");
}
