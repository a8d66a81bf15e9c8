import {
  type ConfigSources,
  type LoadedConfig,
  type OptionName,
  readConfig,
} from "../config/mod.ts";
import { parseAddress, splitAddresses } from "../protocol/mod.ts";
import { NodeClient, remoteSender } from "./client/mod.ts";
import type { Terminal } from "./terminal/mod.ts";

/** What every command is given. */
export interface CliContext {
  readonly env: ConfigSources["env"];
  readonly version: string;
  readonly terminal: Terminal;
  /** The command line of this very process, with other flags for Deno. */
  readonly ownCommand: (flags: readonly string[]) => readonly string[];
  /** Command line of a runner process. */
  readonly runnerCommand: readonly string[];
  /** Command line of a process that renders templates. */
  readonly templateWorkerCommand: readonly string[];
  /** The model that ships with the program; a GGUF file. */
  readonly embeddedModelPath: string;
  /** Where the page's files are, as `deno task ui` makes them. */
  readonly pageFolder: string;
  /** Milliseconds since the Unix epoch. */
  nowMs(): number;
  /** Aborts with a `TimeoutError` after so many milliseconds. */
  signalAfter(delayMs: number): AbortSignal;
}

/** Options of a command that talks to a node. */
export interface ClientOptions {
  readonly host?: string;
  readonly key?: string;
  /** Where the key is. */
  readonly keyFile?: string;
  readonly json?: boolean;
}

/** Merges a command's flags with everything else that configures the program. */
export function configFor(
  context: CliContext,
  given: {
    readonly flags?: Partial<Record<OptionName, string>>;
    readonly path?: string | undefined;
  },
): LoadedConfig {
  return readConfig({
    flags: given.flags ?? {},
    env: context.env,
    ...(given.path === undefined ? {} : { path: given.path }),
  });
}

/**
 * The node that `--host`, the environment or the file names. `signal` ends what it is asked; `onStale` is called with answers
 * that are one node's knowledge, where the user is not to be told.
 */
export function clientFor(
  context: CliContext,
  options: ClientOptions & { readonly signal?: AbortSignal; readonly onStale?: () => void },
): NodeClient {
  const flags = {
    ...(options.host === undefined ? {} : { host: options.host }),
    ...(options.key === undefined ? {} : { apiKey: options.key }),
    ...(options.keyFile === undefined ? {} : { apiKeyFile: options.keyFile }),
  };
  const { http: { host }, cli: { apiKey }, storage } = configFor(context, { flags }).config;
  const { dataFolder } = storage;
  /** Other members are asked on the port between nodes, which wants a key. */
  const senderAt = (addresses: string) => {
    const [address = ""] = splitAddresses(addresses);
    const parsed = parseAddress(address);
    return parsed &&
      remoteSender({ ...host, ...parsed, scheme: "odist" }, { keyText: apiKey, dataFolder });
  };
  const common = { signal: options.signal, onStale: options.onStale ?? staleNotice(context) };
  if (host.scheme === "odist") {
    const carry = remoteSender(host, { keyText: apiKey, dataFolder });
    return new NodeClient(host, { ...common, carry, senderAt });
  }
  const withKey = apiKey === "" ? {} : { key: apiKey, senderAt };
  return new NodeClient(host, { ...common, ...withKey });
}

/** Says once that what follows is one node's knowledge. */
function staleNotice({ terminal }: CliContext): () => void {
  let wasSaid = false;
  return () => {
    if (wasSaid) return;
    wasSaid = true;
    terminal.err.write(
      "No quorum of the cluster answers: this is what the asked node knows (odist status says more).\n",
    );
  };
}
