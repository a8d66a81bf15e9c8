import dgram from "node:dgram";
import { errorMessage, UnavailableError } from "../base/mod.ts";
import type { NetworkCard, Power } from "../ports/mod.ts";
import { broadcastOf, readCoreSeconds, readSessions } from "./system_texts.ts";

/** The discard service, where nobody listens: the card reads the packet, not a program. */
const WAKE_PORT = 9;
/** A command that says nothing for so long won't. Milliseconds. */
const QUESTION_MS_MAX = 5_000;
/** Of what a failed command said, so much is told. */
const SAID_CHARS_MAX = 200;

/** The real machine; `sleepCommand` is split at blanks. */
export function openPower({ sleepCommand }: { readonly sleepCommand: string }): Power {
  return {
    cards,
    async isUserHere() {
      const said = await ask("who", ["-u"]);
      return said === undefined ? undefined : readSessions(said);
    },
    suspend: () => suspend(sleepCommand),
    broadcast,
    async coreSeconds() {
      // Shown to programs alone that may read all: a child may.
      const said = await ask("sh", ["-c", "cat /proc/stat /proc/[0-9]*/stat 2>/dev/null"]);
      return said === undefined ? undefined : readCoreSeconds(said, Deno.pid);
    },
  };
}

function cards(): readonly NetworkCard[] {
  return Deno.networkInterfaces().flatMap(({ family, address, netmask, mac }) => {
    const isUsable = family === "IPv4" && !address.startsWith("127.") && mac !== "" &&
      mac !== "00:00:00:00:00:00";
    return isUsable ? [{ mac: mac.toLowerCase(), broadcast: broadcastOf(address, netmask) }] : [];
  });
}

async function suspend(sleepCommand: string): Promise<void> {
  const [command = "", ...args] = sleepCommand.split(/\s+/).filter((word) => word !== "");
  let said: string;
  try {
    const ended = await new Deno.Command(command, {
      args,
      stdin: "null",
      stdout: "null",
      stderr: "piped",
    }).output();
    if (ended.success) return;
    said = new TextDecoder().decode(ended.stderr).trim() || `exit code ${ended.code}`;
  } catch (error) {
    said = errorMessage(error);
  }
  const text = `"${sleepCommand}" did not put this machine to sleep: ${said}`;
  throw new UnavailableError("sleep_failed", text.slice(0, SAID_CHARS_MAX));
}

function broadcast(packet: Uint8Array, address: string): Promise<void> {
  const sent = Promise.withResolvers<void>();
  const socket = dgram.createSocket("udp4");
  const end = (error?: Error | null) => {
    socket.close();
    if (!error) return sent.resolve();
    const text = `Nothing can be sent to all of ${address}: ${error.message}`;
    sent.reject(new UnavailableError("address_unusable", text, { cause: error }));
  };
  socket.once("error", end);
  socket.bind(0, () => {
    socket.setBroadcast(true);
    socket.send(packet, WAKE_PORT, address, end);
  });
  return sent.promise;
}

/** What a command of the system prints; undefined where there is none or it fails. */
async function ask(command: string, args: readonly string[]): Promise<string | undefined> {
  try {
    const { success, stdout } = await new Deno.Command(command, {
      args: [...args],
      stdin: "null",
      stdout: "piped",
      stderr: "null",
      signal: AbortSignal.timeout(QUESTION_MS_MAX),
    }).output();
    return success ? new TextDecoder().decode(stdout) : undefined;
  } catch {
    return undefined; // Not on this system.
  }
}
