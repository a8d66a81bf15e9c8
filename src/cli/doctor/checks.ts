import { formatBinaryBytes, printableText } from "../../base/mod.ts";
import type { DeviceFacts } from "../../protocol/mod.ts";

/** What one look at the machine found. */
export interface Finding {
  readonly name: string;
  /** `broken` = odist can't do its work; `warning` = it can, but worse than it could. */
  readonly state: "ok" | "warning" | "broken";
  readonly text: string;
  /** What to do about it; undefined when there is nothing to do. */
  readonly advice?: string;
}

/** What each library of odist's own build is for. */
const OWN_LIBRARY_USES: Readonly<Record<string, string>> = {
  "ggml-rpc": "no model over several machines",
  mtmd: "no images",
};
/** Below this no model worth the name fits. */
const DISK_BYTES_MIN = 256 * 2 ** 20;
/** A usual model with room for its download. */
const DISK_BYTES_WANTED = 8 * 2 ** 30;
/** What `tiny` needs with its runner. */
const MEMORY_BYTES_MIN = 256 * 2 ** 20;
/** A model of three billion parameters at four bits. */
const MEMORY_BYTES_WANTED = 4 * 2 ** 30;
/** Sockets of a busy API, pipes of its runners and its files. */
const OPEN_FILES_WANTED = 4_096;
const OPEN_FILES_MIN = 256;
/** No release is older, so a clock before it is wrong. */
const CLOCK_MIN_MS = Date.UTC(2026, 0, 1);
/** Certificates and logs of several machines stop fitting together beyond this. */
const CLOCK_SKEW_MS_MAX = 30_000;

/** Free space of the file system that holds `folder`. */
export function judgeDisk(name: string, folder: string, freeBytes: number): Finding {
  const text = `${formatBinaryBytes(freeBytes)} free at ${folder}`;
  if (freeBytes < DISK_BYTES_MIN) {
    return { name, state: "broken", text, advice: "Free some space, or choose another --models." };
  }
  if (freeBytes >= DISK_BYTES_WANTED) return { name, state: "ok", text };
  return { name, state: "warning", text, advice: "Enough for small models only." };
}

/** Memory that new processes can take. */
export function judgeMemory(availableBytes: number, reserveBytes: number): Finding {
  const usable = Math.max(0, availableBytes - reserveBytes);
  const text = `${formatBinaryBytes(usable)} for models ` +
    `(${formatBinaryBytes(availableBytes)} available, ${
      formatBinaryBytes(reserveBytes)
    } kept free)`;
  if (usable < MEMORY_BYTES_MIN) {
    const advice = "End other programs, or lower --memory-reserve.";
    return { name: "memory", state: "broken", text, advice };
  }
  if (usable >= MEMORY_BYTES_WANTED) return { name: "memory", state: "ok", text };
  return { name: "memory", state: "warning", text, advice: "Enough for small models only." };
}

/** The limit on open files; `Infinity` = none, undefined = this system does not tell. */
export function judgeOpenFiles(limit: number | undefined): Finding {
  const name = "open files";
  if (limit === undefined) return { name, state: "ok", text: "this system does not tell a limit" };
  const text = limit === Infinity ? "no limit" : `at most ${limit}`;
  if (limit >= OPEN_FILES_WANTED) return { name, state: "ok", text };
  return {
    name,
    state: limit < OPEN_FILES_MIN ? "broken" : "warning",
    text,
    advice: `Raise it before starting a node: ulimit -n ${OPEN_FILES_WANTED}`,
  };
}

/** llama.cpp's libraries, and what keeps a process that opens them from the rest of the machine. */
export function judgeNatives(build: string, confinement: string): Finding {
  const name = "llama.cpp";
  const text = `${build}, confined by ${confinement}`;
  // Permissions hold for the program, not for the libraries it opens.
  if (Deno.build.os !== "linux" || /landlock:\d+\+seccomp/.test(confinement)) {
    return { name, state: "ok", text };
  }
  const advice = "A model file that breaks llama.cpp could read this user's files: " +
    "use a kernel from 5.13 on with landlock switched on.";
  return { name, state: "warning", text, advice };
}

/**
 * The libraries of odist's own build, by name: why each doesn't serve, or "".
 *
 * @param reasons As a runner's probe prints them.
 */
export function judgeOwnLibraries(reasons: readonly (readonly [string, string])[]): Finding {
  const name = "own libraries";
  const missing = reasons.filter(([, reason]) => reason !== "");
  if (missing.length === 0) {
    return { name, state: "ok", text: reasons.map(([library]) => library).join(", ") };
  }
  const uses = missing.map(([library]) => OWN_LIBRARY_USES[library] ?? library);
  return {
    name,
    state: "warning",
    text: missing.map(([, reason]) => reason).join("; "),
    advice: `Without: ${uses.join(", ")}. From source, with cmake and a C++ compiler ` +
      "(Debian: apt-get install cmake g++): deno task natives",
  };
}

/** What computes beside the cores, and what can't. Names are their makers'. */
export function judgeDevices(
  devices: readonly DeviceFacts[],
  unusable: readonly { readonly library: string; readonly reason: string }[],
): readonly Finding[] {
  const name = "device";
  const found = devices.map((device): Finding => {
    const driver = device.driver === "" ? "" : `, driver ${device.driver}`;
    const memory = `${formatBinaryBytes(device.freeBytes)} of ${
      formatBinaryBytes(device.totalBytes)
    } free`;
    const text = printableText(`${device.name}: ${device.description}, ${memory}${driver}`);
    return { name, state: "ok", text };
  });
  const broken = unusable.map(({ library, reason }): Finding => ({
    name,
    state: "warning",
    text: printableText(`${library} can't be used: ${reason}`),
    advice: "Models are computed on the cores until then: install the driver it wants.",
  }));
  if (found.length + broken.length > 0) return [...found, ...broken];
  return [{ name, state: "ok", text: "none beside the cores" }];
}

/** The clock by itself, and against another node's where one was reached. */
export function judgeClock(nowMs: number, otherMs: number | undefined): Finding {
  const name = "clock";
  const shown = new Date(nowMs).toISOString();
  const advice = "Set the clock, or switch on time synchronization.";
  if (nowMs < CLOCK_MIN_MS) {
    return { name, state: "broken", text: `${shown} is before this program was made`, advice };
  }
  if (otherMs === undefined) return { name, state: "ok", text: shown };
  const skewMs = Math.abs(nowMs - otherMs);
  if (skewMs <= CLOCK_SKEW_MS_MAX) return { name, state: "ok", text: `${shown}, as the node's` };
  const text = `${shown} is ${Math.round(skewMs / 1_000)} s off the node's`;
  return { name, state: "warning", text, advice };
}

/** The soft limit in a text as Linux's /proc/self/limits; undefined when it isn't there. */
export function readOpenFilesLimit(text: string): number | undefined {
  const soft = /^Max open files\s+(\S+)/m.exec(text)?.[1];
  if (soft === undefined) return undefined;
  return soft === "unlimited" ? Infinity : Number(soft);
}
