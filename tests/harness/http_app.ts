import { NO_LIMITS } from "../../src/core/queue/mod.ts";
import type { ClusterAdmin, KeyAccess, KeyLimits } from "../../src/ports/mod.ts";
import { parseScopes, type Scope } from "../../src/protocol/mod.ts";
import {
  createHttpApp,
  type HttpApp,
  type HttpParts,
  type HttpSettings,
} from "../../src/http/mod.ts";
import { MemoryResponses } from "./kept_responses.ts";
import {
  type ClientScript,
  RecordingTelemetry,
  ScriptedClient,
  STILL_CLOCK,
} from "./scripted_client.ts";

/** The one of the machine that {@link appUnderTest} stands on which others can reach. */
export const OWN_ADDRESS = "192.168.1.10";

/** An app over a scripted client, and everything a test wants to look at. */
export interface AppUnderTest {
  readonly app: HttpApp;
  readonly parts: HttpParts;
  readonly client: ScriptedClient;
  readonly telemetry: RecordingTelemetry;
  /** Sends `body` (text as it is, anything else as JSON) and returns the answer. */
  send(method: string, path: string, body?: unknown): Promise<Response>;
}

export function appUnderTest(
  options: {
    script?: ClientScript;
    words?: readonly string[];
    config?: Partial<HttpSettings>;
    admin?: ClusterAdmin;
    access?: KeyAccess;
    attribute?: HttpParts["attribute"];
    fetchImage?: HttpParts["fetchImage"];
    responses?: HttpParts["responses"];
    elsewhere?: HttpParts["elsewhere"];
    page?: HttpParts["page"];
    clock?: HttpParts["clock"];
  } = {},
): AppUnderTest {
  const client = new ScriptedClient(options);
  const telemetry = new RecordingTelemetry();
  const parts: HttpParts = {
    client,
    responses: options.responses ?? new MemoryResponses(),
    ...(options.elsewhere === undefined ? {} : { elsewhere: options.elsewhere }),
    ...(options.admin === undefined ? {} : { admin: options.admin }),
    ...(options.access === undefined ? {} : { access: options.access }),
    ...(options.attribute === undefined ? {} : { attribute: options.attribute }),
    ...(options.page === undefined ? {} : { page: options.page }),
    ...(options.fetchImage === undefined ? {} : { fetchImage: options.fetchImage }),
    metrics: telemetry,
    log: telemetry,
    clock: options.clock ?? STILL_CLOCK,
    config: {
      bindAddress: "127.0.0.1",
      ownNames: ["mybox"],
      isOwnAddress: (address) => address === OWN_ADDRESS,
      allowedHosts: [],
      extraOrigins: [],
      bodyBytesMax: 64 * 1024,
      mediaBytesMax: 256 * 1024,
      nodeName: "ada",
      hiddenFolders: [
        { path: "/home/ada/.odist/models", shownAs: "{models}" },
        { path: "/home/ada/.odist", shownAs: "{data}" },
      ],
      metrics: true,
      ...options.config,
    },
    version: "9.8.7",
  };
  const app = createHttpApp(parts);
  return {
    app,
    parts,
    client,
    telemetry,
    send: (method, path, body) => app.fetch(httpRequest(method, path, body)),
  };
}

/** A request as a client on this machine sends it. */
export function httpRequest(method: string, path: string, body?: unknown): Request {
  const text = body === undefined || typeof body === "string" ? body : JSON.stringify(body);
  return new Request(`http://localhost:11434${path}`, {
    method,
    ...(text === undefined ? {} : { body: text }),
  });
}

/** Keys are called by their scopes, with `+` between them; `open` is what private networks may do without one. */
export function scopedAccess(
  open: readonly Scope[],
  limits: Partial<KeyLimits> = {},
): KeyAccess {
  return {
    openScopes: (network) => network === "private" ? open : [],
    judge: (key) => {
      const scopes = parseScopes(key.split("+"));
      if (scopes === undefined) {
        return Promise.resolve({ kind: "refused", reason: `"${key}" was revoked` });
      }
      const grant = {
        keyId: `k-${key}`,
        label: "laptop",
        scopes,
        limits: { ...NO_LIMITS, ...limits },
      };
      return Promise.resolve({ kind: "granted", grant });
    },
  };
}
