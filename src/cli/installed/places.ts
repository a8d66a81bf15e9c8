import { resolve, sep as SEPARATOR } from "node:path";
import { errorMessage, printableText } from "../../base/mod.ts";

/** Of the unit, the agent or the task that keeps a node running. */
export const SERVICE_NAME = "odist";

/** Where the installers put the file that makes a node a service, and how it is spoken of there. */
export interface ServicePlace {
  readonly os: "linux" | "darwin" | "windows";
  /** `system` wants an administrator. */
  readonly scope: "user" | "system";
  /** Of the file; `~` is the user's home. "" where there is none. */
  readonly path: string;
  /** Ends the service for good, now and at the next start of the machine. */
  readonly remove: readonly string[];
  /** Starts it again with the program that is there now. */
  readonly restart: readonly string[];
}

const systemd = (scope: "user" | "system", path: string): ServicePlace => {
  const systemctl = ["systemctl", ...(scope === "user" ? ["--user"] : [])];
  return {
    ...{ os: "linux", scope, path },
    remove: [...systemctl, "disable", "--now", SERVICE_NAME],
    restart: [...systemctl, "restart", SERVICE_NAME],
  };
};

const launchd = (scope: "user" | "system", path: string): ServicePlace => {
  const target = `${scope === "user" ? `gui/${Deno.uid()}` : "system"}/${SERVICE_NAME}`;
  return {
    ...{ os: "darwin", scope, path },
    remove: ["launchctl", "bootout", target],
    restart: ["launchctl", "kickstart", "-k", target],
  };
};

export const SERVICE_PLACES: readonly ServicePlace[] = [
  systemd("user", `~/.config/systemd/user/${SERVICE_NAME}.service`),
  systemd("system", `/etc/systemd/system/${SERVICE_NAME}.service`),
  launchd("user", `~/Library/LaunchAgents/${SERVICE_NAME}.plist`),
  launchd("system", `/Library/LaunchDaemons/${SERVICE_NAME}.plist`),
  {
    ...{ os: "windows", scope: "user", path: "" },
    remove: ["schtasks", "/Delete", "/F", "/TN", SERVICE_NAME],
    restart: ["schtasks", "/Run", "/TN", SERVICE_NAME],
  },
];

/** A service as it was found on this machine; its paths are whole. */
export type FoundService = ServicePlace;

/** What the installers made for a program: for one in its user's home the user's own alone, never the system's. */
export function findServices(file: string, home: string): readonly FoundService[] {
  return SERVICE_PLACES.filter(({ os }) => os === Deno.build.os)
    .filter(({ scope }) => scope === "user" || !isOwn(file, home))
    .map((place) => ({ ...place, path: place.path.replace(/^~/, () => home) }))
    .filter(({ path }) => path === "" ? hasTask() : isThere(path));
}

/** Whether the program is one user's alone. */
export function isOwn(file: string, home: string): boolean {
  return home !== "" && home !== "/" && resolve(file).startsWith(`${resolve(home)}${SEPARATOR}`);
}

function hasTask(): boolean {
  return tell(["schtasks", "/Query", "/TN", SERVICE_NAME]) === undefined;
}

/** Undefined when the command did what it was told, otherwise why it didn't. */
export function tell([command = "", ...args]: readonly string[]): string | undefined {
  try {
    const { success, stderr } = new Deno.Command(command, { args, stdin: "null" }).outputSync();
    return success ? undefined : new TextDecoder().decode(stderr).trim() || `${command} failed`;
  } catch (error) {
    return printableText(errorMessage(error));
  }
}

export function isThere(path: string): boolean {
  try {
    Deno.lstatSync(path);
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}

/** The file that a user starts; undefined where the program runs from its source tree. */
export function ownFile(env: Readonly<Record<string, string>>): string | undefined {
  if (Deno.build.standalone) return Deno.execPath();
  // The launcher of a self-extracting file names itself.
  return env.ODIST_FILE || undefined;
}

/** Places that belong to a package manager, and how it is told to do the same. */
const PACKAGED: readonly (readonly [RegExp, string])[] = [
  [/^\/usr\/s?bin\//, "the system's package manager (apt, dnf, pacman)"],
  [/\/(?:Cellar|homebrew|linuxbrew)\//i, "brew"],
  [/[\\/]WinGet[\\/]/i, "winget"],
  [/^\/nix\/store\//, "nix"],
];

/** Who put the file there, if that was a package manager: nothing may be changed behind its back. */
export function packagerOf(file: string): string | undefined {
  return PACKAGED.find(([pattern]) => pattern.test(file))?.[1];
}
