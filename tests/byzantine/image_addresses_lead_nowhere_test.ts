/**
 * A client that names an image by an address, to have a node see for it what it can't reach itself: addresses of the node's
 * machine and network, by name and by number, and behind redirects; answers without end, and hosts that say nothing.
 */
import assert from "node:assert/strict";
import { createImageFetcher } from "../../src/models/mod.ts";
import { picture } from "../harness/colour_eye.ts";
import { HandClock } from "../harness/hand_clock.ts";
import { namedNetwork } from "../harness/named_network.ts";

const BYTES_MAX = 64 * 1024;

/** `public.example` is this machine's 127.0.0.1, held to be public; `::1` is what only this machine can reach. */
const NAMES: Readonly<Record<string, readonly string[]>> = {
  "public.example": ["127.0.0.1"],
  "inside.example": ["::1"],
  "both.example": ["::1", "127.0.0.1"],
  "router.example": ["192.168.1.1"],
};
const NETWORK = namedNetwork(NAMES);

async function withScene(
  use: (scene: {
    readonly port: number;
    readonly inside: { readonly port: number; readonly seen: string[] };
    readonly clock: HandClock;
    /** Resolves once a host that says nothing was asked. */
    readonly asked: Promise<void>;
    fetch(address: string): Promise<Uint8Array>;
  }) => Promise<void>,
): Promise<void> {
  const seen: string[] = [];
  const silent = Promise.withResolvers<void>();
  const end = Promise.withResolvers<void>();
  const inside = Deno.serve({ hostname: "::1", port: 0, onListen: () => {} }, (request) => {
    seen.push(request.url);
    return new Response("secret");
  });
  const outside = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen: () => {} },
    async (request) => {
      const { pathname, searchParams } = new URL(request.url);
      switch (pathname) {
        case "/red.png":
          return new Response(picture("red"));
        case "/to": {
          const location = searchParams.get("where") ?? "";
          return new Response(null, { status: 302, headers: { location } });
        }
        case "/endless":
          return new Response(
            new ReadableStream({ pull: (control) => control.enqueue(new Uint8Array(16 * 1024)) }),
          );
        case "/silent":
          silent.resolve();
          await end.promise;
          return new Response();
        default:
          return new Response(null, { status: 404 });
      }
    },
  );
  const clock = new HandClock();
  const fetch = createImageFetcher({ clock, userAgent: "test", network: NETWORK });
  try {
    await use({
      ...{ port: outside.addr.port, inside: { port: inside.addr.port, seen }, clock },
      asked: silent.promise,
      fetch: async (address) =>
        new Uint8Array(
          await fetch(address, { bytesMax: BYTES_MAX, signal: new AbortController().signal }),
        ),
    });
  } finally {
    end.resolve();
    await Promise.all([inside.shutdown(), outside.shutdown()]);
  }
}

Deno.test("An image is fetched from a public address, also behind a redirect", () =>
  withScene(async ({ port, fetch }) => {
    assert.deepEqual(await fetch(`http://public.example:${port}/red.png`), picture("red"));
    assert.deepEqual(
      await fetch(`http://public.example:${port}/to?where=/red.png`),
      picture("red"),
    );
    // What else the name means is not gone to.
    assert.deepEqual(await fetch(`http://both.example:${port}/red.png`), picture("red"));
  }));

Deno.test("No address leads to what only this machine or its network can reach", () =>
  withScene(async ({ port, inside, fetch }) => {
    const forbidden = [
      `http://inside.example:${inside.port}/`,
      `http://[::1]:${inside.port}/`,
      `http://[::ffff:127.0.0.2]:${inside.port}/`,
      `http://localhost:${inside.port}/`,
      `http://0.0.0.0:${inside.port}/`,
      `http://2130706434:${inside.port}/`,
      "http://router.example/",
      "http://169.254.169.254/latest/meta-data/",
      "http://10.0.0.1/",
      "file:///etc/passwd",
      "ftp://public.example/a.png",
      `http://user:secret@public.example:${port}/red.png`,
    ];
    for (const address of forbidden) {
      const wanted = { code: "invalid_request", message: /^cannot fetch an image: / };
      await assert.rejects(fetch(address), wanted, address);
      const through = `http://public.example:${port}/to?where=${encodeURIComponent(address)}`;
      await assert.rejects(fetch(through), wanted, through);
    }
    assert.deepEqual(inside.seen, []);
  }));

Deno.test("Answers without end, redirects without end and hosts that say nothing are given up", () =>
  withScene(async ({ port, clock, asked, fetch }) => {
    const at = (path: string) => fetch(`http://public.example:${port}${path}`);
    await assert.rejects(at("/endless"), { message: /larger than 65536 bytes/ });
    await assert.rejects(at("/nothing"), { message: /answered 404/ });
    const around = `/to?where=${encodeURIComponent("/to?where=/")}`;
    await assert.rejects(at(around), { message: /answered 404/ });
    let loop = "/red.png";
    for (let hop = 0; hop < 6; hop++) loop = `/to?where=${encodeURIComponent(loop)}`;
    await assert.rejects(at(loop), { message: /more than 5 redirects/ });
    const silent = assert.rejects(at("/silent"), { message: /said nothing for 10 s/ });
    await asked;
    await clock.advance(11_000);
    await silent;
  }));
