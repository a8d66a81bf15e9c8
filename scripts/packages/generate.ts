/**
 * Writes what is under `deploy/` from the one description: installers, units, container and chart. `--check` writes nothing and
 * fails when a file differs.
 *
 * Usage: `deno run -A scripts/packages/generate.ts [--check]`.
 *
 * @module
 */
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { DESCRIPTION, servicePath } from "./description.ts";
import { fill, readTemplate, type Values } from "./fill.ts";

/** How the program is started where it lies unpacked in `/odist`; no shell, and no copy of a user to look after. */
const IMAGE_COMMAND = [
  ...["/odist/deno", "run", "--quiet", "-A", "--unstable-net", "--unstable-no-legacy-abort"],
  ...["--no-config", "--no-lock", "--no-prompt", "--cached-only", "/odist/main.js"],
];

const { version, license, summary, name, homepage, releases, image, ports, service } = DESCRIPTION;

/** What is the same in all templates. */
export const COMMON: Values = {
  ...{ VERSION: version, LICENSE: license, SUMMARY: summary, NAME: name },
  ...{ HOMEPAGE: homepage, RELEASES: releases, IMAGE: image, SERVICE: service },
  API_PORT: String(ports.api),
  CLUSTER_PORT: String(ports.cluster),
  ENTRYPOINT: JSON.stringify(IMAGE_COMMAND),
  STATUS_COMMAND: JSON.stringify([...IMAGE_COMMAND, "status"]),
  SHELL_COMMAND: IMAGE_COMMAND.join(" "),
};

/** A service's file for a program at `file`. */
export function renderService(
  template: "system.service" | "user.service" | "agent.plist",
  file: string,
): string {
  return fill(readTemplate(template), { ...COMMON, FILE: file });
}

/** As part of a here-document of a shell, which puts the program's path in. */
function inShell(template: Parameters<typeof renderService>[0]): string {
  if (/[$`\\]/.test(readTemplate(template))) {
    throw new TypeError(
      `Cannot put ${template} into install.sh: wanted no $, backtick or backslash`,
    );
  }
  return renderService(template, "$file").trimEnd();
}

function installerValues(): Values {
  return {
    ...COMMON,
    SYSTEM_UNIT: inShell("system.service"),
    USER_UNIT: inShell("user.service"),
    AGENT: inShell("agent.plist"),
    SYSTEM_UNIT_PATH: servicePath("linux", "system"),
    USER_UNIT_PATH: servicePath("linux", "user"),
    SYSTEM_AGENT_PATH: servicePath("darwin", "system"),
    USER_AGENT_PATH: servicePath("darwin", "user"),
  };
}

const CHART_FILES = [
  ...["Chart.yaml", "values.yaml", "values.schema.json"],
  ...["_helpers.tpl", "statefulset.yaml", "services.yaml"].map((file) => `templates/${file}`),
  ...["poddisruptionbudget.yaml", "servicemonitor.yaml", "NOTES.txt"].map((file) =>
    `templates/${file}`
  ),
];

/** The texts by path from `deploy/`. */
export function renderDeploy(): ReadonlyMap<string, string> {
  const plain = (template: string) => fill(readTemplate(template), COMMON);
  return new Map([
    ["install.sh", fill(readTemplate("install.sh"), installerValues())],
    ["install.ps1", plain("install.ps1")],
    ["container/Dockerfile", plain("Dockerfile")],
    ["container/compose.yaml", plain("compose.yaml")],
    ...CHART_FILES.map((file) => [`helm/odist/${file}`, plain(`helm/${file}`)] as const),
  ]);
}

/** Paths from `deploy/` of files that differ from what would be written. */
export function findStale(folder: string): string[] {
  return [...renderDeploy()].filter(([path, text]) => readText(join(folder, path)) !== text)
    .map(([path]) => path);
}

function readText(path: string): string | undefined {
  try {
    return Deno.readTextFileSync(path).replaceAll("\r\n", "\n");
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}

/** Beside the root's `deno.json`. */
export const DEPLOY_FOLDER = fileURLToPath(new URL("../../deploy", import.meta.url));

if (import.meta.main) {
  const stale = findStale(DEPLOY_FOLDER);
  if (Deno.args.includes("--check")) {
    for (const path of stale) {
      console.error(`deploy/${path} is stale: run deno run -A scripts/packages/generate.ts`);
    }
    Deno.exit(stale.length === 0 ? 0 : 1);
  }
  const texts = renderDeploy();
  for (const path of stale) {
    const target = join(DEPLOY_FOLDER, path);
    Deno.mkdirSync(dirname(target), { recursive: true });
    Deno.writeTextFileSync(target, texts.get(path) ?? "");
  }
  Deno.chmodSync(join(DEPLOY_FOLDER, "install.sh"), 0o755);
}
