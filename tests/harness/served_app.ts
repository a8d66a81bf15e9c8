import { CONNECTION_TIMES, type HttpListener, listenHttp } from "../../src/http/mod.ts";
import type { Clock } from "../../src/ports/mod.ts";
import { systemClock } from "../../src/node/system_ports.ts";
import { type AppUnderTest, appUnderTest } from "./http_app.ts";
import type { ClientScript } from "./scripted_client.ts";

/** More than any test opens at once. */
const CONNECTIONS_MAX = 64;

/** An app over a scripted client on a free port of this machine, until disposed. */
export interface ServedApp extends AppUnderTest, AsyncDisposable {
  readonly origin: string;
}

/** `clock` measures how connections get on. */
export async function serveApp(
  script: ClientScript,
  clock: Clock = systemClock,
): Promise<ServedApp> {
  const tested = appUnderTest({ script });
  const listener = await listenTo(tested, clock);
  return {
    ...tested,
    origin: originOf(listener),
    async [Symbol.asyncDispose]() {
      await listener.shutdown();
    },
  };
}

/** Every connection counts as this machine's own. */
export function listenTo(
  { app, telemetry }: Pick<AppUnderTest, "app" | "telemetry">,
  clock: Clock = systemClock,
): Promise<HttpListener> {
  return listenHttp({
    hostname: "127.0.0.1",
    port: 0,
    clock,
    log: telemetry,
    metrics: telemetry,
    limits: {
      ...CONNECTION_TIMES,
      connectionsMax: CONNECTIONS_MAX,
      connectionsPerAddressMax: CONNECTIONS_MAX,
    },
    isOwn: () => true,
    answer: (request, { address: _, ...connection }) => app.fetch(request, connection),
  });
}

export function originOf({ address }: HttpListener): string {
  return `http://127.0.0.1:${address.port}`;
}
