import { createHttpApp } from "../../src/http/app.ts";
import type { HttpApp } from "../../src/http/mod.ts";
import type { ChatRequest, QueuePlace } from "../../src/ports/mod.ts";
import { HandClock } from "./hand_clock.ts";
import { appUnderTest, httpRequest } from "./http_app.ts";

/** An app whose chats wait for a slot until they are let go, or refused one. */
export class WaitingChats {
  readonly clock = new HandClock();
  readonly app: HttpApp;
  /** Where all of them stand; undefined = none waits any more. */
  place: QueuePlace | undefined = { position: 3, etaMs: 12_340 };
  /** A client went away. */
  hasLeft = false;
  /** How often somebody asked where a request stands. */
  timesTold = 0;
  readonly #held = Promise.withResolvers<void>();
  readonly #begun = Promise.withResolvers<void>();

  constructor() {
    const { parts, client } = appUnderTest();
    const chat = client.chat.bind(client);
    client.chat = async (request, signal) => {
      await this.#wait(request, signal);
      return await chat(request, signal);
    };
    this.#held.promise.catch(() => {});
    this.app = createHttpApp({ ...parts, clock: this.clock });
  }

  /** Resolves when one waits. */
  get begun(): Promise<void> {
    return this.#begun.promise;
  }

  letGo(): void {
    this.place = undefined;
    this.#held.resolve();
  }

  refuse(reason: unknown): void {
    this.#held.reject(reason);
  }

  /** `status`: as the header has it; "" = without. */
  ask(path: string, status = "stream"): Promise<Response> {
    const messages = [{ role: "user", content: "hi" }];
    const body = { model: "tiny", messages, stream: true, max_tokens: 5 };
    const request = httpRequest("POST", path, body);
    if (status !== "") request.headers.set("x-odist-status", status);
    return this.app.fetch(request);
  }

  /** As a node's own, which answers with a stream once there is something in it. */
  async #wait({ account }: ChatRequest, signal: AbortSignal): Promise<void> {
    const place = () => {
      this.timesTold++;
      return this.place;
    };
    if (this.place !== undefined) {
      account?.onQueued?.({ told: this.place, place, waitedMs: () => 0 });
    }
    this.#begun.resolve();
    const gone = Promise.withResolvers<never>();
    gone.promise.catch(() => {});
    signal.addEventListener("abort", () => {
      this.hasLeft = true;
      gone.reject(signal.reason);
    });
    await Promise.race([this.#held.promise, gone.promise]);
  }
}
