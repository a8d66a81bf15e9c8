import {
  type Entry,
  type OwnProgram,
  type PortRights,
  type Rights,
  startConfined,
} from "../../confinement/mod.ts";
import { checkNatives, checkOwnNatives } from "./native_digests.ts";
import { findNativeFolder } from "./native_folder.ts";
import { findOwnNativeFolder } from "./own_natives.ts";

/** Starts a runner: gives up its rights and goes on as {@link CONFINED_RUNNER}. */
export const RUNNER: Entry = { module: "src/inference/launch/main", subcommand: "runner" };
/** What a runner becomes; its words begin with what confines it and the two folders of llama.cpp's libraries. */
export const CONFINED_RUNNER: Entry = {
  module: "src/inference/confined/main",
  subcommand: "confined-runner",
};

/** Where llama.cpp's libraries lie, and what confines the process that opens them. */
export interface LaunchedRunner {
  readonly nativeFolder: string;
  /** With those that odist builds itself; "" = there are none. */
  readonly ownNativeFolder: string;
  /** Such as `none: ...`, with the reason. */
  readonly confinement: string;
}

/**
 * Replaces this process by a confined runner. Its `words` are paths of the model and its adapters, or a mode and its
 * arguments: `--probe` only tells which libraries there are, `--quantize` rewrites a file.
 *
 * @returns Only where a process can't be replaced: then this one becomes the runner, without what it can give up itself.
 * @throws UnavailableError `load_failed` when there are no libraries for this platform, or others than those of the
 *   pinned release.
 */
export async function launchRunner(
  program: OwnProgram,
  words: readonly string[],
): Promise<LaunchedRunner> {
  const nativeFolder = await findNativeFolder();
  await checkNatives(nativeFolder, marksFolder());
  const ownNativeFolder = findOwnNativeFolder();
  if (ownNativeFolder !== "") await checkOwnNatives(ownNativeFolder, marksFolder());
  const folders = [nativeFolder, ownNativeFolder];
  const reason = startConfined(
    program,
    { entry: CONFINED_RUNNER, words: [...folders, ...words] },
    runnerRights(program, folders.filter((folder) => folder !== ""), words),
  );
  return { nativeFolder, ownNativeFolder, confinement: `none: ${reason}` };
}

function runnerRights(
  program: OwnProgram,
  libraries: readonly string[],
  words: readonly string[],
): Rights {
  const files = filesOf(words);
  // Deno checks files that its own functions open; llama.cpp opens the model past it, under landlock's eyes.
  const readable = [...program.files, ...libraries].map((path) => path.replaceAll(",", ",,"));
  return {
    // Pointers want the permission for all libraries.
    permissions: ["--allow-ffi", `--allow-read=${readable.join(",")}`],
    reads: [...libraries, ...files.reads],
    writes: files.writes,
    devices: "gpu",
    ...portsOf(words),
  };
}

/** In the user's own cache: who can write there is this user. */
function marksFolder(): string | undefined {
  const { XDG_CACHE_HOME, HOME, LOCALAPPDATA } = Deno.env.toObject();
  const cache = XDG_CACHE_HOME || (HOME && `${HOME}/.cache`) || LOCALAPPDATA;
  return cache ? `${cache}/odist/natives` : undefined;
}

/** Word of a runner that computes with workers, and of a worker: `--connect=PORT,...`, `--listen=PORT`. */
function portsOf(words: readonly string[]): { readonly ports?: PortRights } {
  for (const use of ["connect", "listen"] as const) {
    const word = words.find((one) => one.startsWith(`--${use}=`));
    const ports = word?.slice(word.indexOf("=") + 1).split(",").map(Number);
    if (ports !== undefined) return { ports: { use, ports } };
  }
  return {};
}

function filesOf(
  words: readonly string[],
): { readonly reads: readonly string[]; readonly writes: readonly string[] } {
  const [mode, source = "", target = ""] = words;
  if (mode === "--quantize") return { reads: [source], writes: [target.replace(/[^/\\]*$/, "")] };
  return { reads: words.filter((word) => !word.startsWith("--")), writes: [] };
}
