/**
 * HTTP of whole nodes in virtual time: what their clients send and read.
 *
 * @module
 */
import assert from "node:assert/strict";
import { createHttpApp, type HttpApp } from "../../src/http/mod.ts";
import { appUnderTest, httpRequest, scopedAccess } from "./http_app.ts";
import { NodeWorld } from "./node_world.ts";

/** What the nodes take of a request. */
const REQUEST_BYTES_MAX = 2 * 1024 * 1024;

interface Asking {
  readonly method?: string;
  readonly path: string;
  readonly body?: unknown;
  readonly headers?: Readonly<Record<string, string>>;
}

/** The nodes' own HTTP, over what the nodes are made of. */
export class Apps {
  readonly world: NodeWorld;
  readonly #apps = new Map<number, HttpApp>();
  readonly #readers = new WeakMap<Response, ReadableStreamDefaultReader<Uint8Array>>();

  constructor(world: NodeWorld) {
    this.world = world;
  }

  static async start(count: number): Promise<Apps> {
    const world = await NodeWorld.start(count);
    const numbers = Array.from({ length: count }, (_, index) => index + 1);
    await world.createModel(...numbers);
    const apps = new Apps(world);
    for (const number of numbers) apps.boot(number);
    return apps;
  }

  /** What keeps nodes from stopping. */
  get openRequests(): number {
    return [...this.#apps.values()].reduce((sum, app) => sum + app.openRequests(), 0);
  }

  boot(number: number): void {
    const { api, responses, journals, elsewhere, machinery } = this.world.node(number);
    const config = { bodyBytesMax: REQUEST_BYTES_MAX };
    const { parts } = appUnderTest({ access: scopedAccess(["use"]), config });
    this.#apps.set(
      number,
      createHttpApp({
        ...{ ...parts, client: api, responses, journals, elsewhere },
        clock: machinery.clock,
        log: this.world.machine(number).telemetry,
      }),
    );
  }

  async ask(
    number: number,
    { method = "GET", path, body, headers = { authorization: "Bearer use" } }: Asking,
    gone?: AbortSignal,
  ) {
    const request = httpRequest(method, path, body);
    for (const [name, value] of Object.entries(headers)) request.headers.set(name, value);
    const app = this.#apps.get(number);
    assert.ok(app !== undefined);
    return await this.world.settle(app.fetch(request, gone === undefined ? {} : { gone }));
  }

  /** What comes of an answer, up to so many parts; `isBroken` = it broke off. */
  async read(response: Response, parts = Infinity) {
    const reader = this.#readers.get(response) ?? response.body?.getReader();
    if (reader !== undefined) this.#readers.set(response, reader);
    let text = "";
    for (let count = 0; count < parts; count++) {
      const next = await this.world.settle(
        reader?.read().catch(() => undefined) ?? Promise.resolve(undefined),
      );
      if (next === undefined) return { text, isBroken: true };
      if (next.done) return { text, isBroken: false };
      text += new TextDecoder().decode(next.value);
    }
    return { text, isBroken: false, leave: () => reader?.cancel() };
  }
}
