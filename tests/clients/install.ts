import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Client } from "./clients.ts";
import { run } from "./processes.ts";

const PROGRAMS = fileURLToPath(new URL("programs", import.meta.url));
const CACHE = fileURLToPath(new URL("../../.cache/clients", import.meta.url));
const AGENTS = fileURLToPath(new URL("agents.ts", import.meta.url));
/** Arguments with which `unshare` runs what follows in a network that has nothing but loopback. */
const ALONE = ["-rn", "sh", "-c", 'ip link set lo up && exec "$@"', "sh"];
const INSTALL_TIMEOUT_MS = 300_000;
/** What is written in C++ takes minutes to compile, as gigabytes do to come. */
const BUILD_TIMEOUT_MS = 1_500_000;
const COPY_JARS = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies";

/** How a client is run, or why it can't be. */
export type Ready =
  | {
    readonly command: string;
    readonly args: readonly string[];
    readonly env?: Readonly<Record<string, string>>;
  }
  | { readonly skipped: string };

interface Place {
  /** The client's own, so that none gets another one's versions. */
  readonly folder: string;
  readonly program: string;
}

/** What can't be installed, with the reason that people are shown. */
class CannotInstall extends Error {}

const INSTALLERS: Readonly<
  Record<Client["runtime"], (client: Client, place: Place) => Promise<Ready>>
> = {
  deno: installForDeno,
  python: installForPython,
  agent: installAgent,
  java: installForJava,
  rust: installForRust,
  go: installForGo,
  "go-program": installGoProgram,
};

/** Gets a client's packages into a folder below `.cache/`; the caches of the toolchains stay theirs. */
export async function install(client: Client): Promise<Ready> {
  const folder = join(CACHE, client.program.replace(/\W/g, "_"));
  await Deno.mkdir(folder, { recursive: true });
  try {
    const place = { folder, program: join(PROGRAMS, client.program) };
    return await INSTALLERS[client.runtime](client, place);
  } catch (error) {
    if (error instanceof CannotInstall) return { skipped: error.message };
    throw error;
  }
}

/**
 * Runs one step of an installation.
 *
 * @throws CannotInstall naming the program that isn't there, or with the last line of what it said.
 */
async function step(
  command: string,
  args: readonly string[],
  options: {
    readonly cwd?: string;
    readonly env?: Record<string, string>;
    readonly timeoutMs?: number;
  } = {},
): Promise<void> {
  const ended = await run(command, args, { timeoutMs: INSTALL_TIMEOUT_MS, ...options })
    .catch((error) => {
      if (error instanceof Deno.errors.NotFound) throw new CannotInstall(`there is no ${command}`);
      throw error;
    });
  if (ended.code === 0) return;
  const said = `${ended.stdout}\n${ended.stderr}`.trim().split("\n");
  throw new CannotInstall(`${command} ${args[0]}: ${said.findLast((line) => line !== "")}`);
}

/** Packages' own scripts are not run. */
async function installAgent({ program, packages }: Client, { folder }: Place): Promise<Ready> {
  const wanted = Object.entries(packages).map(([name, version]) => `${name}@${version}`);
  const flags = ["--ignore-scripts", "--no-audit", "--no-fund", "--prefix", folder];
  await step("unshare", [...ALONE, "true"]);
  await step("npm", ["install", ...flags, ...wanted]);
  const started = [Deno.execPath(), "run", "-A", "--unstable-net", AGENTS, program, folder];
  return { command: "unshare", args: [...ALONE, ...started] };
}

async function installForDeno({ packages }: Client, { folder, program }: Place): Promise<Ready> {
  const config = join(folder, "deno.json");
  const imports = Object.fromEntries(
    Object.entries(packages).map(([name, version]) => [name, `npm:${name}@${version}`]),
  );
  await Deno.writeTextFile(config, JSON.stringify({ nodeModulesDir: "none", imports }));
  const args = ["--config", config, "--no-lock"];
  const env = { DENO_DIR: join(CACHE, "deno") };
  await step(Deno.execPath(), ["cache", ...args, program], { env });
  return { command: Deno.execPath(), args: ["run", "-A", "--cached-only", ...args, program], env };
}

async function installForPython({ packages }: Client, { folder, program }: Place): Promise<Ready> {
  const python = join(folder, "bin", "python3");
  const wanted = Object.entries(packages).map(([name, version]) => `${name}==${version}`);
  await step("python3", ["-m", "venv", folder]);
  const pip = ["-m", "pip", "install", "-q", "--disable-pip-version-check", ...wanted];
  await step(python, pip, { timeoutMs: BUILD_TIMEOUT_MS });
  return { command: python, args: [program], env: { PYTHONDONTWRITEBYTECODE: "1" } };
}

/** The program and what it shares with others are compiled against jars that Maven gets. */
async function installForJava({ packages }: Client, { folder, program }: Place): Promise<Ready> {
  const dependencies = Object.entries(packages).map(([name, version]) => {
    const [group, artifact] = name.split(":");
    return `<dependency><groupId>${group}</groupId><artifactId>${artifact}</artifactId>` +
      `<version>${version}</version></dependency>`;
  });
  const pom = '<project xmlns="http://maven.apache.org/POM/4.0.0">' +
    "<modelVersion>4.0.0</modelVersion><groupId>odist</groupId><artifactId>client</artifactId>" +
    `<version>1</version><dependencies>${dependencies.join("")}</dependencies></project>`;
  await Deno.writeTextFile(join(folder, "pom.xml"), pom);
  const jars = join(folder, "lib", "*");
  const classes = join(folder, "classes");
  await step("mvn", ["-q", "-B", COPY_JARS, "-DincludeScope=runtime", "-DoutputDirectory=lib"], {
    cwd: folder,
  });
  const sources = [program, join(PROGRAMS, "Calls.java")];
  await step("javac", ["-nowarn", "-cp", jars, "-d", classes, ...sources]);
  const name = program.replace(/^.*\/|\.java$/g, "");
  return { command: "java", args: ["-cp", `${classes}:${jars}`, name] };
}

async function installForRust({ packages }: Client, { folder, program }: Place): Promise<Ready> {
  const dependencies = Object.entries(packages).map(([name, wanted]) => {
    const [version, ...features] = wanted.split("+");
    const listed = features.map((feature) => JSON.stringify(feature)).join(", ");
    return `${name} = { version = "=${version}", features = [${listed}] }`;
  });
  const manifest = [
    "[package]",
    'name = "client"',
    'version = "0.0.0"',
    'edition = "2021"',
    "[[bin]]",
    'name = "client"',
    `path = ${JSON.stringify(program)}`,
    "[dependencies]",
    ...dependencies,
    "[workspace]",
  ];
  await Deno.writeTextFile(join(folder, "Cargo.toml"), `${manifest.join("\n")}\n`);
  await step("cargo", ["build", "-q"], { cwd: folder, timeoutMs: BUILD_TIMEOUT_MS });
  return { command: join(folder, "target", "debug", "client"), args: [] };
}

async function installForGo({ packages }: Client, { folder, program }: Place): Promise<Ready> {
  const required = Object.entries(packages).map(([name, version]) => `require ${name} ${version}`);
  await Deno.writeTextFile(join(folder, "go.mod"), `module client\n\n${required.join("\n")}\n`);
  await Deno.copyFile(program, join(folder, "main.go"));
  await step("go", ["mod", "tidy"], { cwd: folder });
  await step("go", ["build", "-o", "client", "."], { cwd: folder, timeoutMs: BUILD_TIMEOUT_MS });
  return { command: join(folder, "client"), args: [] };
}

/**
 * The first package is the program itself. Modules come without the headers that their repository has in folders named
 * `vendor`: the system's are taken for two of them, and a second package's for the third.
 */
async function installGoProgram({ packages }: Client, { folder, program }: Place): Promise<Ready> {
  const [wanted = "", headers = ""] = Object.entries(packages).map((entry) => entry.join("@"));
  const binary = join(folder, wanted.replace(/^.*\/|@.*$/g, ""));
  const ready = {
    command: Deno.execPath(),
    args: ["run", "-A", program],
    env: { CLIENTS_PROGRAM: binary },
  };
  const stamp = join(folder, "installed");
  if (await Deno.readTextFile(stamp).catch(() => "") === wanted) return ready;
  for (const header of ["nlohmann/json.hpp", "stb/stb_image.h"]) {
    await step("test", ["-f", `/usr/include/${header}`]).catch(() => {
      throw new CannotInstall(`its module lacks ${header}, and so does the system`);
    });
  }
  await step("go", ["mod", "download", headers]);
  const { stdout } = await run("go", ["env", "GOMODCACHE"], { timeoutMs: INSTALL_TIMEOUT_MS });
  const include = join(folder, "include");
  await Deno.mkdir(include, { recursive: true });
  const link = join(include, "miniaudio");
  await Deno.remove(link).catch(() => {});
  await Deno.symlink(join(stdout.trim(), headers), link);
  await step("go", ["install", wanted], {
    timeoutMs: BUILD_TIMEOUT_MS,
    env: { GOBIN: folder, CGO_CFLAGS: "-O1", CGO_CXXFLAGS: `-O1 -I${include}` },
  });
  await Deno.writeTextFile(stamp, wanted);
  return ready;
}
