/**
 * The commands about a cluster: status, members, tokens, keys, settings, snapshots. They never decide anything a node would. Each
 * file is loaded when its command is used.
 *
 * @module
 */
import type { CommandRow } from "../command_row.ts";

/** In the order of the help. */
export const CLUSTER_COMMANDS: readonly CommandRow[] = [
  { name: "status", summary: "Show the cluster", load: () => import("./status.ts") },
  {
    name: "members",
    summary: "List the members and what they do",
    load: () => import("./members.ts"),
  },
  { name: "top", summary: "Watch the cluster at work", load: () => import("./top.ts") },
  { name: "logs", summary: "Print the log of a node", load: () => import("./logs.ts") },
  {
    name: "trace",
    summary: "Show what happened to one request",
    load: async () => ({ define: (await import("./logs.ts")).defineTrace }),
  },
  { name: "token", summary: "Make, list and revoke join tokens", load: () => import("./token.ts") },
  {
    name: "key",
    summary: "Make, list and revoke keys for use from afar",
    load: () => import("./key.ts"),
  },
  { name: "audit", summary: "List who changed what", load: () => import("./audit.ts") },
  {
    name: "drain",
    summary: "Send no new requests to a node",
    load: async () => ({ define: (await import("./duty.ts")).defineDrain }),
  },
  {
    name: "undrain",
    summary: "Send requests to a node again",
    load: async () => ({ define: (await import("./duty.ts")).defineDrain }),
  },
  {
    name: "sleep",
    summary: "Put a node's machine to sleep",
    load: async () => ({ define: (await import("./duty.ts")).defineSleep }),
  },
  {
    name: "wake",
    summary: "Wake a node's machine",
    load: async () => ({ define: (await import("./duty.ts")).defineWake }),
  },
  { name: "leave", summary: "Take a node out of its cluster", load: () => import("./leave.ts") },
  {
    name: "recover",
    summary: "Go on without voters that are lost for good",
    load: () => import("./recover.ts"),
  },
  { name: "member", summary: "Remove or revoke members", load: () => import("./member.ts") },
  {
    name: "settings",
    summary: "List and change the cluster's settings",
    load: () => import("./settings.ts"),
  },
  {
    name: "snapshot",
    summary: "Save and restore what the cluster agreed on",
    load: () => import("./snapshot.ts"),
  },
];
