/**
 * A real Prometheus over nodes under test, with the rules that odist ships.
 *
 * @module
 */
import { join } from "node:path";
import { parse, stringify } from "yaml";
import { OBSERVABILITY_FOLDER } from "./observability.ts";

/** One series that a query gave. */
export interface Sample {
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

/** One alert that is pending or fires. */
export interface SeenAlert {
  readonly labels: Readonly<Record<string, string>>;
  readonly state: string;
}

interface Config {
  readonly scrape_configs: readonly Record<string, unknown>[];
}

/** Scrapes once a second. Disposing ends it and deletes its folder. */
export class TestPrometheus implements AsyncDisposable {
  readonly #child: Deno.ChildProcess;
  readonly #folder: string;
  readonly #origin: string;

  private constructor(child: Deno.ChildProcess, folder: string, origin: string) {
    this.#child = child;
    this.#folder = folder;
    this.#origin = origin;
  }

  /** The shipped configuration, with the nodes at `targets` (`host:port`) in the place of its example. */
  static async start(targets: readonly string[]): Promise<TestPrometheus> {
    const folder = await Deno.makeTempDir({ prefix: "odist-prometheus-" });
    const shipped = (name: string) => join(OBSERVABILITY_FOLDER, name);
    const config = parse(await Deno.readTextFile(shipped("prometheus.yml"))) as Config;
    const [scrape] = config.scrape_configs;
    const text = stringify({
      ...config,
      global: { scrape_interval: "1s", evaluation_interval: "1s" },
      scrape_configs: [{ ...scrape, static_configs: [{ targets }] }],
    });
    await Deno.writeTextFile(join(folder, "prometheus.yml"), text);
    await Deno.copyFile(shipped("alerts.yml"), join(folder, "alerts.yml"));
    const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    const { port } = listener.addr;
    listener.close();
    const child = new Deno.Command("prometheus", {
      args: [
        `--config.file=${join(folder, "prometheus.yml")}`,
        `--storage.tsdb.path=${join(folder, "data")}`,
        `--web.listen-address=127.0.0.1:${port}`,
        "--log.level=error",
      ],
      stdin: "null",
      stdout: "null",
      stderr: "inherit",
    }).spawn();
    return new TestPrometheus(child, folder, `http://127.0.0.1:${port}`);
  }

  /** Undefined while it starts. @throws Error when it refuses the query. */
  async query(expr: string): Promise<readonly Sample[] | undefined> {
    const body = await this.#get(`/api/v1/query?query=${encodeURIComponent(expr)}`);
    const { result } = body?.data as {
      result: { metric: Record<string, string>; value: [number, string] }[];
    } ?? {};
    return result?.map(({ metric, value: [, text] }) => ({ labels: metric, value: Number(text) }));
  }

  /** What is pending or fires now. */
  async alerts(): Promise<readonly SeenAlert[]> {
    const body = await this.#get("/api/v1/alerts");
    return (body?.data as { alerts: SeenAlert[] } | undefined)?.alerts ?? [];
  }

  async [Symbol.asyncDispose](): Promise<void> {
    try {
      this.#child.kill("SIGKILL");
    } catch (error) {
      // It has ended already.
      if (!(error instanceof TypeError)) throw error;
    }
    await this.#child.status;
    await Deno.remove(this.#folder, { recursive: true });
  }

  async #get(path: string): Promise<{ readonly data?: unknown } | undefined> {
    let response: Response;
    try {
      response = await fetch(`${this.#origin}${path}`);
    } catch {
      return undefined;
    }
    const text = await response.text();
    if (response.status === 503) return undefined;
    if (!response.ok) throw new Error(`${path}: ${text}`);
    return JSON.parse(text);
  }
}
