import assert from "node:assert/strict";
import { streamAnswer, type StreamEncoder } from "./stream.ts";

const decoder = new TextDecoder();

/** A source that yields what a test pushes into it. */
class PushedItems implements AsyncIterable<string> {
  readonly #ready: string[] = [];
  #waiting: PromiseWithResolvers<void> | undefined;
  #closed = false;
  taken = 0;
  returned = false;

  push(...items: string[]): void {
    this.#ready.push(...items);
    this.#waiting?.resolve();
  }
  close(): void {
    this.#closed = true;
    this.#waiting?.resolve();
  }
  async *[Symbol.asyncIterator]() {
    try {
      for (;;) {
        const item = this.#ready.shift();
        if (item !== undefined) {
          this.taken++;
          yield item;
        } else if (this.#closed) return;
        else {
          this.#waiting = Promise.withResolvers<void>();
          await this.#waiting.promise;
        }
      }
    } finally {
      this.returned = true;
    }
  }
}

const LINES: StreamEncoder<string> = {
  contentType: "text/plain",
  encode: (item) => `${item}\n`,
  encodeFailure: (error) => `failed ${String(error)}\n`,
};

function open(items: AsyncIterable<string>) {
  const ended = Promise.withResolvers<void>();
  let gone = 0;
  const watcher = { gone: () => void gone++, ended: () => ended.resolve() };
  const response = streamAnswer(items, LINES, watcher);
  return { response, ended: ended.promise, gone: () => gone };
}

/** Lets everything that is ready to run run: a task after all microtasks. */
function settle(): Promise<void> {
  const { port1, port2 } = new MessageChannel();
  return new Promise((resolve) => {
    port1.onmessage = () => {
      port1.close();
      resolve();
    };
    port2.postMessage(null);
  });
}

function readerOf(response: Response): ReadableStreamDefaultReader<Uint8Array> {
  assert.ok(response.body !== null);
  return response.body.getReader();
}

async function readText(reader: ReadableStreamDefaultReader<Uint8Array>): Promise<string> {
  const { value } = await reader.read();
  return decoder.decode(value);
}

Deno.test("streamAnswer() hands the first line over before there is a second", async () => {
  const items = new PushedItems();
  items.push("one");
  const reader = readerOf(await open(items).response);
  assert.equal(await readText(reader), "one\n");
  const second = readText(reader);
  items.push("two");
  assert.equal(await second, "two\n");
  items.close();
  assert.equal((await reader.read()).done, true);
});

Deno.test("streamAnswer() keeps lines apart that gather behind a slow reader", async () => {
  const items = new PushedItems();
  items.push("a", "b", "c", "d");
  const reader = readerOf(await open(items).response);
  await settle();
  assert.equal(await readText(reader), "a\n");
  for (const line of ["b\n", "c\n", "d\n"]) assert.equal(await readText(reader), line);
  items.close();
  await reader.read();
});

Deno.test("streamAnswer() stops taking items while the reader is far behind", async () => {
  const items = new PushedItems();
  const big = "x".repeat(40_000);
  items.push(big, big, big, big, big, big);
  const reader = readerOf(await open(items).response);
  await settle();
  assert.ok(items.taken < 6, `${items.taken}`);
  let length = 0;
  items.close();
  for (;;) {
    const { value, done } = await reader.read();
    if (done) break;
    length += value.length;
  }
  assert.equal(length, 6 * 40_001);
});

Deno.test("streamAnswer() rejects with an error before the first item", async () => {
  const failing: AsyncIterable<string> = {
    [Symbol.asyncIterator]: () => ({ next: () => Promise.reject(new Error("early")) }),
  };
  await assert.rejects(open(failing).response, /early/);
});

Deno.test("streamAnswer() ends with the encoded failure after the first item", async () => {
  async function* failing() {
    yield "one";
    throw new Error("late");
  }
  const response = await open(failing()).response;
  assert.equal(await response.text(), "one\nfailed Error: late\n");
});

Deno.test("streamAnswer() tells once that the reader left, and gives the source back", async () => {
  const items = new PushedItems();
  items.push("one");
  const stream = open(items);
  const reader = readerOf(await stream.response);
  await reader.read();
  await reader.cancel();
  assert.equal(stream.gone(), 1);
  items.push("never read");
  await stream.ended;
  assert.equal(items.returned, true);
});

Deno.test("streamAnswer() ends an empty stream at once", async () => {
  const items = new PushedItems();
  items.close();
  assert.equal(await (await open(items).response).text(), "");
});
