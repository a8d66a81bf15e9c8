/**
 * The commands about a cluster: status, members, tokens, keys, settings, snapshots. They never decide anything a node would. Each
 * file is loaded when its command is used.
 *
 * @module
 */
import type { CommandRow } from "../command_row.ts";

/** In the order of the help. */
export const CLUSTER_COMMANDS: readonly CommandRow[] = [
  {
    name: "status",
    summary: "Show the cluster",
    load: async () => (await import("./status.ts")).defineStatus,
  },
  {
    name: "members",
    summary: "List the members and what they do",
    load: async () => (await import("./members.ts")).defineMembers,
  },
  {
    name: "top",
    summary: "Watch the cluster at work",
    load: async () => (await import("./top.ts")).defineTop,
  },
  {
    name: "logs",
    summary: "Print the log of a node",
    load: async () => (await import("./logs.ts")).defineLogs,
  },
  {
    name: "token",
    summary: "Make, list and revoke join tokens",
    load: async () => (await import("./token.ts")).defineToken,
  },
  {
    name: "key",
    summary: "Make, list and revoke keys for use from afar",
    load: async () => (await import("./key.ts")).defineKey,
  },
  {
    name: "audit",
    summary: "List who changed what",
    load: async () => (await import("./audit.ts")).defineAudit,
  },
  {
    name: "drain",
    summary: "Send no new requests to a node",
    load: async () => (await import("./drain.ts")).defineDrain,
  },
  {
    name: "undrain",
    summary: "Send requests to a node again",
    load: async () => (await import("./drain.ts")).defineUndrain,
  },
  {
    name: "leave",
    summary: "Take a node out of its cluster",
    load: async () => (await import("./leave.ts")).defineLeave,
  },
  {
    name: "member",
    summary: "Remove or revoke members",
    load: async () => (await import("./member.ts")).defineMember,
  },
  {
    name: "settings",
    summary: "List and change the cluster's settings",
    load: async () => (await import("./settings.ts")).defineSettings,
  },
  {
    name: "snapshot",
    summary: "Save and restore what the cluster agreed on",
    load: async () => (await import("./snapshot.ts")).defineSnapshot,
  },
];
