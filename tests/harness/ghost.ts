/**
 * Somebody with the key of a cluster's authority and a key of its own making, who is no member.
 *
 * @module
 */
import assert from "node:assert/strict";
import { join } from "node:path";
import type { NodeId } from "../../src/base/mod.ts";
import {
  generateSigningKey,
  helloFailureOf,
  issueCertificate,
  type NodeIdentity,
  nodeIdentity,
  parseAuthority,
} from "../../src/transport/mod.ts";
import type { ClusterNode } from "./cluster_node.ts";
import { HostilePeer } from "./hostile_peer.ts";

/** How long one dial may take: a node that is being killed says nothing. */
const DIAL_LIMIT_MS = 2_000;

/** Makes what the thief of a node's cluster folder can: an identity that the authority certifies. */
export async function stealIdentity(from: ClusterNode): Promise<NodeIdentity> {
  const folder = join(from.homeFolder, ".odist", "cluster");
  const authority = await parseAuthority({
    chainPem: await Deno.readTextFile(join(folder, "authority.pem")),
    privateKeyPem: await Deno.readTextFile(join(folder, "authority_key.pem")),
  });
  assert.ok(authority !== undefined, "No authority to steal");
  const key = await generateSigningKey();
  const nowMs = Date.now();
  const certificate = await issueCertificate(authority, { publicKey: key.publicKey, nowMs });
  return await nodeIdentity({ key, certificate, authority, nowMs });
}

/** Dials nodes without end, and counts what came of it. */
export class Ghost {
  readonly #identity: NodeIdentity;
  readonly #counts = new Map<string, number>();
  readonly #loops: Promise<void>[] = [];
  #stopped = false;

  constructor(identity: NodeIdentity) {
    this.#identity = identity;
  }

  /** By outcome: `admitted`, the reason of a refusal, or `unreachable`. */
  get counts(): ReadonlyMap<string, number> {
    return this.#counts;
  }

  /** Begins to dial a node, over and over. */
  haunt(target: { readonly nodeId: NodeId; readonly address: string }): void {
    this.#loops.push((async () => {
      while (!this.#stopped) {
        const outcome = await this.dial(target);
        this.#counts.set(outcome, (this.#counts.get(outcome) ?? 0) + 1);
      }
    })());
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    await Promise.all(this.#loops);
  }

  /** What comes of one hello. */
  async dial(target: { readonly nodeId: NodeId; readonly address: string }): Promise<string> {
    const endpoint = new Deno.QuicEndpoint({ hostname: "127.0.0.1", port: 0 });
    const timer = setTimeout(() => endpoint.close(), DIAL_LIMIT_MS);
    let peer: HostilePeer | undefined;
    try {
      peer = await HostilePeer.connect(target, { identity: this.#identity, endpoint });
      await peer.greet();
      return "admitted";
    } catch (error) {
      return helloFailureOf(error)?.reason ?? "unreachable";
    } finally {
      clearTimeout(timer);
      endpoint.close();
    }
  }
}
