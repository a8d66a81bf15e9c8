import assert from "node:assert/strict";
import { nameOf } from "../../../tests/harness/model_storage_contract.ts";
import { REAL_CLOCK } from "../../../tests/harness/stored_models.ts";
import { SYSTEM_NETWORK } from "./mod.ts";
import { type RegistryAnswer, RegistryClient } from "./registry_client.ts";

const ORIGIN = "https://registry.example";

function clientOf(): RegistryClient {
  const access = {
    clock: REAL_CLOCK,
    userAgent: "test",
    network: SYSTEM_NETWORK,
    allowsPrivate: false,
  };
  return new RegistryClient(nameOf("registry.example/a/b"), access, { insecure: false });
}

function answerFrom(from: string, location: string | undefined): RegistryAnswer {
  return {
    status: 307,
    url: new URL(from),
    isOwn: new URL(from).origin === ORIGIN,
    header: (name) => name === "location" ? location : undefined,
    body: ReadableStream.from([]),
    leave() {},
  };
}

Deno.test("RegistryClient takes no third host from whom the registry sent it to", () => {
  const client = clientOf();
  const next = (from: string, to: string | undefined, purpose: "read" | "write") =>
    client.next(answerFrom(from, to), { purpose, headers: ["x-first", "location"] }).href;
  const storage = "https://storage.example/up?token=1";
  const third = "https://third.example/up";
  assert.equal(next(`${ORIGIN}/v2/x`, storage, "write"), storage);
  assert.equal(next(storage, "/up/2", "write"), "https://storage.example/up/2");
  assert.equal(next(storage, `${ORIGIN}/v2/y`, "write"), `${ORIGIN}/v2/y`);
  assert.equal(next(storage, third, "read"), third);
  assert.throws(() => next(storage, third, "write"), { code: "address_refused" });
  assert.throws(() => next(storage, "https://storage.example:444/", "write"), {
    code: "address_refused",
  });
  for (const nonsense of [undefined, "http://", `/${"x".repeat(20_000)}`]) {
    assert.throws(() => next(storage, nonsense, "read"), {
      code: "registry_failed",
      message: "storage.example answers 307 without an address to go on to",
    });
  }
});
