import { endAllNodes } from "../../tests/harness/cluster_node.ts";

const SIGNALS = ["SIGINT", "SIGTERM"] as const;
/** As shells tell of a process that a signal has ended. */
const EXIT_CODE = 130;

/** From now on a bench that is told to end leaves neither nodes nor their folders behind. */
export function endNodesAtSignal(): void {
  for (const signal of SIGNALS) {
    Deno.addSignalListener(signal, () => void endAllNodes().finally(() => Deno.exit(EXIT_CODE)));
  }
}
