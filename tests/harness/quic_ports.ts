import type { NodePorts } from "../../src/node/assembly/mod.ts";
import { openTransport, seedDialer } from "../../src/transport/mod.ts";
import { testClock } from "./quic_world.ts";

/** Real sockets on loopback for a node of a world; `onRaftFrame` is told of each frame of the log that came. */
export function quicPorts(
  onRaftFrame: () => void = () => {},
): Pick<NodePorts, "openTransport" | "dialSeed"> {
  return {
    dialSeed: seedDialer({ clock: testClock }),
    openTransport: ({ handlers, ...options }) =>
      openTransport({
        ...options,
        handlers: {
          ...handlers,
          onFrame: (from, channel, bytes) => {
            if (channel === "raft") onRaftFrame();
            handlers.onFrame(from, channel, bytes);
          },
        },
      }),
  };
}
