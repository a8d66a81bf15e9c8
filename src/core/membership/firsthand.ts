import { keepMap, type NodeId, type StateKeeper } from "../../base/mod.ts";
import type {
  LifeStamp,
  SyncRow,
  ValueDelta,
  ValueEntry,
  ValueRumor,
  ValueWant,
} from "../../protocol/mod.ts";
import type { Contact } from "./events.ts";
import { isLive, type Member } from "./roster.ts";
import { claimOfSelf, type Shared } from "./shared.ts";
import type { Voice } from "./voice.ts";

/** Members told, and members asked, in one turn: a connection may have to be made for each. */
const TURN_MEMBERS_MAX = 64;
/** How long what others say of a member's values waits for the member's own word, which is on its way as a rule. */
const GRACE_MS = 1_000;
/** Milliseconds between two questions to one member. */
const ASK_GAP_MS = 1_000;
/** Questions after which a member has nothing more, as far as this node can find out. */
const ASKS_MAX = 3;
/** Statements of others about one member that wait for its own word. */
const HEARSAY_MAX = 4;
/** Bytes of a value that is kept to be compared with what its owner says. */
const HEARSAY_BYTES_MAX = 1_024;

/** What somebody says of another member's values, until that member was asked. */
interface Hearsay {
  readonly from: NodeId;
  readonly version: number;
  readonly entry: ValueEntry | undefined;
}

interface Want {
  readonly bootEpoch: number;
  version: number;
  dueMs: number;
  asks: number;
  readonly hearsay: Hearsay[];
}

type Holder = Pick<Member, "nodeId" | "bootEpoch" | "values">;

/**
 * Application values go from their owner to each member over the connection of the two, which proves whose they are. What
 * a third member says of them is a reason to ask the owner, never a value.
 */
export class Firsthand {
  readonly #shared: Shared;
  readonly #voice: Voice;
  /** Members that may lack something of this node's values, longest first. */
  readonly #due = new Set<NodeId>();
  readonly #wants = new Map<NodeId, Want>();

  constructor(shared: Shared, voice: Voice) {
    this.#shared = shared;
    this.#voice = voice;
  }

  /** Somebody is to be told or asked. */
  get isDue(): boolean {
    return this.#due.size + this.#wants.size > 0;
  }

  /** This node's values are others than before, or begin anew with its life. */
  changed(): void {
    for (const member of this.#shared.roster.all()) if (isLive(member)) this.onLive(member);
  }

  /** A member is there, perhaps for the first time. */
  onLive(member: Member): void {
    if (member.toldVersion < this.#shared.self.values.version) this.#due.add(member.nodeId);
  }

  /** Tells and asks who is due. */
  turn(): void {
    const { self, roster, coreMs } = this.#shared;
    let told = 0;
    for (const nodeId of this.#due) {
      if (told >= TURN_MEMBERS_MAX || self.leaving) break;
      this.#due.delete(nodeId);
      const member = roster.find(nodeId);
      if (member === undefined || !isLive(member)) continue;
      if (member.toldVersion >= self.values.version) continue;
      this.#tell(member);
      told++;
    }
    let asked = 0;
    for (const [nodeId, want] of this.#wants) {
      if (asked >= TURN_MEMBERS_MAX) break;
      const member = roster.find(nodeId);
      if (member?.bootEpoch !== want.bootEpoch || want.asks >= ASKS_MAX) {
        this.#wants.delete(nodeId);
      } else if (want.dueMs <= coreMs) {
        this.#ask(member, want);
        asked++;
      }
    }
  }

  /** Takes a value, or word of one, that rode on a datagram. */
  hearRumor(from: Contact, rumor: ValueRumor): void {
    const held = this.#holderOf(rumor);
    if (held === undefined) return;
    const { version, entry } = rumor;
    if (from.nodeId !== held.nodeId) {
      this.#weigh(held, { from: from.nodeId, version, entry });
      return;
    }
    if (entry === undefined) return this.#hearVersion(held, version);
    if (!held.values.applyRumor(entry)) return;
    this.#tellChanged(held, [entry.key]);
  }

  /** Takes how far the speaker has a member's values. */
  hearRow(from: Contact, row: SyncRow): void {
    const held = this.#holderOf(row.claim);
    if (held === undefined) return;
    const version = row.valueVersion;
    if (from.nodeId === held.nodeId) return this.#hearVersion(held, version);
    this.#weigh(held, { from: from.nodeId, version, entry: undefined });
  }

  /** Takes changes. */
  hearDelta(from: Contact, delta: ValueDelta): void {
    const held = this.#holderOf(delta);
    if (held === undefined) return;
    if (from.nodeId !== held.nodeId) return this.#weighDelta(held, from.nodeId, delta);
    const keys = held.values.applyDelta(delta);
    if (keys.length > 0) this.#tellChanged(held, keys);
    // It begins beyond what is known here: something was lost on the way.
    if (held.values.version < delta.toVersion) return this.#hearVersion(held, delta.toVersion);
    this.#judge(held, delta);
  }

  /** What is to be sent to somebody who asks; of this node itself always something, so that the asker may rest. */
  answer(want: ValueWant): ValueDelta | undefined {
    const { self } = this.#shared;
    const held = this.#holderOf(want);
    if (held === undefined) return undefined;
    const delta = deltaOf(held, want);
    return held.nodeId === self.nodeId || delta.toVersion > want.fromVersion ? delta : undefined;
  }

  keep(keeper: StateKeeper): void {
    for (const nodeId of keeper.keep([...this.#due])) this.#due.add(nodeId);
    keepMap(keeper, this.#wants);
  }

  #tell(member: Member): void {
    const { self } = this.#shared;
    // Who has not heard of this life yet could do nothing with its values.
    const { version: valueVersion, collectedVersion } = self.values;
    const own = { claim: claimOfSelf(self), goneSeconds: 0, valueVersion, collectedVersion };
    const rows = member.toldVersion === 0 ? [own] : [];
    const delta = deltaOf(self, { fromVersion: member.toldVersion, collectedVersion: 0 });
    member.toldVersion = delta.toVersion;
    this.#voice.sendSync(member, { kind: "sync_update", rows, deltas: [delta], wants: [] });
  }

  #ask(member: Holder, want: Want): void {
    const { coreMs, roster } = this.#shared;
    want.asks++;
    want.dueMs = coreMs + ASK_GAP_MS;
    const { nodeId, bootEpoch, values } = member;
    const { version: fromVersion, collectedVersion } = values;
    const wants = [{ nodeId, bootEpoch, fromVersion, collectedVersion }];
    const contact = roster.find(nodeId) ?? { nodeId, address: "" };
    this.#voice.sendSync(contact, { kind: "sync_update", rows: [], deltas: [], wants });
  }

  /** The owner itself says that it has come to this version. */
  #hearVersion(held: Holder, version: number): void {
    if (version <= held.values.version || held.nodeId === this.#shared.self.nodeId) return;
    const want = this.#want(held, version);
    if (want.asks === 0 || want.dueMs <= this.#shared.coreMs) this.#ask(held, want);
  }

  #want(held: Holder, version: number): Want {
    const { nodeId, bootEpoch } = held;
    const known = this.#wants.get(nodeId);
    if (known?.bootEpoch === bootEpoch) {
      known.version = Math.max(known.version, version);
      return known;
    }
    const dueMs = this.#shared.coreMs + GRACE_MS;
    const want: Want = { bootEpoch, version, dueMs, asks: 0, hearsay: [] };
    this.#wants.set(nodeId, want);
    return want;
  }

  /** Compares what somebody says of another's values with what that one said, or has it asked; false = it is a lie. */
  #weigh(held: Holder, hearsay: Hearsay): boolean {
    const { entry, version, from } = hearsay;
    if (version <= held.values.version) {
      if (entry === undefined || !held.values.contradicts(entry)) return true;
      this.#noteLie(from, held.nodeId, entry);
      return false;
    }
    if (held.nodeId === this.#shared.self.nodeId) {
      this.#noteLie(from, held.nodeId, hearsay);
      return false;
    }
    const want = this.#want(held, version);
    const isShort = (entry?.value?.length ?? 0) <= HEARSAY_BYTES_MAX;
    const isSaid = want.hearsay.some((said) => said.from === from && said.version === version);
    if (!isSaid && want.hearsay.length < HEARSAY_MAX) {
      want.hearsay.push(isShort ? hearsay : { from, version, entry: undefined });
    }
    return true;
  }

  #weighDelta(held: Holder, from: NodeId, delta: ValueDelta): void {
    for (const entry of delta.entries) {
      if (!this.#weigh(held, { from, version: entry.version, entry })) return;
    }
    this.#weigh(held, { from, version: delta.toVersion, entry: undefined });
  }

  /** The owner has spoken: what others said meanwhile is true or was made up. */
  #judge(held: Holder, delta: ValueDelta): void {
    const want = this.#wants.get(held.nodeId);
    if (want === undefined) return;
    const { version } = held.values;
    // Only an answer has no changes, and it was given after the question.
    const isAll = want.asks > 0 && delta.entries.length === 0;
    const open: Hearsay[] = [];
    for (const hearsay of want.hearsay.splice(0)) {
      const { from, entry } = hearsay;
      if (hearsay.version > version) {
        if (isAll) this.#noteLie(from, held.nodeId, hearsay);
        else open.push(hearsay);
      } else if (entry !== undefined && held.values.contradicts(entry)) {
        this.#noteLie(from, held.nodeId, entry);
      }
    }
    want.hearsay.push(...open);
    if (isAll || version >= want.version) this.#wants.delete(held.nodeId);
  }

  #noteLie(
    from: NodeId,
    about: NodeId,
    said: { readonly version: number; readonly key?: string },
  ): void {
    const what = `value ${said.key ?? ""} of version ${said.version}, which it does not have`;
    const values = { from, about, what };
    this.#shared.effects.push({ kind: "note", event: "lie_refused", values });
  }

  #tellChanged({ nodeId }: Holder, keys: readonly string[]): void {
    this.#shared.effects.push({ kind: "values_changed", nodeId, keys });
  }

  /** Who lives this life, as far as known. */
  #holderOf(life: Pick<LifeStamp, "bootEpoch"> & { readonly nodeId: NodeId }): Holder | undefined {
    const { self, roster } = this.#shared;
    const held: Holder | undefined = life.nodeId === self.nodeId ? self : roster.find(life.nodeId);
    return held?.bootEpoch === life.bootEpoch ? held : undefined;
  }
}

/** What a holder has of its values beyond what an asker has. */
export function deltaOf(
  holder: Holder,
  asker: { readonly fromVersion: number; readonly collectedVersion: number },
): ValueDelta {
  const { nodeId, bootEpoch, values } = holder;
  return { nodeId, bootEpoch, ...values.deltaSince(asker) };
}
