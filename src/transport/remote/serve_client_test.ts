import assert from "node:assert/strict";
import { testClock } from "../../../tests/harness/quic_world.ts";
import { PeerError } from "../../base/mod.ts";
import { answerHeadShape, type ClientVerdict, clientVerdictShape } from "../../protocol/mod.ts";
import { type StreamParts, takeStream } from "../framing/stream_pipe.ts";
import { TRANSPORT_LIMITS } from "../limits.ts";
import type { ClientSession } from "./client_session.ts";
import { ClientStream } from "./client_stream.ts";
import { type AskingClient, type ClientHandler, greetClient, serveClient } from "./serve_client.ts";

const WELCOME: ClientVerdict = { kind: "welcome", node: "n1", version: "0.1.0" };
const nowMs = () => 0;

/** A session in memory: streams that a client opens, and its end. */
class MemorySession implements ClientSession {
  readonly #opened: StreamParts[] = [];
  readonly #end = Promise.withResolvers<void>();
  #wake = Promise.withResolvers<void>();
  readonly closed = this.#end.promise;
  #isOver = false;

  open(): ClientStream {
    const [there, back] = [new Pipe(), new Pipe()];
    this.#opened.push(takeStream({ readable: there.readable, writable: back.writable }));
    this.#wake.resolve();
    return new ClientStream(takeStream({ readable: back.readable, writable: there.writable }), {
      nowMs,
    });
  }

  async nextStream(): Promise<StreamParts | undefined> {
    for (;;) {
      const next = this.#opened.shift();
      if (next !== undefined || this.#isOver) return next;
      await this.#wake.promise;
      this.#wake = Promise.withResolvers<void>();
    }
  }

  close(): void {
    this.#isOver = true;
    this.#wake.resolve();
    this.#end.resolve();
  }
}

/** Bytes from one side to the other, read as a stream of QUIC is. */
class Pipe {
  readonly readable: ReadableStream<Uint8Array<ArrayBuffer>>;
  readonly writable: WritableStream<Uint8Array>;

  constructor() {
    let inside: ReadableByteStreamController | undefined;
    this.readable = new ReadableStream({
      type: "bytes",
      start: (controller) => void (inside = controller),
    });
    this.writable = new WritableStream({
      write: (bytes) => bytes.length > 0 ? inside?.enqueue(bytes.slice()) : undefined,
      close: () => inside?.close(),
    });
  }
}

interface Scene {
  readonly session: MemorySession;
  readonly serving: Promise<void>;
  /** Sends a request's head and body, whole. */
  ask(head: object, body?: Uint8Array): Promise<ClientStream>;
}

/** A session past its hello. */
async function serve(
  handler: Partial<ClientHandler>,
  use: (scene: Scene) => Promise<void>,
): Promise<void> {
  const session = new MemorySession();
  const parts = {
    handler: {
      admit: () => Promise.resolve(WELCOME),
      answer: () => Promise.resolve(new Response("fine")),
      ...handler,
    },
    limits: { ...TRANSPORT_LIMITS, clientRequestsMax: 2 },
    clock: testClock,
  };
  const serving = serveClient(session, { ...parts, key: "k", address: "10.0.0.7" });
  serving.catch(() => {});
  const ask = async (head: object, body?: Uint8Array) => {
    const stream = session.open();
    await stream.writeKind("stream");
    await stream.writeHead({ path: "/api/x", headers: [], ...head });
    if (body !== undefined) await stream.writeBody(body);
    await stream.writeEnd();
    return stream;
  };
  try {
    await use({ session, serving, ask });
  } finally {
    session.close();
    await serving.catch(() => {});
  }
}

async function textOf(stream: ClientStream): Promise<{ text: string; end: string }> {
  let text = "";
  for (;;) {
    const piece = await stream.readPiece();
    if (piece.kind !== "bytes") return { text, end: piece.kind };
    text += new TextDecoder().decode(piece.bytes);
  }
}

async function greet(verdict: ClientVerdict, hello: (stream: ClientStream) => Promise<void>) {
  const session = new MemorySession();
  const stream = session.open();
  const handler = { admit: () => Promise.resolve(verdict), answer: () => assert.fail() };
  const greeting = greetClient(session, { handler, limits: TRANSPORT_LIMITS, clock: testClock });
  greeting.catch(() => {});
  await hello(stream);
  return { stream, greeting };
}

Deno.test("A client's first stream carries its key, and the node's word on it", async () => {
  const sayKey = async (stream: ClientStream) => {
    await stream.writeKind("hello");
    await stream.writeHead({ key: "odist-key-x" });
  };
  const welcome = await greet(WELCOME, sayKey);
  assert.deepEqual(await welcome.stream.readHead(clientVerdictShape), WELCOME);
  assert.equal(await welcome.greeting, "odist-key-x");

  const refusal: ClientVerdict = { kind: "refused", reason: "it was revoked" };
  const refused = await greet(refusal, sayKey);
  assert.deepEqual(await refused.stream.readHead(clientVerdictShape), refusal);
  await assert.rejects(refused.greeting, { code: "key_refused" });

  const early = await greet(WELCOME, (stream) => stream.writeKind("stream"));
  await assert.rejects(early.greeting, { code: "early_frame" });
});

Deno.test("A request is rebuilt from its frames, and its answer sent in frames", async () => {
  const answer = async (request: Request) => {
    const text = await request.text();
    const seen = `${request.method} ${request.url} ${request.headers.get("x-a")} ${text.length}`;
    return new Response(seen, { status: 201, headers: { "x-b": "2" } });
  };
  await serve({ answer }, async ({ ask }) => {
    const headers = [{ name: "x-a", value: "1" }];
    const stream = await ask({ method: "POST", headers }, new Uint8Array(100_000).fill(65));
    const head = await stream.readHead(answerHeadShape);
    assert.equal(head.status, 201);
    assert.ok(head.headers.some(({ name, value }) => name === "x-b" && value === "2"));
    assert.deepEqual(await textOf(stream), {
      text: "POST http://localhost/api/x 1 100000",
      end: "end",
    });
  });
});

Deno.test("A request is handed on with the key and the address of who asks", async () => {
  const seen: Pick<AskingClient, "key" | "address">[] = [];
  const answer = (_: Request, { key, address }: AskingClient) => {
    seen.push({ key, address });
    return Promise.resolve(new Response("fine"));
  };
  await serve({ answer }, async ({ ask }) => {
    await textOf(await ask({ method: "GET" }));
  });
  assert.deepEqual(seen, [{ key: "k", address: "10.0.0.7" }]);
});

Deno.test("More requests than a client may have under way wait, and are answered", async () => {
  const gates = Array.from({ length: 4 }, () => Promise.withResolvers<void>());
  let begun = 0;
  const answer = async () => {
    const index = begun++;
    await gates[index]?.promise;
    return new Response(`${index}`);
  };
  await serve({ answer }, async ({ ask }) => {
    const streams: ClientStream[] = [];
    for (let index = 0; index < 4; index++) streams.push(await ask({ method: "GET" }));
    await Promise.all(gates.map(async (gate, index) => {
      gate.resolve();
      const stream = streams[index] ?? assert.fail();
      assert.equal((await stream.readHead(answerHeadShape)).status, 200);
      assert.deepEqual(await textOf(stream), { text: `${index}`, end: "end" });
    }));
    assert.equal(begun, 4);
  });
});

Deno.test("A client that takes its request back, or whose upload breaks off, ends the work", async () => {
  for (const how of ["takes back", "breaks off", "is gone"] as const) {
    const left = Promise.withResolvers<void>();
    const answer = async (request: Request, { gone }: AskingClient) => {
      gone.addEventListener("abort", () => left.resolve());
      if (how === "breaks off") await request.text().catch(() => {});
      return new Response(new ReadableStream());
    };
    await serve({ answer }, async ({ session, ask }) => {
      if (how === "breaks off") {
        const stream = session.open();
        await stream.writeKind("stream");
        await stream.writeHead({ method: "POST", path: "/", headers: [] });
        await stream.writeBody(new Uint8Array(3));
        await stream.writeBrokenOff();
      } else {
        const stream = await ask({ method: "GET" });
        await stream.readHead(answerHeadShape);
        if (how === "takes back") await stream.writeBrokenOff();
        else session.close();
      }
      await left.promise;
    });
  }
});

Deno.test("An answer that breaks off is told from one that is whole, and a revoked key from both", async () => {
  const broken = new ReadableStream({
    start(controller) {
      controller.enqueue(new TextEncoder().encode("part"));
    },
    pull(controller) {
      controller.error(new Error("broken"));
    },
  });
  await serve({ answer: () => Promise.resolve(new Response(broken)) }, async ({ ask }) => {
    const stream = await ask({ method: "GET" });
    assert.equal((await stream.readHead(answerHeadShape)).status, 200);
    assert.equal((await textOf(stream)).end, "broken_off");
  });
  const revoked: ClientVerdict = { kind: "refused", reason: "it was revoked" };
  await serve({ admit: () => Promise.resolve(revoked) }, async ({ ask }) => {
    const stream = await ask({ method: "GET" });
    assert.equal((await stream.readHead(answerHeadShape)).status, 401);
    assert.equal((await textOf(stream)).text, '{"error":"it was revoked"}');
  });
});

Deno.test("A request that makes no sense ends the session as a fault", async () => {
  for (
    const head of [
      { method: "BREW" },
      { method: "GET", path: "x" },
      { method: "GET", headers: [{ name: "no header name", value: "1" }] },
    ]
  ) {
    await serve({}, async ({ ask, serving }) => {
      await ask(head);
      await assert.rejects(
        serving,
        (error) => error instanceof PeerError && error.code === "malformed_frame",
      );
    });
  }
});
