import type { Program } from "./member_process.ts";

/** `serf: EventMemberJoin: node-2 10.77.0.3`, `memberlist: Suspect node-2 has failed, no acks received`. */
const LINE = /(EventMemberJoin:|EventMemberUpdate:|EventMemberFailed:|Suspect) node-(\d+) /;

/** HashiCorp's serf, with its profile for one network. */
export const SERF: Program = {
  name: "serf",
  command: (wires, index, joins) => [
    "serf",
    "agent",
    `-node=node-${index}`,
    `-bind=${wires.addressOf(index)}:7946`,
    "-profile=lan",
    "-log-level=debug",
    ...joins.map((seed) => `-join=${wires.addressOf(seed)}:7946`),
  ],
  read(line) {
    const [, event, subject] = LINE.exec(line) ?? [];
    if (event === undefined) return undefined;
    const standing = event === "Suspect"
      ? "suspect"
      : event === "EventMemberFailed:"
      ? "down"
      : "alive";
    return { subject: Number(subject), standing };
  },
};

/** The release, or undefined when it is not installed. */
export async function serfVersion(): Promise<string | undefined> {
  try {
    const { stdout } = await new Deno.Command("serf", { args: ["version"] }).output();
    return new TextDecoder().decode(stdout).split("\n")[0];
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}
