import { CONNECTION_TIMES, listenHttp } from "../../src/http/mod.ts";
import type { Clock } from "../../src/ports/mod.ts";
import { systemClock } from "../../src/node/system_ports.ts";
import { type AppUnderTest, appUnderTest } from "./http_app.ts";
import type { ClientScript } from "./scripted_client.ts";

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
  const listener = await listenHttp({
    hostname: "127.0.0.1",
    port: 0,
    clock,
    log: tested.telemetry,
    metrics: tested.telemetry,
    limits: { ...CONNECTION_TIMES, connectionsMax: 16, connectionsPerAddressMax: 16 },
    isOwn: () => true,
    answer: (request, { address: _, ...connection }) => tested.app.fetch(request, connection),
  });
  return {
    ...tested,
    origin: `http://127.0.0.1:${listener.address.port}`,
    async [Symbol.asyncDispose]() {
      await listener.shutdown();
    },
  };
}
