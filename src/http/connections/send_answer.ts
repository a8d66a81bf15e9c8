import type { ServerResponse } from "node:http";
import { type AnswerParts, takeParts } from "../wire/mod.ts";

/** Bytes written at once: a client that takes so many within the time for stuck readers gets on. */
const WRITE_BYTES_MAX = 64 * 1024;

/** Sends an answer, part by part as they are made; resolves when the last was written or the client is gone. */
export async function sendAnswer(answer: Response, outgoing: ServerResponse): Promise<void> {
  const headers: string[] = [];
  // A loop over them would make ten times as many objects as there are headers.
  answer.headers.forEach((value, name) => headers.push(name, value));
  if (answer.body === null) {
    if (answer.status >= 200 && answer.status !== 204 && answer.status !== 304) {
      headers.push("content-length", "0");
    }
    outgoing.writeHead(answer.status, headers).end();
    return;
  }
  const parts = takeParts(answer, answer.body);
  const onGone = () => {
    // Whoever makes the parts has nobody left to tell about a failure.
    void parts.cancel().catch(() => {});
  };
  outgoing.once("close", onGone);
  try {
    await sendParts(parts, outgoing, { status: answer.status, headers });
    outgoing.end();
  } catch {
    // It broke off in the middle, and a client must not take what it has for the whole.
    outgoing.destroy();
  } finally {
    outgoing.off("close", onGone);
  }
}

async function sendParts(
  parts: AnswerParts,
  outgoing: ServerResponse,
  head: { readonly status: number; readonly headers: string[] },
): Promise<void> {
  const first = await parts.next();
  const next = parts.next();
  // An answer that is whole already has a length, which tells clients that they got all of it.
  const isWhole = first.done || (await settledNow(next))?.done === true;
  const knowsLength = head.headers.includes("content-length");
  if (isWhole && !knowsLength) {
    head.headers.push("content-length", String(first.done === true ? 0 : first.value.length));
  }
  outgoing.writeHead(head.status, head.headers);
  for (
    let part = first;
    part.done !== true;
    part = part === first ? await next : await parts.next()
  ) {
    await write(outgoing, part.value);
    if (outgoing.destroyed) return;
  }
}

/** What a promise has come to, if it has. */
async function settledNow<T>(promise: Promise<T>): Promise<T | undefined> {
  return await Promise.race([promise, Promise.resolve().then(() => undefined)]);
}

async function write(outgoing: ServerResponse, bytes: Uint8Array): Promise<void> {
  for (let from = 0; from < bytes.length; from += WRITE_BYTES_MAX) {
    const hasRoom = outgoing.write(bytes.subarray(from, from + WRITE_BYTES_MAX));
    if (!hasRoom && !outgoing.destroyed) await drained(outgoing);
    if (outgoing.destroyed) return;
  }
}

function drained(outgoing: ServerResponse): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      outgoing.off("drain", done);
      outgoing.off("close", done);
      resolve();
    };
    outgoing.once("drain", done);
    outgoing.once("close", done);
  });
}
