/**
 * A tiny HTTP server that stands in for a node where only the command line is tested: it answers from a script and
 * keeps what it was asked.
 *
 * @module
 */

/** One request as it came. */
export interface AskedRequest {
  /** `POST /api/show`. */
  readonly route: string;
  /** Parsed JSON, or the text where it is none; undefined without a body. */
  readonly body: unknown;
}

/** What a route answers: JSON, lines of NDJSON, or a whole response. */
export type ScriptedAnswer =
  | {
    readonly json: unknown;
    readonly status?: number;
    readonly headers?: Readonly<Record<string, string>>;
  }
  | { readonly lines: readonly unknown[] | AsyncIterable<unknown> };

/** Answers by route; a function sees the request's body. */
export type Script = Readonly<
  Record<string, ScriptedAnswer | ((body: unknown) => ScriptedAnswer)>
>;

/** A node that answers from a script on a free loopback port. */
export class ScriptedNode implements AsyncDisposable {
  readonly asked: AskedRequest[] = [];
  readonly #server: Deno.HttpServer<Deno.NetAddr>;

  constructor(script: Script) {
    const options = { hostname: "127.0.0.1", port: 0, onListen: () => {} };
    this.#server = Deno.serve(options, (request) => this.#answer(script, request));
  }

  /** `host:port`, as `--host` takes it. */
  get host(): string {
    return `127.0.0.1:${this.#server.addr.port}`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#server.shutdown();
  }

  async #answer(script: Script, request: Request): Promise<Response> {
    const route = `${request.method} ${new URL(request.url).pathname}`;
    const body = parse(await request.text());
    this.asked.push({ route, body });
    const row = script[route];
    if (row === undefined) {
      return Response.json({ error: `no script for ${route}` }, { status: 500 });
    }
    const answer = typeof row === "function" ? row(body) : row;
    if ("lines" in answer) return new Response(ReadableStream.from(encodeLines(answer.lines)));
    if (request.method === "HEAD") return new Response(null, { status: answer.status ?? 200 });
    const { json, status = 200, headers = {} } = answer;
    return Response.json(json, { status, headers });
  }
}

async function* encodeLines(
  lines: readonly unknown[] | AsyncIterable<unknown>,
): AsyncGenerator<Uint8Array> {
  const encoder = new TextEncoder();
  for await (const line of lines) yield encoder.encode(`${JSON.stringify(line)}\n`);
}

function parse(text: string): unknown {
  try {
    return text === "" ? undefined : JSON.parse(text);
  } catch {
    return text;
  }
}
