/**
 * A registry that sends a node elsewhere: to its files, to addresses only it can reach, to hosts that must not see its
 * token or its models. Each way of sending, for each kind of request.
 */
import assert from "node:assert/strict";
import { join } from "node:path";
import { createModelStore } from "../../src/models/mod.ts";
import { TRANSFER_LIMITS } from "../../src/models/transfer/mod.ts";
import type { TransferProgress } from "../../src/ports/mod.ts";
import { MANIFEST_MEDIA_TYPE } from "../../src/protocol/mod.ts";
import { openBlobStore, openModelCatalog, openRegistryKey } from "../../src/storage/mod.ts";
import { FaultyRegistry, type SeenRequest } from "../harness/faulty_registry.ts";
import { digestOf } from "../harness/memory_models.ts";
import { modelStoreParts, storeModel } from "../harness/stored_models.ts";
import { namedNetwork } from "../harness/named_network.ts";

const SIGNAL = new AbortController().signal;
const LIMITS = { ...TRANSFER_LIMITS, pauseMs: 1, progressMs: 1 };
const SECRET = new TextEncoder().encode("-----BEGIN PRIVATE KEY-----");
const CONFIG = new TextEncoder().encode("{}");
/** Under which the registry offers the secret. */
const WRONG_DIGEST = digestOf(new Uint8Array());

/**
 * `public.example` and `other.example` are this machine's 127.0.0.1, held to be public; `::1` is what only this machine
 * can reach.
 */
const NAMES: Readonly<Record<string, readonly string[]>> = {
  "public.example": ["127.0.0.1"],
  "other.example": ["127.0.0.1"],
  "inside.example": ["::1"],
  "router.example": ["192.168.1.1"],
};
const NETWORK = namedNetwork(NAMES);

interface Scene {
  readonly registry: FaultyRegistry;
  /** What only this machine can reach. */
  readonly inside: { readonly port: number; readonly seen: string[] };
  readonly folder: string;
  pull(host?: string): Promise<TransferProgress[]>;
  push(host?: string): Promise<TransferProgress[]>;
}

async function withScene(
  use: (scene: Scene) => Promise<void>,
  options: { readonly allowsPrivateRegistry?: boolean; readonly wantsToken?: boolean } = {},
): Promise<void> {
  const { wantsToken = false, ...storeOptions } = options;
  const folder = await Deno.makeTempDir({ prefix: "odist-leading-" });
  const seen: string[] = [];
  const server = Deno.serve({ hostname: "::1", port: 0, onListen: () => {} }, async (request) => {
    seen.push(`${request.method} ${new URL(request.url).pathname}`);
    await request.body?.cancel();
    return new Response(SECRET);
  });
  try {
    await using registry = new FaultyRegistry({ wantsToken });
    registry.offer("m", manifestOf(SECRET.length), [CONFIG]);
    registry.blobs.set(WRONG_DIGEST, SECRET);
    const blobs = await openBlobStore(folder, { log: { log: () => {} }, nowMs: () => Date.now() });
    const catalog = await openModelCatalog(folder);
    const store = createModelStore({
      ...modelStoreParts({ blobs, catalog }),
      transferLimits: LIMITS,
      registryNetwork: NETWORK,
      registryKey: openRegistryKey(join(folder, "id_ed25519")),
      ...storeOptions,
    });
    await use({
      registry,
      inside: { port: server.addr.port, seen },
      folder,
      pull: (host = "public.example") =>
        linesOf(
          store.pull({ model: `${host}:${registry.port}/library/m`, insecure: true }, SIGNAL),
        ),
      push: async (host = "public.example") => {
        const name = `${host}:${registry.port}/library/sent`;
        await storeModel({ blobs, catalog }, { name, layers: [["system", "Be kind."]] });
        return await linesOf(store.push({ model: name, insecure: true }, SIGNAL));
      },
    });
  } finally {
    await server.shutdown();
    await Deno.remove(folder, { recursive: true });
  }
}

/** A model whose one layer is the secret under a digest that is not its own. */
function manifestOf(size: number) {
  return {
    schemaVersion: 2,
    mediaType: MANIFEST_MEDIA_TYPE,
    config: { mediaType: "application/json", digest: digestOf(CONFIG), size: CONFIG.length },
    layers: [{
      mediaType: "application/vnd.ollama.image.license",
      digest: WRONG_DIGEST,
      size,
    }],
  };
}

async function linesOf(progress: AsyncIterable<TransferProgress>): Promise<TransferProgress[]> {
  const lines: TransferProgress[] = [];
  for await (const line of progress) lines.push(line);
  return lines;
}

/** A redirect of the requests that `isMeant` picks. */
function redirecting(location: string, isMeant: (request: SeenRequest) => boolean, status = 307) {
  return (request: SeenRequest) =>
    isMeant(request) ? new Response(null, { status, headers: { location } }) : undefined;
}

/** Which requests of a pull are led astray. */
const OF_PULLS: Readonly<Record<string, (request: SeenRequest) => boolean>> = {
  manifest: ({ path }) => path.includes("/manifests/"),
  "blob's HEAD": ({ method, path }) => method === "HEAD" && path.includes("/blobs/"),
  blob: ({ method, path }) => method === "GET" && path.includes("/blobs/"),
  "blob's range": ({ headers }) => headers.has("range"),
};
const OF_PUSHES: Readonly<Record<string, (request: SeenRequest) => boolean>> = {
  "blob's HEAD": ({ method }) => method === "HEAD",
  "upload's POST": ({ method }) => method === "POST",
  "part's PATCH": ({ method }) => method === "PATCH",
  "blob's PUT": ({ method, path }) => method === "PUT" && path.includes("/blobs/"),
  "manifest's PUT": ({ method, path }) => method === "PUT" && path.includes("/manifests/"),
};

for (const [what, isMeant] of Object.entries(OF_PULLS)) {
  Deno.test(`a registry at home can't have a ${what} read from a file or another scheme`, () =>
    withScene(async ({ registry, folder, pull }) => {
      const path = join(folder, "authority_key.pem");
      await Deno.writeFile(path, SECRET);
      const locations = [
        `file://${path}`,
        `data:text/plain;base64,${btoa(new TextDecoder().decode(SECRET))}`,
        URL.createObjectURL(new Blob([SECRET])),
        "ftp://127.0.0.1/secret",
        "gopher://127.0.0.1/secret",
        `http://someone:secret@127.0.0.1:${registry.port}/secret`,
      ];
      for (const location of locations) {
        registry.intercept = redirecting(location, isMeant);
        await assertRefused(pull("127.0.0.1"), location);
      }
    }));

  Deno.test(`a public registry can't lead a ${what} to an address inside`, () =>
    withScene(async ({ registry, inside, pull }) => {
      for (const location of insideAddresses(inside.port)) {
        registry.intercept = redirecting(location, isMeant);
        await assertRefused(pull(), location);
      }
      assert.deepEqual(inside.seen, []);
    }));
}

for (const [what, isMeant] of Object.entries(OF_PUSHES)) {
  Deno.test(`a registry without https can't lead a ${what} to another origin`, () =>
    withScene(async ({ registry, inside, push }) => {
      await using other = new FaultyRegistry();
      const locations = [
        ...insideAddresses(inside.port),
        "file:///tmp/sent",
        ...(what === "blob's HEAD" ? [] : [
          `http://other.example:${other.port}/v2/taken`,
          `http://public.example:${other.port}/v2/taken`,
        ]),
      ];
      for (const location of locations) {
        registry.blobs.clear();
        registry.intercept = redirecting(location, isMeant);
        await assertRefused(push(), location);
      }
      assert.deepEqual([inside.seen, other.seen], [[], []]);
    }));
}

/** Addresses of this machine and its network, in every spelling that a URL takes. */
function insideAddresses(port: number): readonly string[] {
  return [
    `http://inside.example:${port}/secret`,
    `http://[::1]:${port}/secret`,
    `http://[0:0:0:0:0:0:0:1]:${port}/secret`,
    `http://[::]:${port}/secret`,
    `http://[::ffff:10.0.0.1]:${port}/secret`,
    "http://router.example/secret",
    "http://127.0.0.2/secret",
    "http://2130706434/secret",
    "http://0x7f.2/secret",
    "http://0.0.0.0/secret",
    "http://10.0.0.1/secret",
    "http://172.16.0.1/secret",
    "http://192.168.1.1/secret",
    "http://100.64.0.1/secret",
    "http://169.254.169.254/latest/meta-data",
    "http://[fe80::1]/secret",
    "http://[fd00::1]/secret",
    "http://[64:ff9b::10.0.0.1]/secret",
    "http://224.0.0.1/secret",
  ];
}

async function assertRefused(work: Promise<unknown>, location: string): Promise<void> {
  await assert.rejects(work, (error) => {
    const { code, message } = error as { code?: string; message: string };
    assert.match(message, /refused to go to/, location);
    assert.ok(code === "address_refused" || code === "registry_failed", location);
    assert.ok(!message.includes("secret"), `the address's path is told: ${message}`);
    return true;
  });
}

Deno.test("a public registry leads to addresses inside where --allow-private-registry says so", () =>
  withScene(async ({ registry, inside, pull }) => {
    registry.intercept = redirecting(
      `http://inside.example:${inside.port}/allowed`,
      ({ path }) => path.includes("/manifests/"),
    );
    await assert.rejects(pull(), { message: /answer is no manifest/ });
    assert.deepEqual(inside.seen, ["GET /allowed"]);
  }, { allowsPrivateRegistry: true }));

Deno.test("a digest that doesn't match tells nothing of what was read", () =>
  withScene(async ({ registry, pull }) => {
    registry.intercept = (request) =>
      request.path.includes("/blobs/") && !request.path.includes(digestOf(CONFIG))
        ? new Response(request.method === "HEAD" ? null : SECRET, {
          headers: { "content-length": String(SECRET.length) },
        })
        : undefined;
    await assert.rejects(pull(), ({ message }: Error) => {
      assert.match(message, /digest mismatch/);
      assert.ok(!message.includes(digestOf(SECRET).slice(7)));
      return true;
    });
  }));

Deno.test("answers that are too short and too long fail with the same words", async () => {
  const texts: string[] = [];
  for (const size of [SECRET.length - 1, SECRET.length + 1, SECRET.length * 100]) {
    await withScene(async ({ registry, pull }) => {
      registry.offer("m", manifestOf(size), []);
      registry.intercept = ({ path, method }) =>
        path.includes("/blobs/") && !path.includes(digestOf(CONFIG))
          ? new Response(method === "HEAD" ? null : SECRET, {
            status: method === "HEAD" ? 200 : 206,
          })
          : undefined;
      await assert.rejects(pull(), ({ message }: Error) => {
        texts.push(message.replaceAll(/[0-9a-f]{64}/g, "…"));
        return true;
      });
    });
  }
  assert.equal(new Set(texts).size, 1, texts.join("\n"));
});

Deno.test("only the registry's own origin sees its token", () =>
  withScene(async ({ registry, pull }) => {
    await using other = new FaultyRegistry();
    other.intercept = () => new Response("{}");
    for (const host of [`public.example:${other.port}`, `other.example:${other.port}`]) {
      for (const isMeant of Object.values(OF_PULLS)) {
        registry.intercept = (request) =>
          request.headers.get("authorization")?.startsWith("Bearer")
            ? redirecting(`http://${host}/elsewhere`, isMeant)(request)
            : undefined;
        await pull().catch(() => {}); // What comes of it is not the question.
      }
    }
    assert.ok(other.seen.length >= 8, `seen ${other.seen.length}`);
    assert.deepEqual(other.seen.filter(({ headers }) => headers.has("authorization")), []);
  }, { wantsToken: true }));

Deno.test("a token is asked for at the registry's own origin only", () =>
  withScene(async ({ registry, inside, pull }) => {
    await using other = new FaultyRegistry();
    const realms = [
      `http://public.example:${other.port}/token`,
      `http://other.example:${other.port}/token`,
      `https://public.example:${registry.port}/token`,
      `http://inside.example:${inside.port}/token`,
      "file:///etc/hostname",
      "",
    ];
    for (const realm of realms) {
      registry.intercept = () =>
        new Response(null, {
          status: 401,
          headers: { "www-authenticate": `Bearer realm="${realm}",service="s",scope="a"` },
        });
      await assert.rejects(pull(), { message: /the token address ".*" is not on the registry/ });
    }
    assert.deepEqual([other.seen, inside.seen], [[], []]);
  }));

Deno.test("what another host answers is quoted to nobody, and its challenge gets no token", () =>
  withScene(async ({ registry, pull }) => {
    await using other = new FaultyRegistry();
    for (const status of [400, 401, 403, 500]) {
      other.intercept = () =>
        new Response("a page of the intranet", {
          status,
          headers: { "www-authenticate": `Bearer realm="http://public.example/token"` },
        });
      for (const isMeant of Object.values(OF_PULLS)) {
        registry.intercept = redirecting(`http://other.example:${other.port}/x`, isMeant);
        await assert.rejects(pull(), ({ message }: Error) => {
          assert.ok(!message.includes("intranet"), message);
          assert.ok(!message.includes("token"), message);
          return true;
        });
      }
    }
    assert.ok(other.seen.length >= 12, `seen ${other.seen.length}`);
  }));

Deno.test("a challenge of 50,000 characters is given up at once", () =>
  withScene(async ({ registry, pull }) => {
    for (const shape of ['a="', "a", "=", '"']) {
      registry.intercept = () =>
        new Response(null, {
          status: 401,
          headers: { "www-authenticate": `Bearer ${shape.repeat(50_000 / shape.length)}` },
        });
      const startedMs = performance.now();
      await assert.rejects(pull());
      assert.ok(performance.now() - startedMs < 1_000);
    }
  }));

Deno.test("a request for a token follows no redirect", () =>
  withScene(async ({ registry, inside, pull }) => {
    registry.intercept = redirecting(
      `http://inside.example:${inside.port}/token`,
      ({ path }) => path.startsWith("/token"),
    );
    await assert.rejects(pull(), { message: /redirects a request for a token/ });
    assert.deepEqual(inside.seen, []);
  }, { wantsToken: true }));
