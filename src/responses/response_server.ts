import { PeerError } from "../base/mod.ts";
import {
  answerPeer,
  keptResponseShape,
  MessageStream,
  required,
  responseOpeningShape,
  type StreamHandler,
} from "../calls/mod.ts";
import type { Clock, PeerStream } from "../ports/mod.ts";
import { isResponseId, type ResponseFolder } from "./response_folder.ts";
import { RESPONSE_LIFE_MS } from "./shared_responses.ts";

/** What a server answers from. */
export interface ResponseServerParts {
  readonly folder: ResponseFolder;
  readonly clock: Pick<Clock, "nowMs">;
  /** Of this process; see {@link KeptResponse}. */
  readonly run: string;
}

/** Keeps, finds and drops responses for other nodes. */
export class ResponseServer implements StreamHandler {
  /** Each may bring 8 MiB. */
  readonly streamsPerPeerMax = 32;
  readonly #parts: ResponseServerParts;

  constructor(parts: ResponseServerParts) {
    this.#parts = parts;
  }

  async serve(stream: PeerStream, opening: unknown): Promise<void> {
    const { act, id, expiresAtMs } = required(responseOpeningShape, opening);
    if (!isResponseId(id)) throw new PeerError("malformed_frame", "No id of a response");
    const { folder, run } = this.#parts;
    switch (act) {
      case "keep":
        return await this.#keep(stream, { id, expiresAtMs });
      case "find":
        return await answerPeer(stream, async () => {
          return { kind: "found", response: await folder.find(id), makerRun: run };
        });
      case "remove":
        return await answerPeer(stream, async () => {
          return { kind: "removed", wasHere: await folder.remove(id) };
        });
      default:
        throw new PeerError("malformed_frame", `Nothing is done with a response by "${act}"`);
    }
  }

  async #keep(
    stream: PeerStream,
    wanted: { readonly id: string; readonly expiresAtMs: number | undefined },
  ): Promise<void> {
    const response = required(keptResponseShape, await new MessageStream(stream).read());
    await answerPeer(stream, async () => {
      // Nobody may have it kept for longer, whatever his clock says.
      const latestMs = this.#parts.clock.nowMs() + RESPONSE_LIFE_MS;
      const expiresAtMs = Math.min(wanted.expiresAtMs ?? latestMs, latestMs);
      await this.#parts.folder.keep(wanted.id, response, expiresAtMs);
      return { kind: "kept" };
    });
  }
}
