import {
  equalBytes,
  errorMessage,
  isEdgeError,
  type NodeId,
  UnavailableError,
} from "../base/mod.ts";
import type { QuestionParts } from "../calls/mod.ts";
import { admittedMembers, AUTHORITY_KEY, isRotationDue } from "../core/catalogue/mod.ts";
import { CHANGE_TIMEOUT_MS, type Group, READ_TIMEOUT_MS } from "../group/mod.ts";
import type { Log, PeerAddress } from "../ports/mod.ts";
import {
  type Authority,
  type AuthorityChain,
  isSuccessor,
  issueCertificate,
  judgeCertificate,
  type NodeIdentity,
  parseAuthority,
  parseChain,
  type StoredIdentity,
  succeedAuthority,
} from "../transport/mod.ts";
import {
  askForCertificate,
  askForKey,
  askWhetherHeld,
  checkAdmitted,
} from "./authority_messages.ts";

/** How soon what could not be done is tried again. Milliseconds. */
const RETRY_MS = 1_000;
/** How long a leader looks for the authority's key before it makes another authority by a former one's. Milliseconds. */
const LOST_AFTER_MS = 60_000;
/** How long whoever needs the authority that is going to stay waits for it. Milliseconds. */
const SETTLED_TIMEOUT_MS = 10_000;
/** Proposals of which it is not known what became of them. */
const MADE_MAX = 16;

/** What keeping the authority right takes. */
export interface KeeperParts extends QuestionParts {
  readonly nodeId: NodeId;
  readonly stored: StoredIdentity;
  readonly group: Pick<Group, "catalogue" | "view" | "read" | "propose">;
  readonly addressOf: (nodeId: NodeId) => string;
  readonly useIdentity: (identity: NodeIdentity) => void;
  readonly log: Log;
}

/**
 * Keeps this node's certificate, and the authority's key where it belongs: with the voters. A leader makes a new authority
 * after each revocation; everybody follows the catalogue. See docs/decisions/0006_authority_with_the_voters.md.
 */
export class AuthorityKeeper {
  readonly #parts: KeeperParts;
  #timer: { cancel(): void } | undefined;
  #running = false;
  #again = false;
  #closed = false;
  /** Made here and proposed, which may still be applied; their keys are nowhere else. */
  #made: Authority[] = [];
  #lackedSinceMs: number | undefined;
  #saidWhy = "";
  readonly #looked = new Set<() => void>();

  constructor(parts: KeeperParts) {
    this.#parts = parts;
  }

  /** Something changed that this may depend on. */
  look(): void {
    if (this.#closed) return;
    if (this.#running) this.#again = true;
    else void this.#run();
  }

  close(): void {
    this.#closed = true;
    this.#timer?.cancel();
  }

  /**
   * A certificate for a node that the catalogue admits: of this node's making where it holds the key, else of a voter's.
   *
   * @throws UnavailableError `no_quorum` when nobody can make one now.
   */
  async certify(publicKey: Uint8Array<ArrayBuffer>): Promise<Uint8Array<ArrayBuffer>> {
    const { signer, authority } = this.#member();
    if (signer !== undefined && isSame(signer, authority)) return await this.issue(publicKey);
    const certificate = await this.#firstAnswer((peer) =>
      askForCertificate(this.#parts, peer, publicKey)
    );
    if (certificate !== undefined) return certificate;
    throw new UnavailableError("no_quorum", "No voter that can make a certificate answers");
  }

  /**
   * The key of the authority that the catalogue names, once this node has gone over to it and no other one is due: what names a
   * former one is void.
   *
   * @throws UnavailableError `no_quorum` when that takes too long, `stopping` when this node leaves.
   */
  async settled(): Promise<Uint8Array<ArrayBuffer>> {
    const { clock } = this.#parts;
    const untilMs = clock.monotonicMs() + SETTLED_TIMEOUT_MS;
    while (!await this.#isSettled()) {
      if (this.#closed) throw new UnavailableError("stopping", "this node stops");
      if (clock.monotonicMs() >= untilMs) {
        const text =
          "The cluster's authority is being replaced since a machine was revoked: try again";
        throw new UnavailableError("no_quorum", text);
      }
      await this.#nextLook();
    }
    return this.#member().authority.publicKey;
  }

  async #isSettled(): Promise<boolean> {
    const { catalogue } = this.#parts.group;
    const row = catalogue.findSetting(AUTHORITY_KEY);
    const wanted = row && await parseChain(row.value);
    const isThere = row === undefined ||
      wanted !== undefined && isSame(wanted, this.#member().authority);
    return isThere && !isRotationDue(catalogue);
  }

  /** After the look that goes on, or a while. */
  async #nextLook(): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const timer = this.#parts.clock.after(RETRY_MS, resolve);
    this.#looked.add(resolve);
    await promise;
    this.#looked.delete(resolve);
    timer.cancel();
  }

  /** For a peer that asks. @throws RequestError for a key of no member; UnavailableError where the key is not here. */
  async issue(publicKey: Uint8Array<ArrayBuffer>): Promise<Uint8Array<ArrayBuffer>> {
    const { group, clock } = this.#parts;
    await group.read((catalogue) => checkAdmitted(catalogue, publicKey), {
      timeoutMs: READ_TIMEOUT_MS,
    });
    const { signer, authority } = this.#member();
    if (signer === undefined || !isSame(signer, authority)) {
      throw new UnavailableError("no_quorum", "The authority's key is not held here");
    }
    return await issueCertificate(signer, { publicKey, nowMs: clock.nowMs() });
  }

  async #run(): Promise<void> {
    this.#running = true;
    this.#timer?.cancel();
    try {
      do {
        this.#again = false;
        const done = await this.#setRight();
        if (!done) this.#lookLater();
      } while (this.#again && !this.#closed);
    } catch (error) {
      if (!isEdgeError(error)) reportError(error);
      this.#say(errorMessage(error));
      this.#lookLater();
    } finally {
      this.#running = false;
      for (const wake of [...this.#looked]) wake();
    }
  }

  /** Whether nothing is left to do. */
  async #setRight(): Promise<boolean> {
    if (this.#closed || this.#parts.stored.membership === undefined) return true;
    await this.#rotateIfDue();
    const wanted = await this.#wanted();
    if (wanted === undefined) return false;
    await this.#follow(wanted);
    const isThere = isSame(wanted, this.#member().authority);
    const isKept = await this.#keepKeyRight();
    return isThere && isKept && !this.#parts.stored.needsCertificate;
  }

  /** A machine that was shut out may have kept the key, or a certificate that outsiders believe. */
  async #rotateIfDue(): Promise<void> {
    const { group, clock, log } = this.#parts;
    const isLost = this.#isLost();
    if (group.view().role !== "leader") return;
    if (!isLost && !isRotationDue(group.catalogue)) return;
    const { signer, authority } = this.#member();
    if (signer === undefined || !isSame(signer, authority) && !isLost) return;
    const made = await succeedAuthority(signer, clock.nowMs());
    this.#made = [made, ...this.#made].slice(0, MADE_MAX);
    const expected = group.catalogue.findSetting(AUTHORITY_KEY)?.revision ?? 0;
    const command = {
      kind: "put_setting",
      key: AUTHORITY_KEY,
      value: made.chainPem,
      expected,
    } as const;
    const outcome = await group.propose(command, { timeoutMs: CHANGE_TIMEOUT_MS });
    if (outcome.kind !== "applied") return;
    log.log("info", "authority_replaced", { why: isLost ? "lost" : "revoked" });
    await this.#dropTokens();
  }

  /** Tokens name the authority that was; and the revoked machine may hold one. */
  async #dropTokens(): Promise<void> {
    const { group } = this.#parts;
    for (const { tokenId } of group.catalogue.tokens()) {
      await group.propose({ kind: "delete_token", tokenId }, { timeoutMs: CHANGE_TIMEOUT_MS });
    }
  }

  /** The authority that the catalogue names, if this node has reason to believe in it. */
  async #wanted(): Promise<AuthorityChain | undefined> {
    const { authority } = this.#member();
    const row = this.#parts.group.catalogue.findSetting(AUTHORITY_KEY);
    if (row === undefined) return authority;
    const chain = await parseChain(row.value);
    if (chain === undefined) return this.#doubt("it can't be read");
    if (isSame(chain, authority)) return authority;
    if (await isSuccessor(chain, authority)) return chain;
    return this.#doubt("no authority that this node knows has signed it");
  }

  #doubt(reason: string): undefined {
    this.#say(`The catalogue's authority is not believed: ${reason}`);
    return undefined;
  }

  /** Gets a certificate of the wanted authority, and goes over to it with that. */
  async #follow(wanted: AuthorityChain): Promise<void> {
    const { stored, clock, useIdentity, log } = this.#parts;
    const { authority, signer } = this.#member();
    const made = this.#made.find((one) => isSame(one, wanted));
    if (isSame(wanted, authority) && !stored.needsCertificate) return;
    const { publicKey } = stored.key;
    const nowMs = clock.nowMs();
    const holder = made ?? (signer !== undefined && isSame(signer, wanted) ? signer : undefined);
    const certificate = holder !== undefined
      ? await issueCertificate(holder, { publicKey, nowMs })
      : await this.#firstAnswer((peer) => this.#fetchCertificate(peer, wanted));
    if (certificate === undefined) return;
    const identity = await stored.useAuthority(wanted, certificate);
    if (made !== undefined) await stored.keepSigner(made);
    this.#made = [];
    useIdentity(identity);
    log.log("info", "certificate_replaced", { cluster: identity.clusterId });
  }

  /** @throws UnavailableError when the peer's authority is still another one. */
  async #fetchCertificate(
    peer: PeerAddress,
    wanted: AuthorityChain,
  ): Promise<Uint8Array<ArrayBuffer>> {
    const { stored, clock } = this.#parts;
    const certificate = await askForCertificate(this.#parts, peer, stored.key.publicKey);
    const ways = { authorityKey: wanted.publicKey, nowMs: clock.nowMs() };
    const judged = await judgeCertificate(certificate, ways);
    if (judged.kind === "valid" && judged.nodeId === stored.nodeId) return certificate;
    throw new UnavailableError("peer_lost", "A voter's certificate is another authority's");
  }

  /** The key is fetched when this node votes, and goes when it does not and those who do have it. */
  async #keepKeyRight(): Promise<boolean> {
    const { group, nodeId, stored, log } = this.#parts;
    const { authority, signer } = this.#member();
    const { voters } = group.view().configuration;
    if (voters.includes(nodeId)) {
      if (signer !== undefined && isSame(signer, authority)) return this.#noteHeld();
      return await this.#fetchKey(authority);
    }
    if (signer === undefined || voters.length === 0) return true;
    const others = voters.map((voter) => this.#addressed(voter));
    const words = await Promise.all(
      others.map((peer) =>
        askWhetherHeld(this.#parts, peer, authority.publicKey).catch(() => false)
      ),
    );
    // A minority that is lost must not take the key with it.
    if (words.filter((held) => held).length * 2 <= voters.length) return false;
    await stored.dropSigner();
    log.log("info", "authority_key_dropped", { why: "this node does not vote" });
    return true;
  }

  async #fetchKey(authority: AuthorityChain): Promise<boolean> {
    const { stored, clock, log } = this.#parts;
    this.#lackedSinceMs ??= clock.monotonicMs();
    const signer = await this.#firstAnswer(async (peer) => {
      const privateKeyPem = await askForKey(this.#parts, peer, authority.publicKey);
      return await parseAuthority({ chainPem: authority.chainPem, privateKeyPem });
    });
    if (signer === undefined) {
      if (this.#isLost()) this.#say("No voter that answers holds the authority's key");
      return false;
    }
    await stored.keepSigner(signer);
    log.log("info", "authority_key_kept", { why: "this node votes" });
    return this.#noteHeld();
  }

  #noteHeld(): true {
    this.#lackedSinceMs = undefined;
    return true;
  }

  #isLost(): boolean {
    const { clock } = this.#parts;
    return this.#lackedSinceMs !== undefined &&
      clock.monotonicMs() - this.#lackedSinceMs >= LOST_AFTER_MS;
  }

  /** Of the voters, the leader first, then of all others: one that votes no more may be the last that has the key. */
  async #firstAnswer<T>(
    ask: (peer: PeerAddress) => Promise<T | undefined>,
  ): Promise<T | undefined> {
    const { group, nodeId } = this.#parts;
    const { leader, configuration } = group.view();
    const members = admittedMembers(group.catalogue).map((row) => row.nodeId);
    const order = [...(leader === undefined ? [] : [leader]), ...configuration.voters, ...members];
    for (const peer of new Set(order)) {
      if (peer === nodeId || this.#closed) continue;
      try {
        const answer = await ask(this.#addressed(peer));
        if (answer !== undefined) return answer;
      } catch (error) {
        if (!isEdgeError(error)) throw error;
      }
    }
    return undefined;
  }

  #addressed(nodeId: NodeId): PeerAddress {
    return { nodeId, address: this.#parts.addressOf(nodeId) };
  }

  #member() {
    const { membership } = this.#parts.stored;
    if (membership === undefined) throw new UnavailableError("stopping", "this node has left");
    return membership;
  }

  #lookLater(): void {
    if (this.#closed) return;
    this.#timer?.cancel();
    this.#timer = this.#parts.clock.after(RETRY_MS, () => this.look());
  }

  /** Once for the same reason. */
  #say(reason: string): void {
    if (this.#saidWhy === reason) return;
    this.#saidWhy = reason;
    this.#parts.log.log("warn", "authority_not_right", { reason });
  }
}

function isSame(one: AuthorityChain, other: AuthorityChain): boolean {
  return equalBytes(one.publicKey, other.publicKey);
}
