import assert from "node:assert/strict";
import { HandClock } from "../../../tests/harness/hand_clock.ts";
import { type RawClient, rawClient } from "../../../tests/harness/raw_http.ts";
import { RecordingTelemetry } from "../../../tests/harness/scripted_client.ts";
import type { AnswerRequest } from "./connection.ts";
import { CONNECTION_TIMES } from "./limits.ts";
import { type HttpListener, listenHttp } from "./listen.ts";

const GET = "GET /x HTTP/1.1\r\nHost: localhost\r\n\r\n";

interface Listening extends AsyncDisposable {
  readonly listener: HttpListener;
  readonly clock: HandClock;
  readonly telemetry: RecordingTelemetry;
  connect(): Promise<RawClient>;
  /** Lets seconds pass, one look after the other. */
  pass(seconds: number): Promise<void>;
  /** Reasons for which connections were ended. */
  ended(): readonly (string | undefined)[];
}

async function listening(
  answer: AnswerRequest,
  options: { connectionsMax?: number; perAddressMax?: number; isOwn?: boolean } = {},
): Promise<Listening> {
  const clock = new HandClock();
  const telemetry = new RecordingTelemetry();
  const listener = await listenHttp({
    hostname: "127.0.0.1",
    port: 0,
    clock,
    log: telemetry,
    metrics: telemetry,
    limits: {
      ...CONNECTION_TIMES,
      connectionsMax: options.connectionsMax ?? 64,
      connectionsPerAddressMax: options.perAddressMax ?? 64,
    },
    isOwn: () => options.isOwn ?? true,
    answer,
  });
  const clients: RawClient[] = [];
  return {
    listener,
    clock,
    telemetry,
    async connect() {
      const client = await rawClient(listener.address);
      clients.push(client);
      return client;
    },
    async pass(seconds) {
      // What was sent before has been read when an answer to something sent later comes.
      using other = await rawClient(listener.address);
      await other.send(GET.replace("/x", "/quick"));
      await other.readTo("quick");
      await clock.advance(seconds * 1000);
    },
    ended: () =>
      telemetry.samples.filter(({ name }) => name === "odist_http_connections_ended_total")
        .map(({ labels }) => labels["why"]),
    async [Symbol.asyncDispose]() {
      for (const client of clients) client[Symbol.dispose]();
      await listener.shutdown();
    },
  };
}

/** Answers with what came. */
const echo: AnswerRequest = async (request, { body }) =>
  new URL(request.url).pathname === "/quick"
    ? new Response("quick")
    : new Response(`${request.method} ${request.url} [${await textOf(body)}]`);

async function textOf(body: AsyncIterable<Uint8Array> | undefined): Promise<string> {
  return await new Response(ReadableStream.from(body ?? [])).text();
}

Deno.test("an upgrade that is offered beside a body is not taken, and the request answered", async () => {
  await using server = await listening(echo);
  const client = await server.connect();
  // As Java's HttpClient asks by default.
  await client.send(
    "POST /api HTTP/1.1\r\nConnection: Upgrade, HTTP2-Settings\r\nContent-Length: 2\r\n" +
      "Host: localhost\r\nHTTP2-Settings: AAEAAEAAAAIAAAABAAMAAABkAAQBAAAAAAUAAEAA\r\nUpgrade: h2c\r\n" +
      "User-Agent: Java-http-client/17\r\n\r\n{}",
  );
  assert.match(await client.readTo("[{}]"), /^HTTP\/1\.1 200 OK\r\n/);
  await client.send(GET);
  assert.match(
    await client.readTo("[]"),
    /^HTTP\/1\.1 200 OK\r\n[^]*GET http:\/\/localhost\/x \[\]$/,
  );
});

Deno.test("an answer that is whole has a length, one in parts comes in the same parts", async () => {
  const parts = ["one", "two", "three"];
  await using server = await listening(async (request) =>
    request.url.endsWith("/parts")
      ? new Response(ReadableStream.from(parts.map((part) => new TextEncoder().encode(part))))
      : request.url.endsWith("/nothing")
      ? new Response(null)
      : new Response("whole")
  );
  const client = await server.connect();
  await client.send(GET);
  assert.match(await client.readTo("whole"), /\r\ncontent-length: 5\r\n/i);
  await client.send(GET.replace("/x", "/nothing"));
  assert.match(await client.readTo("\r\n\r\n"), /\r\ncontent-length: 0\r\n/i);
  await client.send(GET.replace("GET", "HEAD"));
  assert.match(await client.readTo("\r\n\r\n"), /\r\ncontent-length: 5\r\n/i);
  await client.send(GET.replace("/x", "/parts"));
  assert.match(
    await client.readTo("0\r\n\r\n"),
    /\r\ntransfer-encoding: chunked\r\n\r\n3\r\none\r\n3\r\ntwo\r\n5\r\nthree\r\n0\r\n\r\n$/i,
  );
});

Deno.test("requests that are sent at once are answered one by one, in order", async () => {
  await using server = await listening(echo);
  const client = await server.connect();
  await client.send(`${GET}${GET.replace("/x", "/quick")}${GET.replace("/x", "/z")}`);
  assert.match(await client.readTo("/z []"), /\/x \[\][^]*quick[^]*\/z \[\]$/);
});

Deno.test("a client that asks before it sends its body is told to go on", async () => {
  await using server = await listening(echo);
  const client = await server.connect();
  await client.send(
    "POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n",
  );
  assert.match(await client.readTo("\r\n\r\n"), /^HTTP\/1\.1 100 /);
  await client.send("{}");
  assert.match(await client.readTo("[{}]"), /^HTTP\/1\.1 200 /);
});

for (
  const [what, status, head] of [
    ["two hosts", 400, "GET / HTTP/1.1\r\nHost: a\r\nHost: b"],
    ["a host that is a URL", 400, "GET / HTTP/1.1\r\nHost: a/b?c"],
    ["a target that is no path", 400, "GET evil HTTP/1.1\r\nHost: a"],
    [
      "a length and chunks",
      400,
      "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nTransfer-Encoding: chunked",
    ],
    ["two lengths", 400, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nContent-Length: 4"],
    ["a signed length", 400, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +3"],
    ["a spaced name", 400, "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding : chunked"],
    ["a NUL", 400, "GET / HTTP/1.1\r\nHost: a\r\nX: a\0b"],
    ["TRACE", 400, "TRACE / HTTP/1.1\r\nHost: a"],
    ["300 headers", 431, `GET / HTTP/1.1\r\nHost: a\r\n${"X: y\r\n".repeat(300)}X: y`],
    ["100 KB of headers", 431, `GET / HTTP/1.1\r\nHost: a\r\nX: ${"y".repeat(100_000)}`],
  ] as const
) {
  Deno.test(`a request with ${what} is refused with ${status}`, async () => {
    const asked: string[] = [];
    await using server = await listening(async ({ url }) => {
      asked.push(url);
      return new Response();
    });
    const client = await server.connect();
    await client.send(`${head}\r\n\r\n`).catch(() => {});
    assert.match(await client.readAll(), new RegExp(`^HTTP/1\\.1 ${status} `));
    assert.deepEqual(asked, []);
  });
}

Deno.test("headers that don't end get 408 after ten seconds", async () => {
  await using server = await listening(echo);
  const client = await server.connect();
  await client.send("GET / HTTP/1.1\r\nHost: loc");
  await server.pass(9);
  assert.deepEqual(server.ended(), []);
  await client.send("alhost\r\nX: y");
  await server.pass(3);
  assert.match(await client.readAll(), /^HTTP\/1\.1 408 /);
  assert.deepEqual(server.ended(), ["headers_late"]);
});

Deno.test("a body without a byte for half a minute ends its connection and its request", async () => {
  const given = Promise.withResolvers<unknown>();
  await using server = await listening((request, connection) => {
    if (request.url.endsWith("/quick")) return echo(request, connection);
    return textOf(connection.body).then((text) => new Response(text), (error) => {
      given.resolve(error);
      return new Response();
    });
  });
  const client = await server.connect();
  await client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nabc");
  await server.pass(29);
  await client.send("d");
  await server.pass(29);
  assert.deepEqual(server.ended(), []);
  await server.pass(3);
  assert.match(await client.readAll(), /^HTTP\/1\.1 408 /);
  assert.deepEqual(server.ended(), ["body_stalled"]);
  assert.ok(await given.promise instanceof Error);
});

Deno.test("a connection without a request ends after a minute", async () => {
  await using server = await listening(echo);
  const [fresh, used] = [await server.connect(), await server.connect()];
  await used.send(GET);
  await used.readTo("[]");
  await server.pass(59);
  assert.deepEqual(server.ended(), []);
  await server.pass(3);
  assert.equal(await fresh.readAll(), "");
  assert.equal(await used.readAll(), "");
  assert.deepEqual(server.ended(), ["idle", "idle"]);
});

Deno.test("a client that reads nothing for a minute loses its answer, and the work stops", async () => {
  const stopped = Promise.withResolvers<void>();
  const line = new TextEncoder().encode("x".repeat(60_000));
  let made = 0;
  await using server = await listening(async (request, connection) => {
    if (request.url.endsWith("/quick")) return await echo(request, connection);
    const body = new ReadableStream({
      pull: (controller) => {
        made++;
        controller.enqueue(line);
      },
      cancel: () => stopped.resolve(),
    });
    return new Response(body);
  });
  const client = await server.connect();
  await client.send(GET);
  for (let before = -1; before !== made;) {
    before = made;
    await server.pass(1);
  }
  await server.pass(58);
  assert.deepEqual(server.ended(), []);
  await server.pass(4);
  await stopped.promise;
  assert.deepEqual(server.ended(), ["reader_stuck"]);
});

Deno.test("a body that is answered unread is thrown away, and its connection used again", async () => {
  await using server = await listening(async () => new Response("no"));
  const client = await server.connect();
  await client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n");
  await client.readTo("no");
  await client.send("x".repeat(100_000));
  await client.send(GET);
  await client.readTo("no");
  await client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n");
  await client.readTo("no");
  await server.clock.advance(6_000);
  assert.equal(await client.readAll(), "");
  assert.deepEqual(server.ended(), ["body_unread"]);
});

Deno.test("a body that is read in part and then answered does not end its connection", async () => {
  await using server = await listening(async (_request, { body }) => {
    for await (const _part of body ?? []) break;
    return new Response("enough");
  });
  const client = await server.connect();
  for (let time = 0; time < 2; time++) {
    await client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 200000\r\n\r\n");
    await client.send("x".repeat(100_000));
    await client.readTo("enough");
    await client.send("x".repeat(100_000));
  }
});

Deno.test("a client that leaves aborts its request", async () => {
  const asked = Promise.withResolvers<void>();
  const gone = Promise.withResolvers<void>();
  await using server = await listening(async (_request, connection) => {
    connection.gone.addEventListener("abort", () => gone.resolve());
    asked.resolve();
    await gone.promise;
    return new Response();
  });
  const client = await rawClient(server.listener.address);
  await client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n{}");
  await asked.promise;
  client[Symbol.dispose]();
  await gone.promise;
});

Deno.test("an address gets its share of connections, and one without a request makes room", async () => {
  const release = Promise.withResolvers<void>();
  await using server = await listening(async (request, connection) => {
    if (!request.url.endsWith("/slow")) return await echo(request, connection);
    await release.promise;
    return new Response("slow");
  }, { isOwn: false, perAddressMax: 2 });
  const [busy, idle] = [await server.connect(), await server.connect()];
  await busy.send(GET.replace("/x", "/slow"));
  await idle.send(GET);
  await idle.readTo("[]");
  await server.clock.advance(1_000);
  const refused = await server.connect();
  assert.match(
    await refused.readAll(),
    /^HTTP\/1\.1 503 [^]*too many connections from this address/,
  );
  await server.clock.advance(2_000);
  const admitted = await server.connect();
  await admitted.send(GET);
  assert.match(await admitted.readTo("[]"), /^HTTP\/1\.1 200 /);
  assert.equal(await idle.readAll(), "");
  release.resolve();
  assert.match(await busy.readTo("slow"), /^HTTP\/1\.1 200 /);
  assert.deepEqual(server.ended(), ["address_has_its_share"]);
});

Deno.test("a listener that shuts down finishes its answers and takes no more requests", async () => {
  const asked = Promise.withResolvers<void>();
  const release = Promise.withResolvers<void>();
  const server = await listening(async () => {
    asked.resolve();
    await release.promise;
    return new Response("done");
  });
  const [busy, idle] = [await server.connect(), await server.connect()];
  await busy.send(GET);
  await asked.promise;
  const closed = server.listener.shutdown();
  assert.equal(await idle.readAll(), "");
  release.resolve();
  assert.match(await busy.readAll(), /^HTTP\/1\.1 200 [^]*done$/);
  await closed;
  await assert.rejects(server.connect());
});

Deno.test("a port that is taken is told in the runtime's own words", async () => {
  await using server = await listening(echo);
  const { hostname, port } = server.listener.address;
  const telemetry = new RecordingTelemetry();
  const again = listenHttp({
    hostname,
    port,
    clock: new HandClock(),
    log: telemetry,
    metrics: telemetry,
    limits: { ...CONNECTION_TIMES, connectionsMax: 1, connectionsPerAddressMax: 1 },
    isOwn: () => true,
    answer: echo,
  });
  await assert.rejects(again, Deno.errors.AddrInUse);
});
