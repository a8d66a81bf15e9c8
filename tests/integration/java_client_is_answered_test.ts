// Java's own client offers HTTP/2 over the connection it asks on, and LangChain4j and Spring AI ask with it.
import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { serveApp } from "../harness/served_app.ts";

const SOURCE = fileURLToPath(new URL("./java/AskOdist.java", import.meta.url));

async function hasJava(): Promise<boolean> {
  try {
    const { success } = await new Deno.Command("javac", { args: ["-version"], stderr: "null" })
      .output();
    return success;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}

Deno.test({
  name: "Java's HTTP client is answered",
  ignore: !await hasJava(),
  async fn() {
    await using server = await serveApp({});
    const { stdout, stderr, success } = await new Deno.Command("java", {
      args: [SOURCE, server.origin],
    }).output();
    const said = new TextDecoder().decode(stdout);
    assert.ok(success, said + new TextDecoder().decode(stderr));
    const lines = said.trim().split("\n");
    assert.match(lines[0] ?? "", /^200 HTTP_1_1 \{.*"done":true/);
    assert.match(lines[1] ?? "", /^200 HTTP_1_1 \{.*"done":true/);
    assert.match(lines.at(-1) ?? "", /"done":true/);
  },
});
