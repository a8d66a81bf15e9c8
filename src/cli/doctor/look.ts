import { statfsSync } from "node:fs";
import { dirname, join } from "node:path";
import { errorMessage, printableText, RequestError } from "../../base/mod.ts";
import { type Config, formatHost } from "../../config/mod.ts";
import { chooseBackend, openBackendFolder, probeNatives } from "../../inference/backends/mod.ts";
import { isJsonObject, NodeClient, textOf } from "../client/mod.ts";
import type { CliContext } from "../context.ts";
import {
  type Finding,
  judgeClock,
  judgeDevices,
  judgeDisk,
  judgeMemory,
  judgeNatives,
  judgeOpenFiles,
  judgeOwnLibraries,
  readOpenFilesLimit,
} from "./checks.ts";

const NODE_TIMEOUT_MS = 2_000;

/** Every check, in the order people should read them. Looks only; leaves nothing behind. */
export async function lookAround(context: CliContext, config: Config): Promise<Finding[]> {
  const node = await lookAtNode(config);
  return [
    node.finding,
    lookAtClusterPort(config, node.clockMs === undefined ? "no_node" : "node_answers"),
    lookAtFolder("data folder", config.storage.dataFolder),
    lookAtFolder("models folder", config.storage.modelsFolder),
    lookAtDisk(config.storage.modelsFolder),
    judgeMemory(Deno.systemMemoryInfo().available, config.scheduler.memoryReserveBytes),
    ...await lookAtNatives(context.runnerCommand, config),
    lookAtEmbeddedModel(context.embeddedModelPath),
    judgeClock(context.nowMs(), node.clockMs),
    judgeOpenFiles(findOpenFilesLimit()),
    { name: "cores", state: "ok", text: `${navigator.hardwareConcurrency} for this process` },
  ];
}

/** A port is well when it is free, or when a node already answers there. */
async function lookAtNode(
  config: Config,
): Promise<{ readonly finding: Finding; readonly clockMs?: number }> {
  const { host } = config.http;
  const address = formatHost(host);
  const name = "port";
  if (host.scheme === "odist") {
    const advice = "Unset ODIST_HOST where a node is to run; commands can be told with --host.";
    return { finding: { name, state: "broken", text: `${address} is for commands alone`, advice } };
  }
  try {
    Deno.listen({ hostname: host.hostname, port: host.port }).close();
    return { finding: { name, state: "ok", text: `${address} is free for a node` } };
  } catch (error) {
    if (!(error instanceof Deno.errors.AddrInUse)) {
      const text = `Cannot listen on ${address}: ${printableText(errorMessage(error))}`;
      const advice = "Choose an address of this machine and a port above 1023 with --host.";
      return { finding: { name, state: "broken", text, advice } };
    }
  }
  const answer = await askVersion(config);
  if (answer !== undefined) {
    const text = `a node answers at ${address}, version ${answer.version}`;
    return {
      finding: { name, state: "ok", text },
      ...(answer.clockMs === undefined ? {} : { clockMs: answer.clockMs }),
    };
  }
  const text = `${address} is taken by a program that is no node`;
  const advice = `Stop it, or choose another port: --host ${host.hostname}:${host.port + 1}`;
  return { finding: { name, state: "broken", text, advice } };
}

/** The UDP port of the node that answers is taken by that very node. */
function lookAtClusterPort(config: Config, seen: "node_answers" | "no_node"): Finding {
  const { hostname, port } = config.cluster.listenAddress;
  const address = `${formatHost(config.cluster.listenAddress)} (UDP)`;
  const name = "cluster port";
  try {
    Deno.listenDatagram({ transport: "udp", hostname, port }).close();
    return { name, state: "ok", text: `${address} is free for a node` };
  } catch (error) {
    if (error instanceof Deno.errors.AddrInUse) {
      if (seen === "node_answers") return { name, state: "ok", text: `${address} is in use` };
      const advice = `Stop it, or choose another port: --listen ${hostname}:${port + 1}`;
      return { name, state: "broken", text: `${address} is taken by another program`, advice };
    }
    const advice = "Choose an address of this machine and a port above 1023 with --listen.";
    const text = `Cannot listen on ${address}: ${printableText(errorMessage(error))}`;
    return { name, state: "broken", text, advice };
  }
}

async function askVersion(
  config: Config,
): Promise<{ readonly version: string; readonly clockMs: number | undefined } | undefined> {
  const client = new NodeClient(config.http.host);
  try {
    const response = await fetch(`${client.url}/api/version`, {
      signal: AbortSignal.timeout(NODE_TIMEOUT_MS),
    });
    const clockMs = Date.parse(response.headers.get("date") ?? "");
    // Only its version is taken, by textOf.
    // deno-lint-ignore odist-cli/printable
    const body: unknown = await response.json();
    // Ollama itself has no field of ours; then its own version tells as much.
    const version = isJsonObject(body)
      ? textOf(body, "odist") ?? textOf(body, "version")
      : undefined;
    if (version === undefined) return undefined;
    return { version, clockMs: Number.isNaN(clockMs) ? undefined : clockMs };
  } catch {
    return undefined; // Whatever listens there, it does not speak like a node.
  }
}

/** The folder, or the nearest one above it that exists, must take new files. */
function lookAtFolder(name: string, folder: string): Finding {
  const place = nearestFolder(folder);
  const advice = `Make it writable for this user, or choose another with --${name.split(" ")[0]}.`;
  try {
    if (!Deno.statSync(place).isDirectory) {
      return { name, state: "broken", text: `${place} is no folder`, advice };
    }
    Deno.removeSync(Deno.makeTempFileSync({ dir: place, prefix: ".odist-doctor-" }));
  } catch (error) {
    return {
      name,
      state: "broken",
      text: `Cannot write: ${printableText(errorMessage(error))}`,
      advice,
    };
  }
  const text = place === folder ? folder : `${folder} (made on the first start)`;
  return { name, state: "ok", text };
}

function lookAtDisk(folder: string): Finding {
  const place = nearestFolder(folder);
  try {
    const { bavail, bsize } = statfsSync(place);
    return judgeDisk("disk", place, bavail * bsize);
  } catch (error) {
    return {
      name: "disk",
      state: "warning",
      text: `Cannot tell: ${printableText(errorMessage(error))}`,
    };
  }
}

/** Asks a runner process, which may die of libraries that don't fit this machine. */
async function lookAtNatives(command: readonly string[], config: Config): Promise<Finding[]> {
  const added = openBackendFolder(config.storage.dataFolder, { command, env: {} });
  try {
    const { nativeFolder, uses, named } = chooseBackend(added, config.engine.gpu);
    const env = nativeFolder === undefined ? {} : { ODIST_NATIVE_DIR: nativeFolder };
    const probed = await probeNatives({ command, env });
    const { build, confinement, own } = probed;
    const devices = probed.devices.filter(({ name }) => uses(name));
    const setAside = added.list().filter(({ state }) => state === "set_aside")
      .map(({ backend, reason }) => ({ library: backend, reason }));
    const missing = named.filter((name) => !devices.some((device) => device.name === name))
      .map((name) => ({ library: name, reason: "--gpu names it, and it isn't there" }));
    const unusable = [...probed.unusable, ...setAside, ...missing];
    return [
      judgeNatives(build, confinement),
      judgeOwnLibraries(Object.entries(own)),
      ...judgeDevices(devices, unusable),
    ];
  } catch (error) {
    const text = printableText(errorMessage(error));
    const isSetting = error instanceof RequestError;
    const advice = isSetting
      ? "Add it, or choose another with --gpu."
      : "Install odist anew for this kind of machine; unset ODIST_NATIVE_DIR if it is set.";
    return [{ name: "llama.cpp", state: "broken", text, advice }];
  }
}

function lookAtEmbeddedModel(path: string): Finding {
  const name = "tiny model";
  try {
    const { size } = Deno.statSync(path);
    return { name, state: "ok", text: `${path} (${size} bytes)` };
  } catch (error) {
    const advice = "Install odist anew; unset ODIST_EMBEDDED_MODEL if it is set.";
    return { name, state: "warning", text: printableText(errorMessage(error)), advice };
  }
}

function findOpenFilesLimit(): number | undefined {
  try {
    return readOpenFilesLimit(Deno.readTextFileSync("/proc/self/limits"));
  } catch {
    return undefined; // Only Linux tells it in a file.
  }
}

function nearestFolder(folder: string): string {
  let place = folder;
  while (dirname(place) !== place && !exists(place)) place = dirname(place);
  return place;
}

function exists(path: string): boolean {
  try {
    Deno.lstatSync(join(path, "."));
    return true;
  } catch {
    return false; // Missing or hidden: the folder above it decides.
  }
}
