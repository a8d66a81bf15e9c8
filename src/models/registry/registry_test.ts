import assert from "node:assert/strict";
import { join } from "node:path";
import { llamaFile } from "../../../tests/harness/gguf_file.ts";
import { digestOf } from "../../../tests/harness/memory_models.ts";
import { nameOf } from "../../../tests/harness/model_storage_contract.ts";
import { FaultyRegistry, type RegistrySettings } from "../../../tests/harness/faulty_registry.ts";
import { modelStoreParts, REAL_CLOCK, storeModel } from "../../../tests/harness/stored_models.ts";
import { Random } from "../../base/mod.ts";
import type { ArrivingModel, Clock, TransferProgress } from "../../ports/mod.ts";
import { MANIFEST_MEDIA_TYPE } from "../../protocol/mod.ts";
import { openBlobStore, openModelCatalog, openRegistryKey } from "../../storage/mod.ts";
import { SYSTEM_NETWORK } from "./mod.ts";
import { createModelStore, type ModelStoreOptions } from "../mod.ts";
import { TRANSFER_LIMITS } from "../transfer/transfer_limits.ts";

const SIGNAL = new AbortController().signal;
/** Parts of 1000 bytes, and pauses nobody notices. */
const LIMITS = {
  ...TRANSFER_LIMITS,
  partBytesMin: 1_000,
  partBytesMax: 1_000,
  pauseMs: 1,
  progressMs: 1,
};
const WEIGHTS = randomBytes(10_500);
const CONFIG = new TextEncoder().encode("{}");

function randomBytes(count: number): Uint8Array {
  const random = new Random(5);
  return Uint8Array.from({ length: count }, () => random.below(256));
}

const MANIFEST = {
  schemaVersion: 2,
  mediaType: MANIFEST_MEDIA_TYPE,
  config: { mediaType: "application/json", digest: digestOf(CONFIG), size: CONFIG.length },
  layers: [
    {
      mediaType: "application/vnd.ollama.image.model",
      digest: digestOf(WEIGHTS),
      size: WEIGHTS.length,
    },
  ],
};

interface Scene {
  readonly registry: FaultyRegistry;
  /** Name of the offered model. */
  readonly model: string;
  readonly folder: string;
  /** A node on the same folder, as after a restart. */
  start(options?: Partial<ModelStoreOptions>): ReturnType<typeof startNode>;
}

async function startNode(folder: string, options: Partial<ModelStoreOptions>) {
  const log = { log: () => {} };
  const blobs = await openBlobStore(folder, { log, nowMs: () => Date.now() });
  const catalog = await openModelCatalog(folder);
  const store = createModelStore({
    ...modelStoreParts({ blobs, catalog }),
    transferLimits: LIMITS,
    ...options,
  });
  const pull = (model: string, signal = SIGNAL) =>
    linesOf(store.pull({ model, insecure: true }, signal));
  return { blobs, catalog, store, pull };
}

async function withRegistry(
  settings: RegistrySettings,
  use: (scene: Scene) => Promise<void>,
): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "odist-registry-" });
  try {
    await using registry = new FaultyRegistry(settings);
    registry.offer("m", MANIFEST, [WEIGHTS, CONFIG]);
    await use({
      registry,
      model: `${registry.host}/library/m`,
      folder,
      start: (options = {}) => startNode(folder, options),
    });
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

async function linesOf(progress: AsyncIterable<TransferProgress>): Promise<TransferProgress[]> {
  const lines: TransferProgress[] = [];
  for await (const line of progress) lines.push(line);
  return lines;
}

/** Statuses without repeats. */
function statusesOf(lines: readonly TransferProgress[]): string[] {
  return [...new Set(lines.map((line) => line.status))];
}

const shortOf = (bytes: Uint8Array) => digestOf(bytes).slice(7, 19);

for (const blobStyle of ["location", "redirect", "plain"] as const) {
  Deno.test(`pullModel() brings a model whole from a registry of style ${blobStyle}`, () =>
    withRegistry({ blobStyle }, async ({ registry, model, start }) => {
      const node = await start();
      const lines = await node.pull(model);
      assert.deepEqual(statusesOf(lines), [
        "pulling manifest",
        `pulling ${shortOf(WEIGHTS)}`,
        `pulling ${shortOf(CONFIG)}`,
        "verifying sha256 digest",
        "writing manifest",
        "success",
      ]);
      assert.deepEqual(await node.blobs.read(digestOf(WEIGHTS)), WEIGHTS);
      const entry = await node.catalog.find(nameOf(model));
      assert.deepEqual(entry?.bytes, registry.manifests.get("library/m/latest"));
      assert.equal(registry.ranges().length, 12);
      const last = lines.findLast((line) => line.digest === digestOf(WEIGHTS));
      assert.equal(last?.completed, WEIGHTS.length);
    }));
}

Deno.test("pullModel() goes to the catalog once, to store the manifest", () =>
  withRegistry({}, async ({ model, start }) => {
    const node = await start();
    const asked: string[] = [];
    const { catalog } = node;
    const watched = new Proxy(catalog, {
      get(target, method: keyof typeof catalog) {
        asked.push(method);
        return target[method].bind(target);
      },
    });
    const store = createModelStore({
      ...modelStoreParts({ blobs: node.blobs, catalog: watched }),
      transferLimits: LIMITS,
    });
    await linesOf(store.pull({ model, insecure: true }, SIGNAL));
    assert.deepEqual(asked, ["put"]);
  }));

Deno.test("pullModel() asks for nothing that is there already", () =>
  withRegistry({}, async ({ registry, model, start }) => {
    const node = await start();
    await node.pull(model);
    registry.seen.length = 0;
    const lines = await node.pull(model);
    assert.deepEqual(registry.seen.map((request) => request.method), ["GET"]);
    assert.deepEqual(lines[1], {
      status: `pulling ${shortOf(WEIGHTS)}`,
      digest: digestOf(WEIGHTS),
      total: WEIGHTS.length,
      completed: WEIGHTS.length,
    });
    assert.deepEqual(statusesOf(lines).slice(-3), [
      "verifying sha256 digest",
      "writing manifest",
      "success",
    ]);
  }));

Deno.test("pullModel() goes on after a crash with the missing ranges only", () =>
  withRegistry({}, async ({ registry, model, start }) => {
    // Given a pull that was cancelled while one part hung at its 300th byte.
    const leaving = new AbortController();
    registry.rangeFault = (request, right) => {
      if (request.headers.get("range") !== "bytes=4000-4999") return undefined;
      return new Response(hangAfter(right.slice(0, 300)), { status: 206 });
    };
    const first = await start();
    const others = 10_500 - 700;
    let told: readonly ArrivingModel[] = [];
    await assert.rejects(
      async () => {
        for await (const line of first.store.pull({ model, insecure: true }, leaving.signal)) {
          if (line.completed !== others) continue;
          told = first.store.arriving();
          leaving.abort(new Error("left"));
        }
      },
      { message: "left" },
    );
    assert.deepEqual(told, [{
      model: `${model}:latest`,
      total: 10_500 + CONFIG.length,
      completed: others,
    }]);
    assert.deepEqual(first.store.arriving(), []);

    // When another process pulls again.
    registry.rangeFault = () => undefined;
    registry.seen.length = 0;
    const second = await start();
    const lines = await second.pull(model);

    // Then it asks for what is missing and no more.
    assert.equal(lines.at(-1)?.status, "success");
    assert.deepEqual(registry.ranges(), ["4300-4999", "0-1"]);
    assert.deepEqual(await second.blobs.read(digestOf(WEIGHTS)), WEIGHTS);
  }));

/** Bytes, then silence until the reader leaves. */
function hangAfter(bytes: Uint8Array): ReadableStream<Uint8Array> {
  return new ReadableStream({ start: (controller) => controller.enqueue(bytes) });
}

Deno.test("pullModel() repeats parts that fail, each from where it was cut", () =>
  withRegistry({}, async ({ registry, model, start }) => {
    let faults = 0;
    registry.rangeFault = (request, right) => {
      if (request.headers.get("range") !== "bytes=2000-2999" || faults++ > 0) return undefined;
      return new Response(right.slice(0, 400), { status: 206 });
    };
    const node = await start();
    await node.pull(model);
    assert.ok(registry.ranges().includes("2400-2999"));
    assert.deepEqual(await node.blobs.read(digestOf(WEIGHTS)), WEIGHTS);
  }));

for (const [what, kept] of [["whole", 0], ["again after a part of it came", 300]] as const) {
  Deno.test(`pullModel() brings a blob ${what} from a registry that sends no ranges`, () =>
    withRegistry({}, async ({ registry, model, start }) => {
      if (kept > 0) {
        registry.rangeFault = (request, right) =>
          request.headers.get("range") === "bytes=4000-4999"
            ? new Response(right.slice(0, kept), { status: 206 })
            : new Response("broken", { status: 500 });
        await assert.rejects((await start()).pull(model), { message: /max retries exceeded/ });
      }
      registry.rangeFault = ({ path }) =>
        new Response(new Uint8Array(registry.blobs.get(path.split("/").at(-1) ?? "") ?? []));
      registry.seen.length = 0;
      const node = await start();
      assert.equal((await node.pull(model)).at(-1)?.status, "success");
      assert.deepEqual(await node.blobs.read(digestOf(WEIGHTS)), WEIGHTS);
      assert.ok(registry.ranges().includes(`0-${WEIGHTS.length - 1}`));
    }));
}

Deno.test("pullModel() follows redirects of manifests and blobs, whose HEADs have lengths of their own", () =>
  withRegistry({}, async ({ registry, model, start }) => {
    registry.intercept = ({ path }) =>
      path.includes("?moved") ? undefined : new Response("moved", {
        status: 302,
        headers: { location: `${path}?moved`, "content-length": "5" },
      });
    const node = await start();
    assert.equal((await node.pull(model)).at(-1)?.status, "success");
    assert.deepEqual(await node.blobs.read(digestOf(WEIGHTS)), WEIGHTS);
  }));

Deno.test("pullModel() gives a part up after six tries and keeps the others", () =>
  withRegistry({}, async ({ registry, model, start }) => {
    registry.rangeFault = (request) =>
      request.headers.get("range")?.startsWith("bytes=2000-")
        ? new Response("broken", { status: 500 })
        : undefined;
    const node = await start();
    await assert.rejects(node.pull(model), {
      code: "registry_failed",
      message: /^max retries exceeded: the registry answered 500/,
    });
    const tries = registry.ranges().filter((range) => range.startsWith("2000-"));
    assert.equal(tries.length, 6);
    assert.equal(await node.catalog.find(nameOf(model)), undefined);
    registry.rangeFault = () => undefined;
    registry.seen.length = 0;
    await node.pull(model);
    assert.ok(registry.ranges().length < 12, `asked for ${registry.ranges()}`);
  }));

for (const [where, arms] of [["before", 1], ["within", 2]] as const) {
  Deno.test(`pullModel() gives up a registry that falls silent ${where} its answer`, () =>
    withRegistry({}, async ({ registry, model, start }) => {
      const silent = Promise.withResolvers<Response>();
      registry.intercept = () =>
        arms === 1 ? silent.promise : new Response(hangAfter(new Uint8Array(3)));
      // Time is counted for the head of the answer first, then for its body.
      const clock = new StallClock(60_000, (armed) => armed === arms && clock.stallNow());
      await assert.rejects((await start({ clock })).pull(model), {
        code: "registry_failed",
        message: `pull model manifest: ${registry.host} said nothing for 60 s`,
      });
      silent.resolve(new Response());
    }));
}

Deno.test("pullModel() begins a part again when the registry falls silent", () =>
  withRegistry({}, async ({ registry, model, start }) => {
    const clock = new StallClock();
    let hangs = 0;
    registry.rangeFault = (request, right) => {
      if (request.headers.get("range") !== "bytes=1000-1999" || hangs++ > 0) return undefined;
      return new Response(hangAfter(right.slice(0, 10)), { status: 206 });
    };
    const node = await start({ clock });
    const others = 10_500 - 990;
    let stalls = 0;
    for await (const line of node.store.pull({ model, insecure: true }, SIGNAL)) {
      // Told again while the part is asked for anew, which is to have its time.
      if (line.completed === others && stalls++ === 0) clock.stallNow();
    }
    assert.ok(registry.ranges().includes("1010-1999"));
    assert.deepEqual(await node.blobs.read(digestOf(WEIGHTS)), WEIGHTS);
  }));

/** Real but for the stall timers, which fire by hand; `onArm` is told how many there were. */
class StallClock implements Clock {
  readonly #stalls = new Set<() => void>();
  readonly #stallMs: number;
  readonly #onArm: (armed: number) => void;
  #armed = 0;
  nowMs = REAL_CLOCK.nowMs;
  monotonicMs = REAL_CLOCK.monotonicMs;

  constructor(stallMs: number = LIMITS.stallMs, onArm: (armed: number) => void = () => {}) {
    this.#stallMs = stallMs;
    this.#onArm = onArm;
  }

  after(delayMs: number, callback: () => void): { cancel(): void } {
    if (delayMs !== this.#stallMs) return REAL_CLOCK.after(delayMs, callback);
    this.#stalls.add(callback);
    const armed = ++this.#armed;
    queueMicrotask(() => this.#onArm(armed));
    return { cancel: () => this.#stalls.delete(callback) };
  }

  stallNow(): void {
    for (const callback of this.#stalls) callback();
    this.#stalls.clear();
  }
}

Deno.test("pullModel() refuses a corrupted blob and keeps nothing of it", () =>
  withRegistry({}, async ({ registry, model, folder, start }) => {
    registry.rangeFault = (_request, right) =>
      new Response(right.map((byte, index) => index === 0 ? byte ^ 1 : byte), { status: 206 });
    const node = await start();
    await assert.rejects(node.pull(model), {
      code: "registry_failed",
      status: 500,
      message: new RegExp(
        `^digest mismatch, file must be downloaded again: want ${digestOf(WEIGHTS)}$`,
      ),
    });
    assert.equal(await node.catalog.find(nameOf(model)), undefined);
    assert.deepEqual([...Deno.readDirSync(join(folder, "blobs"))], []);
  }));

Deno.test("pullModel() says that an unknown model does not exist", () =>
  withRegistry({}, async ({ registry, start }) => {
    const node = await start();
    await assert.rejects(node.pull(`${registry.host}/library/nobody`), {
      code: "registry_failed",
      status: 500,
      message: "pull model manifest: file does not exist",
    });
    await assert.rejects(node.pull("a b"), { status: 400, message: "invalid model name" });
  }));

Deno.test("pullModel() refuses nonsense for a manifest", () =>
  withRegistry({}, async ({ registry, model, start }) => {
    registry.manifests.set("library/m/latest", new TextEncoder().encode("<html>"));
    await assert.rejects((await start()).pull(model), {
      message: "pull model manifest: the registry's answer is no manifest",
    });
  }));

Deno.test("pullModel() names a registry that can't be reached", async () => {
  const folder = await Deno.makeTempDir({ prefix: "odist-registry-" });
  const node = await startNode(folder, {});
  await assert.rejects(node.pull("127.0.0.1:1/library/m"), {
    message: /^pull model manifest: cannot reach 127\.0\.0\.1:1: /,
  });
  await Deno.remove(folder, { recursive: true });
});

Deno.test("pullModel() can be left while a name is looked up", () =>
  withRegistry({}, async ({ start }) => {
    const asked = Promise.withResolvers<void>();
    const resolve = () => {
      asked.resolve();
      return new Promise<never>(() => {});
    };
    const node = await start({ registryNetwork: { ...SYSTEM_NETWORK, resolve } });
    const leaving = new AbortController();
    const pulled = node.pull("registry.invalid/library/m", leaving.signal);
    await asked.promise;
    leaving.abort(new Error("left"));
    await assert.rejects(pulled, { message: "left" });
  }));

Deno.test("pullModel() asks registries on ports that browsers keep from", async () => {
  // Old IRC ports, which fetch() refuses.
  for (const port of [6665, 6666, 6667, 6668, 6669]) {
    try {
      return await withRegistry({ port }, async ({ model, start }) => {
        assert.equal((await (await start()).pull(model)).at(-1)?.status, "success");
      });
    } catch (error) {
      if (!(error instanceof Deno.errors.AddrInUse)) throw error;
    }
  }
  assert.fail("all ports are in use");
});

Deno.test("pullModel() gets a token for a registry that wants one, and shows it to no other host", () =>
  withRegistry({ wantsToken: true, blobStyle: "redirect" }, async (scene) => {
    const { registry, model, folder, start } = scene;
    const node = await start({ registryKey: openRegistryKey(join(folder, "id_ed25519")) });
    assert.equal((await node.pull(model)).at(-1)?.status, "success");
    const direct = registry.seen.filter((request) => request.path.startsWith("/direct/"));
    assert.ok(direct.length > 0);
    assert.ok(direct.every((request) => !request.headers.has("authorization")));
    const tokens = registry.seen.filter((request) => request.path.startsWith("/token"));
    assert.equal(tokens.length, 1);
  }));

Deno.test("pullModel() is denied where it has no key", () =>
  withRegistry({ wantsToken: true }, async ({ model, start }) => {
    await assert.rejects((await start()).pull(model), {
      message: "pull model manifest: unauthorized: access denied",
    });
  }));

Deno.test("two pulls of one blob share its transfer", () =>
  withRegistry({}, async ({ registry, model, start }) => {
    const node = await start();
    const [first, second] = await Promise.all([node.pull(model), node.pull(model)]);
    assert.equal(first.at(-1)?.status, "success");
    assert.equal(second.at(-1)?.status, "success");
    assert.equal(registry.ranges().length, 12);
  }));

Deno.test("a pull that comes as the last one leaves begins anew", () =>
  withRegistry({}, async ({ registry, model, start }) => {
    let hangs = true;
    registry.rangeFault = (_request, right) =>
      hangs ? new Response(hangAfter(right.slice(0, 1)), { status: 206 }) : undefined;
    const node = await start();
    const leaving = new AbortController();
    const first = node.pull(model, leaving.signal);
    await registry.seenRange;
    hangs = false;
    leaving.abort(new Error("left"));
    const second = node.pull(model);
    await assert.rejects(first, { message: "left" });
    assert.equal((await second).at(-1)?.status, "success");
    assert.deepEqual(await node.blobs.read(digestOf(WEIGHTS)), WEIGHTS);
  }));

Deno.test("pullModel() removes what only the replaced manifest named", () =>
  withRegistry({}, async ({ registry, model, start }) => {
    const node = await start();
    await node.pull(model);
    const newer = randomBytes(100);
    const [layer] = MANIFEST.layers;
    assert.ok(layer);
    registry.offer("m", {
      ...MANIFEST,
      layers: [{ ...layer, digest: digestOf(newer), size: newer.length }],
    }, [newer]);
    assert.ok(statusesOf(await node.pull(model)).includes("removing unused layers"));
    assert.equal(await node.blobs.find(digestOf(WEIGHTS)), undefined);
    assert.ok(await node.blobs.find(digestOf(CONFIG)));
  }));

for (const redirectsUploads of [false, true]) {
  const label = redirectsUploads ? "through redirects to storage" : "in parts";
  Deno.test(`pushModel() sends a model ${label}, and a pull brings it back`, () =>
    withRegistry({ redirectsUploads, wantsToken: true }, async ({ registry, folder, start }) => {
      const key = { registryKey: openRegistryKey(join(folder, "id_ed25519")) };
      const node = await start(key);
      const name = `${registry.host}/library/sent`;
      const content = randomBytes(3_300);
      await storeModel(node, { name, layers: [["model", content], ["system", "Be kind."]] });
      const lines = await linesOf(node.store.push({ model: name, insecure: true }, SIGNAL));
      assert.equal(lines[0]?.status, "retrieving manifest");
      assert.deepEqual(statusesOf(lines).slice(-2), ["pushing manifest", "success"]);
      assert.deepEqual(registry.blobs.get(digestOf(content)), content);
      const etags = registry.seen.map((request) =>
        /etag=([0-9a-f]{32}-\d+)/.exec(request.path)?.[1]
      );
      assert.ok(etags.some((etag) => etag?.endsWith("-4")), "four parts");
      const pushed = (await node.catalog.find(nameOf(name)))?.bytes;
      assert.deepEqual(registry.manifests.get("library/sent/latest"), pushed);

      await node.store.delete({ model: name });
      assert.equal((await node.pull(name)).at(-1)?.status, "success");
      assert.deepEqual(await node.blobs.read(digestOf(content)), content);
    }));
}

Deno.test("pushModel() gets a new token when the old one expires between parts", () =>
  withRegistry({ wantsToken: true }, async ({ registry, folder, start }) => {
    const node = await start({ registryKey: openRegistryKey(join(folder, "id_ed25519")) });
    const name = `${registry.host}/library/long`;
    const content = randomBytes(2_500);
    await storeModel(node, { name, layers: [["model", content]] });
    registry.expireTokenAfter("PATCH", 2);
    await linesOf(node.store.push({ model: name, insecure: true }, SIGNAL));
    assert.deepEqual(registry.blobs.get(digestOf(content)), content);
    const tokens = registry.seen.filter((request) => request.path.startsWith("/token"));
    assert.equal(tokens.length, 2);
  }));

Deno.test("pushModel() sends only what the registry lacks", () =>
  withRegistry({}, async ({ registry, model, start }) => {
    const node = await start();
    await node.pull(model);
    registry.seen.length = 0;
    await linesOf(node.store.push({ model, insecure: true }, SIGNAL));
    assert.deepEqual(registry.seen.map((request) => request.method), ["HEAD", "HEAD", "PUT"]);
  }));

Deno.test("pushModel() lets the registry take a parent's blob from the parent's repository", () =>
  withRegistry({}, async ({ registry, start }) => {
    const node = await start();
    const parts = [["model", llamaFile()], ["system", "old"]] as const;
    await storeModel(node, { name: `${registry.host}/team/parent`, layers: parts });
    await linesOf(
      node.store.create({
        model: `${registry.host}/team/child`,
        from: `${registry.host}/team/parent`,
        system: "new",
        license: [],
      }, SIGNAL),
    );
    await linesOf(
      node.store.push({ model: `${registry.host}/team/child`, insecure: true }, SIGNAL),
    );
    const begun = registry.seen.filter((request) => request.method === "POST")
      .map((request) => decodeURIComponent(request.path.split("uploads/")[1] ?? ""));
    assert.deepEqual(begun.slice(0, 2), [
      `?mount=${digestOf(llamaFile())}&from=team/parent`,
      "",
    ]);
    assert.equal(registry.blobs.size, 5);
  }));

for (const status of [301, 302, 303]) {
  Deno.test(`pushModel() takes a ${status} for no success`, () =>
    withRegistry({}, async ({ registry, model, start }) => {
      const node = await start();
      await node.pull(model);
      for (const led of ["POST", "PUT"]) {
        if (led === "POST") registry.blobs.clear();
        registry.intercept = ({ method, path }) =>
          method === led ? new Response(null, { status, headers: { location: path } }) : undefined;
        await assert.rejects(linesOf(node.store.push({ model, insecure: true }, SIGNAL)), {
          message: `${status} is no answer to ${led}`,
        });
      }
    }));
}

Deno.test("pushModel() tells of an unknown model in a line and an error", () =>
  withRegistry({}, async ({ start }) => {
    const statuses: string[] = [];
    const { store } = await start();
    await assert.rejects(async () => {
      for await (const line of store.push({ model: "nope", insecure: true }, SIGNAL)) {
        statuses.push(line.status);
      }
    }, { status: 404, message: "model 'nope:latest' not found" });
    assert.deepEqual(statuses, ["retrieving manifest", "couldn't retrieve manifest"]);
  }));

Deno.test("createModel() pulls a parent that is not here", () =>
  withRegistry({}, async ({ registry, start }) => {
    const node = await start();
    const request = { model: "child", from: `${registry.host}/library/m`, license: [] };
    // Without `insecure` the registry is spoken to in HTTPS, which this one can't.
    await assert.rejects(linesOf(node.store.create(request, SIGNAL)), {
      code: "registry_failed",
      message: /^pull model manifest: cannot reach/,
    });
  }));
