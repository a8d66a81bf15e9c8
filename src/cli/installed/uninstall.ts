import type { Command } from "commander";
import { join } from "node:path";
import { errorMessage, formatTable, printableText, RequestError } from "../../base/mod.ts";
import { type CliContext, clientFor, configFor } from "../context.ts";
import { ExitRequest } from "../exit_request.ts";
import { addExamples, addJsonOption } from "../options.ts";
import { printJson } from "../terminal/mod.ts";
import {
  findServices,
  type FoundService,
  isOwn,
  isThere,
  ownFile,
  packagerOf,
  tell,
} from "./places.ts";

/** How long a node may take to say that it still runs. */
const ASK_TIMEOUT_MS = 2_000;

/** What is there, by what becomes of it. */
interface Plan {
  readonly services: readonly FoundService[];
  readonly removes: readonly Entry[];
  readonly keeps: readonly Entry[];
}

interface Entry {
  readonly path: string;
  readonly what: string;
}

export function define(command: Command, context: CliContext): void {
  command.description(
    "Remove this program, what it unpacked and its service. Models, the node's identity and its configuration stay, and where they are is said",
  );
  command.option("--dry-run", "Say what would be removed and what would stay, and change nothing");
  addJsonOption(command);
  addExamples(command, "odist uninstall --dry-run", "odist uninstall");
  command.action(async (options: { readonly dryRun?: boolean; readonly json?: boolean }) => {
    const plan = planFor(context);
    const isDry = options.dryRun === true;
    const failures = isDry ? [] : await carryOut(context, plan);
    const gone = (path: string) => isDry || !failures.some((one) => one.path === path);
    const removed = [...serviceEntries(plan), ...plan.removes].filter(({ path }) => gone(path));
    if (options.json) printJson(context, { removed, stays: plan.keeps, failed: failures });
    else {
      const { out, err } = context.terminal;
      for (const { path, reason } of failures) err.write(`Not removed: ${path}: ${reason}\n`);
      out.write(tableOf(isDry ? "would be removed" : "removed", removed));
      out.write(tableOf(isDry ? "would stay" : "stays", plan.keeps));
      if (plan.keeps.length > 0) {
        out.write(
          "\nRemove by hand what is not needed any more; a cluster counts this node as a member until\n`odist leave` was run here before, or `odist member remove` on another one\n",
        );
      }
    }
    if (failures.length > 0) throw new ExitRequest(1);
  });
}

function tableOf(title: string, entries: readonly Entry[]): string {
  const rows = entries.map(({ path, what }) => [title, what, printableText(path)]);
  return rows.length === 0 ? "" : `${formatTable(rows).join("\n")}\n`;
}

/** @throws RequestError `bad_usage` where there is no installed program, or a package manager's. */
function planFor(context: CliContext): Plan {
  const { env } = context;
  const file = ownFile(env);
  const packager = file === undefined ? "git, as a source tree" : packagerOf(file);
  if (file === undefined || packager !== undefined) {
    throw new RequestError("bad_usage", `This program belongs to ${packager}, which removes it`);
  }
  const home = env.HOME ?? env.USERPROFILE ?? "";
  const { config } = configFor(context, {});
  const { dataFolder, modelsFolder } = config.storage;
  const systems = [
    { path: "/etc/odist", what: "environment of the system's service" },
    { path: "/var/lib/odist", what: "data of the system's service" },
  ];
  const keeps = [
    { path: dataFolder, what: "identity, catalogue and configuration of the node" },
    { path: modelsFolder, what: "models" },
    { path: join(home, ".config", "odist"), what: "environment of the user's service" },
    ...(isOwn(file, home) ? [] : systems),
  ];
  const removes = [...unpackedFolders(env, file, home), { path: file, what: "program" }]
    .filter(({ path }) => isThere(path));
  for (const kept of keeps) refuseInside(kept.path, removes);
  return {
    services: findServices(file, home),
    removes,
    keeps: keeps.filter(({ path }) => isThere(path)),
  };
}

/** @throws RequestError `bad_usage` where what stays lies in what is removed. */
function refuseInside(kept: string, removes: readonly Entry[]): void {
  const around = removes.find(({ path }) => `${kept}/`.startsWith(`${path}/`));
  if (around === undefined) return;
  throw new RequestError(
    "bad_usage",
    `${kept} lies in ${around.path}, which would be removed: move it, or remove by hand`,
  );
}

/** What launchers made of self-extracting files, of this version and of earlier ones. */
function unpackedFolders(env: CliContext["env"], file: string, home: string): readonly Entry[] {
  if (Deno.build.os === "windows") return [];
  const places = [
    ...(env.XDG_CACHE_HOME ? [join(env.XDG_CACHE_HOME, "odist")] : []),
    ...(home === "" ? [] : [join(home, ".cache", "odist")]),
    join(env.TMPDIR || "/tmp", `odist-${Deno.uid()}`),
    // Of the system's service, whose user systemd makes up.
    ...(isOwn(file, home) ? [] : ["/var/cache/odist", "/var/cache/private/odist"]),
  ];
  return [...new Set(places)].map((path) => ({ path, what: "unpacked copies" }));
}

function serviceEntries({ services }: Plan): readonly Entry[] {
  return services.map(({ scope, path, remove }) => ({
    path: path === "" ? remove.join(" ") : path,
    what: `service of the ${scope}`,
  }));
}

/** What couldn't be removed, and why. A service is stopped before what it runs from is taken away. */
async function carryOut(context: CliContext, plan: Plan) {
  const failures: { readonly path: string; readonly reason: string }[] = [];
  const attempt = (path: string, act: () => void) => {
    try {
      act();
    } catch (error) {
      failures.push({ path, reason: printableText(errorMessage(error)) });
    }
  };
  for (const { path, remove } of plan.services) {
    const failure = tell(remove);
    if (failure === undefined) continue;
    if (path === "") failures.push({ path: remove.join(" "), reason: failure });
    // Where no service manager answers nothing runs that it would start: its file is all there is.
    else context.terminal.err.write(`${remove.join(" ")}: ${printableText(failure)}\n`);
  }
  await refuseRunning(context);
  for (const { path } of plan.services) if (path !== "") attempt(path, () => Deno.removeSync(path));
  for (const { path } of plan.removes) {
    attempt(path, () => Deno.removeSync(path, { recursive: true }));
  }
  return failures;
}

/** @throws RequestError `bad_usage` while a node runs from what is to be removed. */
async function refuseRunning(context: CliContext): Promise<void> {
  const signal = context.signalAfter(ASK_TIMEOUT_MS);
  const client = clientFor(context, { signal });
  if (!/^https?:\/\/(localhost|127\.[\d.]+|\[::1\])(:|$)/.test(client.url)) return;
  try {
    await client.ask("GET", "/api/version");
  } catch {
    return;
  }
  throw new RequestError(
    "bad_usage",
    `A node runs at ${client.url}, so the program stays: stop it first`,
  );
}
