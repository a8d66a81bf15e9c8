import type { Command } from "commander";
import { printableText, RequestError } from "../../base/mod.ts";
import type { CliContext } from "../context.ts";
import { addExamples, addJsonOption } from "../options.ts";
import { printJson } from "../terminal/mod.ts";
import { findServices, isThere, ownFile, packagerOf, tell } from "./places.ts";
import {
  compareVersions,
  download,
  fileForThisMachine,
  readRelease,
  type Release,
} from "./release.ts";

interface UpgradeOptions {
  readonly check?: boolean;
  readonly from?: string;
  readonly json?: boolean;
}

/** How long looking for a release may take. */
const CHECK_TIMEOUT_MS = 30_000;
/** How long a release may take to arrive: 200 MiB at 2 Mbit/s. */
const DOWNLOAD_TIMEOUT_MS = 15 * 60_000;

export function define(command: Command, context: CliContext): void {
  command.description(
    "Replace this program by its newest release: compared with its SHA-256, and started once before it takes the old one's place",
  );
  command.option("--check", "Say whether there is a newer one, and change nothing");
  command.option(
    "--from <PLACE>",
    "Folder or address with a release (default: where they are published)",
  );
  addJsonOption(command);
  addExamples(
    command,
    "odist upgrade --check",
    "odist upgrade",
    "odist upgrade --from /mnt/usb/odist",
  );
  command.action(async (options: UpgradeOptions) => {
    const release = await readRelease(options.from, context.signalAfter(CHECK_TIMEOUT_MS));
    const isNewer = compareVersions(release.version, context.version) > 0;
    if (!isNewer || options.check) return report(context, release, { ...options, isNewer });
    const file = replaceableFile(context);
    await replace(context, release, file);
    const told = restartServices(context, file);
    if (options.json) {
      return printJson(context, { version: release.version, was: context.version, file, ...told });
    }
    context.terminal.out.write(
      `${file} is odist ${release.version} now; it was ${context.version}\n`,
    );
    if (told.restarted.length > 0) return;
    context.terminal.out.write(
      "A node that runs goes on as it is until it is started again: one machine after the other\n",
    );
  });
}

function report(
  context: CliContext,
  { version, place }: Release,
  { json, isNewer }: UpgradeOptions & { readonly isNewer: boolean },
): void {
  if (json) return printJson(context, { version: context.version, released: version, isNewer });
  context.terminal.out.write(
    isNewer
      ? `odist ${version} is there, this is ${context.version}: odist upgrade\n`
      : `odist ${context.version} is the newest: ${place.href} has ${version}\n`,
  );
}

/** @throws RequestError `bad_usage` where the program is not this command's to replace. */
function replaceableFile({ env }: CliContext): string {
  const file = ownFile(env);
  if (file === undefined) {
    throw new RequestError(
      "bad_usage",
      "This is no installed file: it runs from its source tree, which git upgrades",
    );
  }
  const packager = packagerOf(file);
  if (packager !== undefined) {
    throw new RequestError("bad_usage", `${file} belongs to ${packager}, which upgrades it`);
  }
  // What a link leads to may be shared with others who start it by another name.
  return Deno.realPathSync(file);
}

async function replace(context: CliContext, release: Release, file: string): Promise<void> {
  const wanted = fileForThisMachine(release);
  const path = `${file}.${crypto.randomUUID()}${Deno.build.os === "windows" ? ".exe" : ""}`;
  await download(release, wanted, { path, signal: context.signalAfter(DOWNLOAD_TIMEOUT_MS) });
  try {
    if (Deno.build.os !== "windows") Deno.chmodSync(path, 0o755);
    tryOut(context, path, release.version);
    putInPlace(path, file);
  } catch (error) {
    await Deno.remove(path);
    throw error;
  }
}

/** The new program must start here and read this machine's configuration before the old one goes. */
function tryOut({ terminal }: CliContext, path: string, version: string): void {
  const said = sayOf(path, ["version"]);
  if (said.out.trim() !== `odist version ${version}`) {
    throw new RequestError(
      "invalid_request",
      `Release ${version} does not start here, so nothing was replaced: ${said.err || said.out}`,
    );
  }
  const config = sayOf(path, ["config", "--json"]);
  if (!config.success) {
    throw new RequestError(
      "invalid_config",
      `Release ${version} cannot use this machine's configuration, so nothing was replaced: ${config.err}`,
    );
  }
  for (const warning of JSON.parse(config.out).warnings) {
    terminal.err.write(`Warning: ${printableText(String(warning))}\n`);
  }
}

function sayOf(path: string, args: readonly string[]) {
  const { success, stdout, stderr } = new Deno.Command(path, { args: [...args], stdin: "null" })
    .outputSync();
  const decoder = new TextDecoder();
  return { success, out: decoder.decode(stdout), err: decoder.decode(stderr).trim() };
}

function putInPlace(path: string, file: string): void {
  // Windows lets nobody replace a program that runs, but move it.
  if (Deno.build.os === "windows") {
    const old = `${file}.old`;
    if (isThere(old)) Deno.removeSync(old);
    Deno.renameSync(file, old);
  }
  Deno.renameSync(path, file);
}

/** A node in service is stopped in order and started with the new program. */
function restartServices({ env, terminal }: CliContext, file: string) {
  const restarted: string[] = [];
  for (const { scope, restart } of findServices(file, env.HOME ?? env.USERPROFILE ?? "")) {
    const failure = tell(restart);
    if (failure === undefined) restarted.push(scope);
    else terminal.err.write(`Not restarted (${restart.join(" ")}): ${printableText(failure)}\n`);
  }
  return { restarted };
}
