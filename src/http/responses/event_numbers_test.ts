import assert from "node:assert/strict";
import fc from "fast-check";
import { eventsBehind } from "./event_numbers.ts";

const EVENTS = Array.from({ length: 12 }, (_, number) => {
  const event = { type: "response.x", sequence_number: number, delta: `é "sequence_number":99\n` };
  return `event: response.x\ndata: ${JSON.stringify(event)}\n\n`;
});

Deno.test("eventsBehind() tells whole events from the first one behind a number on, however the stream is cut", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.integer({ min: -1, max: 12 }),
      fc.integer({ min: 1, max: 400 }),
      async (after, size) => {
        const bytes = new TextEncoder().encode(EVENTS.join(""));
        const pieces = Array.from(
          { length: Math.ceil(bytes.length / size) },
          (_, index) => bytes.subarray(index * size, (index + 1) * size),
        );
        const told: Uint8Array<ArrayBuffer>[] = [];
        for await (const piece of eventsBehind(ReadableStream.from(pieces), after)) {
          told.push(new Uint8Array(piece));
        }
        assert.equal(await new Blob(told).text(), EVENTS.slice(after + 1).join(""));
      },
    ),
  );
});
