import { RequestError } from "../../base/mod.ts";
import type { HostAddress } from "../../config/mod.ts";
import { decodeApiKey } from "../../protocol/mod.ts";
import { KnownMembersFile } from "./known_members.ts";
import type { SendRequest } from "./resumed_answer.ts";

/**
 * Asks a node through its port for other nodes, with a key: encrypted, and only ever a node of the key's own cluster.
 *
 * @throws RequestError `invalid_config` when there is no key or it can't be read.
 */
export function remoteSender(
  host: HostAddress,
  by: { readonly keyText: string; readonly dataFolder: string },
): SendRequest {
  const { keyText, dataFolder } = by;
  if (keyText === "") {
    throw new RequestError(
      "invalid_config",
      "An address that begins with odist:// needs a key: make one with `odist key create` on a member, " +
        "and set ODIST_KEY to it",
    );
  }
  const key = decodeApiKey(keyText);
  if (key.kind === "malformed") {
    throw new RequestError("invalid_config", `ODIST_KEY can't be used: ${key.reason}`);
  }
  const { hostname, port } = host;
  const known = new KnownMembersFile(dataFolder);
  return async (path, init) => {
    // Most commands ask over HTTP and need none of it.
    const { askRemote } = await import("../../transport/mod.ts");
    return await askRemote(
      { hostname, port, key: key.value, keyText, known, clock: COMMAND_CLOCK },
      path,
      init,
    );
  };
}

const COMMAND_CLOCK = {
  nowMs: () => Date.now(),
  monotonicMs: () => performance.now(),
  after(delayMs: number, callback: () => void) {
    const id = setTimeout(callback, delayMs);
    return { cancel: () => clearTimeout(id) };
  },
};
