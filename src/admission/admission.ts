import type { NodeId } from "../base/mod.ts";
import { admittedMembers, type Refusal } from "../core/catalogue/mod.ts";
import type { Clock, Log, Metrics } from "../ports/mod.ts";
import { type JoinedMember, type JoinRefusal, spokenVersions } from "../protocol/mod.ts";
import {
  answerJoin,
  type ClusterMembership,
  type JoinHandler,
  type JoinRequest,
} from "../transport/mod.ts";
import { type Group, READ_TIMEOUT_MS } from "../group/mod.ts";
import type { Attribution } from "../operators/mod.ts";

/** How long a joiner waits for its row; less than others wait for a change, because it asks again by itself. */
const ADMIT_TIMEOUT_MS = 4_000;

/** What letting others in takes. */
export interface AdmissionParts {
  readonly group: () => Group;
  readonly membership: () => ClusterMembership;
  readonly certify: (publicKey: Uint8Array<ArrayBuffer>) => Promise<Uint8Array<ArrayBuffer>>;
  readonly nodeId: NodeId;
  readonly name: string;
  readonly clock: Clock;
  readonly log: Log;
  readonly metrics: Metrics;
  /** Where a member listens; "" when unknown. */
  readonly addressOf: (nodeId: NodeId) => string;
  readonly attribute: Attribution["attribute"];
}

/** Lets nodes with a token in: one entry of the log makes the member and uses up the token. */
export function admitsJoiners(parts: AdmissionParts): JoinHandler {
  const { clock, log, metrics } = parts;
  return async (pipe, remoteAddress) => {
    const group = parts.group();
    const { identity, authority } = parts.membership();
    try {
      const { request, outcome } = await answerJoin(pipe, {
        identity,
        authority,
        certify: parts.certify,
        nowMs: () => clock.nowMs(),
        speaks: () => spokenVersions(group.catalogue.schema),
        findToken: (tokenId) =>
          group.read((catalogue) => catalogue.findToken(tokenId), { timeoutMs: READ_TIMEOUT_MS }),
        findMember: (nodeId) =>
          group.read((catalogue) => catalogue.findMember(nodeId), { timeoutMs: READ_TIMEOUT_MS }),
        admit: (asked) => {
          const by = { who: `token ${asked.tokenId}`, from: remoteAddress };
          return parts.attribute(by, () => admit(parts, asked));
        },
        members: () => knownMembers(parts),
        revoked: () =>
          group.catalogue.members().filter(({ standing }) => standing === "revoked")
            .map(({ nodeId }) => nodeId),
      });
      metrics.increment("odist_joins_total", { outcome });
      log.log("info", "node_joined", {
        node: request.nodeId,
        name: request.name,
        remoteAddress,
        outcome,
      });
    } catch (error) {
      metrics.increment("odist_joins_total", { outcome: "refused" });
      throw error;
    }
  };
}

async function admit(
  parts: AdmissionParts,
  request: JoinRequest,
): Promise<JoinRefusal | undefined> {
  const { nodeId, publicKey, name, tokenId } = request;
  const outcome = await parts.group().propose({
    kind: "admit_member",
    nodeId,
    publicKey,
    label: name,
    tokenId,
    atMs: parts.clock.nowMs(),
  }, { timeoutMs: ADMIT_TIMEOUT_MS });
  return outcome.kind === "applied" ? undefined : refusalOf(outcome.reason);
}

function refusalOf(reason: Refusal): JoinRefusal {
  switch (reason) {
    case "token_unknown":
    case "token_expired":
    case "member_revoked":
    case "already_exists":
    case "table_full":
      return reason;
    default:
      return "not_ready";
  }
}

/** This node first: it is the one that the joiner can reach. Then whoever may lead: the joiner must know their keys. */
function knownMembers(parts: AdmissionParts): readonly JoinedMember[] {
  const { addressOf, nodeId: self } = parts;
  const { voters } = parts.group().view().configuration;
  const rank = (nodeId: NodeId) => nodeId === self ? 0 : voters.includes(nodeId) ? 1 : 2;
  const rows = admittedMembers(parts.group().catalogue);
  return rows
    .map(({ nodeId, label, publicKey }) => ({
      nodeId,
      name: label,
      address: addressOf(nodeId),
      publicKey,
    }))
    .sort((a, b) => rank(a.nodeId) - rank(b.nodeId));
}
