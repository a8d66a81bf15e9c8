import { errorMessage, hexOf, isEdgeError, RequestError, sha256 } from "../base/mod.ts";
import {
  type LocalModelOrder,
  modelKey,
  type NamedManifest,
  reconcileModels,
} from "../core/catalogue/mod.ts";
import { Exclusive, type ModelStore } from "../models/mod.ts";
import type { CatalogEntry, Clock, Log, ModelCatalog } from "../ports/mod.ts";
import { CATALOGUE_MANIFEST_BYTES_MAX, displayModelName, type ModelName } from "../protocol/mod.ts";
import { type CatalogueGroup, CHANGE_TIMEOUT_MS, READ_TIMEOUT_MS } from "../group/mod.ts";
import type { KnownModels } from "./known_models.ts";
import { entryOf, type LocalModels } from "./replicated_catalog.ts";

/** What {@link LocalCopies} works with. */
export interface LocalCopiesParts {
  readonly group: CatalogueGroup;
  /** The manifests in this node's own folder. */
  readonly folder: ModelCatalog;
  readonly models: Pick<ModelStore, "isWholeHere" | "removeUnused">;
  readonly known: Pick<KnownModels, "has" | "note" | "forget" | "isKept" | "keep">;
  /** Told what the folder holds. */
  readonly locals: LocalModels;
  readonly clock: Clock;
  readonly log: Log;
  /** Clears old garbage out of the folder once, when it is first in line with the catalogue; absent = never. */
  readonly prune?: () => Promise<void>;
  /** Called after what {@link LocalCopies.held} says has changed. */
  readonly onHeldChanged?: () => void;
}

/** Looks at the whole folder this often besides: another program may have put models there. Milliseconds. */
const LOOK_AGAIN_MS = 60_000;
/** Pause after something failed. Milliseconds. */
const RETRY_MS = 1_000;
/** Models put into the catalogue at once: they share the log's writes. */
const IMPORTS_AT_ONCE_MAX = 32;
/** What "everything" is among the names that changed. */
const ALL = "all";

/**
 * Keeps this node's folder in line with the cluster's catalogue: what was deleted or replaced anywhere goes here too, and
 * what the folder has and the cluster never had is put into the catalogue, or stays as this node's own where the name is taken.
 * Nothing is judged before the catalogue is known to be up to date: to a node that replays its log, a model that it
 * acknowledged yesterday looks deleted.
 */
export class LocalCopies {
  readonly #parts: LocalCopiesParts;
  readonly #turns = new Exclusive();
  /** By model key: names to look at again; {@link ALL} once that is cheaper to say. */
  #changed: Map<string, ModelName> | typeof ALL = ALL;
  /** Model key to digest of manifests that the folder and the catalogue agree on and whose blobs are all here. */
  readonly #held = new Map<string, string>();
  /** By model key: what the folder held when it was last looked at. */
  readonly #inFolder = new Map<string, ModelName>();
  /** Rows of the catalogue up to this revision have been looked at. */
  #seenRevision = 0;
  #hasNews = false;
  #lastFailure: string | undefined;
  #isUpToDate = false;
  #isClosed = false;
  #wake: () => void = () => {};
  #loop: Promise<void> = Promise.resolve();
  readonly #first = Promise.withResolvers<void>();

  constructor(parts: LocalCopiesParts) {
    this.#parts = parts;
  }

  /** Resolves when folder and catalogue were brought in line for the first time; never before a quorum answers. */
  get settledOnce(): Promise<void> {
    return this.#first.promise;
  }

  /** Begins to follow the catalogue, until {@link close}. */
  start(): void {
    this.#loop = this.#follow();
  }

  /** Resolves when nothing is written any more. */
  async close(): Promise<void> {
    this.#isClosed = true;
    this.#wake();
    await this.#loop;
    await this.#turns.run(async () => {});
  }

  /** Digests of manifests that this node holds whole, sorted. */
  held(): readonly string[] {
    return [...new Set(this.#held.values())].sort();
  }

  /** The catalogue has changed somewhere. Cheap: where is found out once for many calls. */
  noteNews(): void {
    this.#hasNews = true;
    this.#wake();
  }

  /** These names, or anything in catalogue and folder, must be looked at. */
  noteChanged(names: readonly ModelName[] | typeof ALL): void {
    if (names === ALL) this.#changed = ALL;
    else if (this.#changed !== ALL) {
      for (const name of names) this.#changed.set(modelKey(name), name);
    }
    this.#wake();
  }

  /**
   * Looks at names that this node has just changed in the catalogue, and so knows the latest of. Never throws: what could
   * not be written is tried again later.
   */
  async settle(names: readonly ModelName[]): Promise<void> {
    try {
      await this.#turns.run(() => this.#reconcile(names, { isCurrent: true }));
    } catch (error) {
      this.#failed(error);
      this.noteChanged(names);
    }
  }

  /**
   * Puts a model into the folder that the cluster can't be told of now; it is offered once a quorum answers.
   *
   * @throws RequestError `conflict` where the folder's place for the name is taken by a model kept beside the cluster's.
   */
  async putLocal(name: ModelName, bytes: Uint8Array): Promise<void> {
    const { folder, known, locals } = this.#parts;
    await this.#turns.run(async () => {
      const aside = locals.findAside(name);
      if (aside !== undefined) throw isTaken(aside.name);
      const before = await folder.find(name);
      // Before the folder: what was the cluster's once, and is made here again, is this node's own now.
      const manifestDigest = hexOf(sha256(bytes));
      await known.forget([{ name: before?.name ?? name, manifestDigest }]);
      await folder.put(name, bytes);
      locals.note(name, await folder.find(name));
    });
    this.#log("info", "local_model_made", { model: displayModelName(name) });
    this.noteChanged([name]);
  }

  /** Takes one of this node's own models out of its folder. False when it is none any more. */
  async deleteLocal(name: ModelName): Promise<boolean> {
    const { folder, known, locals } = this.#parts;
    const wasThere = await this.#turns.run(async () => {
      const own = locals.find(name);
      if (own === undefined) return false;
      await folder.delete(own.name);
      await known.forget([own]);
      locals.note(own.name, undefined);
      // The cluster's model of the name may have waited for the place.
      await this.#reconcile([own.name], { isCurrent: false });
      return true;
    });
    return wasThere;
  }

  async #follow(): Promise<void> {
    await this.#lookHere();
    let hasPruned = false;
    while (!this.#isClosed) {
      let names = this.#takeChanged();
      let isCurrent = false;
      try {
        isCurrent = await this.#catchUp();
        names = this.#withNews(names);
        await this.#turns.run(() => this.#reconcile(names, { isCurrent }));
        if (!hasPruned) {
          hasPruned = true;
          await this.#parts.prune?.();
        }
        this.#lastFailure = undefined;
        this.#first.resolve();
      } catch (error) {
        this.noteChanged(names);
        this.#failed(error);
        await this.#pause(RETRY_MS);
        continue;
      }
      const pending = isCurrent ? [] : this.#parts.locals.pending();
      if (pending.length > 0) {
        this.noteChanged(pending);
        await this.#pause(RETRY_MS);
        continue;
      }
      if (this.#hasChanged() || this.#isClosed) continue;
      await this.#untilWoken(LOOK_AGAIN_MS);
      if (!this.#hasChanged()) this.noteChanged(ALL);
    }
  }

  /** Adds what the catalogue says anew: rows that changed, and names of the folder that it no longer has. */
  #withNews(names: readonly ModelName[] | typeof ALL): readonly ModelName[] | typeof ALL {
    const { catalogue } = this.#parts.group;
    const seen = this.#seenRevision;
    this.#hasNews = false;
    this.#seenRevision = catalogue.appliedIndex;
    if (names === ALL) return ALL;
    const fresh = catalogue.models().filter(({ revision }) => revision > seen);
    const gone = [...this.#inFolder.values()].filter((name) => !catalogue.findModel(name));
    return [...names, ...fresh.map(({ name }) => name), ...gone];
  }

  /** What is here is served from the start on, whether or not a quorum answers. */
  async #lookHere(): Promise<void> {
    const { folder } = this.#parts;
    try {
      await this.#turns.run(async () => await this.#noteLocals(ALL, await folder.list()));
    } catch (error) {
      this.#failed(error);
    }
  }

  /** Whether the catalogue holds all that was acknowledged before; at the first time nothing is done without that. */
  async #catchUp(): Promise<boolean> {
    const { group } = this.#parts;
    if (!this.#isUpToDate) {
      await group.read(() => {}, { timeoutMs: READ_TIMEOUT_MS });
      this.#isUpToDate = true;
      return true;
    }
    const { consistency } = await group.readOrStale(() => {}, { waitMs: READ_TIMEOUT_MS });
    return consistency === "linearizable";
  }

  async #reconcile(
    names: readonly ModelName[] | typeof ALL,
    { isCurrent }: { readonly isCurrent: boolean },
  ): Promise<void> {
    const { known } = this.#parts;
    const found = await this.#localEntries(names);
    await this.#noteLocals(names, found);
    const local = byKey(found);
    const wanted = byKey(this.#catalogueEntries(names));
    const whole = new Set<string>();
    for (const entry of wanted.values()) {
      if (await this.#parts.models.isWholeHere(entry.manifest)) whole.add(entry.manifestDigest);
    }
    const orders = reconcileModels({
      local: [...local.values()],
      catalogue: [...wanted.values()],
      isKnown: (model) => known.has(model),
      isKept: (model) => known.isKept(model),
      isCurrent,
      isWholeHere: (digest) => whole.has(digest),
    });
    await this.#removeAndWrite(orders, { local, wanted });
    this.#noteFolder(names, { orders, local });
    this.#noteHeld(names, { wanted, whole });
    await this.#importAll(orders, local);
  }

  /** A model that lacks a blob is nobody's yet: another program may still be writing it. */
  async #noteLocals(
    names: readonly ModelName[] | typeof ALL,
    found: readonly CatalogEntry[],
  ): Promise<void> {
    const { locals, known, models } = this.#parts;
    const own: CatalogEntry[] = [];
    for (const entry of found) {
      if (!known.has(entry) && await models.isWholeHere(entry.manifest)) own.push(entry);
    }
    if (names === ALL) return locals.noteAll(own);
    for (const name of names) locals.note(name, undefined);
    for (const entry of own) locals.note(entry.name, entry);
  }

  async #removeAndWrite(
    orders: readonly LocalModelOrder[],
    entries: { readonly local: Entries; readonly wanted: Entries },
  ): Promise<void> {
    const { known, folder, models } = this.#parts;
    const { local, wanted } = entries;
    const writes = orders.filter((order) => order.kind === "write");
    const removals = orders.filter((order) => order.kind === "remove");
    const kept = orders.filter((order) => order.kind === "keep");
    const agreed = [...wanted].filter(([key, entry]) => isSame(local.get(key), entry))
      .map(([, entry]) => entry);
    // Before the folder: a crash in between must leave a name too many among the known, never one too few.
    await known.note([...agreed, ...writes]);
    for (const { name } of writes) {
      const entry = wanted.get(modelKey(name));
      if (entry !== undefined) await folder.put(name, entry.bytes);
    }
    const written = new Set(writes.map(({ name }) => modelKey(name)));
    for (const { name } of removals) {
      if (!written.has(modelKey(name))) await folder.delete(name);
    }
    await known.forget(removals);
    for (const { name, because } of removals) {
      this.#log("info", "local_model_removed", { model: displayModelName(name), because });
    }
    await known.keep(kept);
    for (const { name } of kept) {
      const model = displayModelName(name);
      const as = displayModelName(this.#parts.locals.findAside(name)?.name ?? name);
      this.#log("warn", "local_model_kept", { model, as, because: "the cluster has the name" });
    }
    const freed = removals.flatMap(({ name }) => local.get(modelKey(name)) ?? []);
    if (freed.length > 0) await models.removeUnused(freed.map(({ manifest }) => manifest));
  }

  #noteFolder(
    names: readonly ModelName[] | typeof ALL,
    done: { readonly orders: readonly LocalModelOrder[]; readonly local: Entries },
  ): void {
    if (names === ALL) this.#inFolder.clear();
    else for (const name of names) this.#inFolder.delete(modelKey(name));
    for (const [key, { name }] of done.local) this.#inFolder.set(key, name);
    for (const { kind, name } of done.orders) {
      // A removal comes before the write that replaces it.
      if (kind === "remove") this.#inFolder.delete(modelKey(name));
      if (kind === "write") this.#inFolder.set(modelKey(name), name);
    }
  }

  #noteHeld(
    names: readonly ModelName[] | typeof ALL,
    found: { readonly wanted: Entries; readonly whole: ReadonlySet<string> },
  ): void {
    const before = this.held().join();
    if (names === ALL) this.#held.clear();
    else for (const name of names) this.#held.delete(modelKey(name));
    for (const [key, { manifestDigest }] of found.wanted) {
      if (found.whole.has(manifestDigest)) this.#held.set(key, manifestDigest);
    }
    if (this.held().join() !== before) this.#parts.onHeldChanged?.();
  }

  async #importAll(orders: readonly LocalModelOrder[], local: Entries): Promise<void> {
    const entries = orders.filter(({ kind }) => kind === "import")
      .flatMap(({ name }) => local.get(modelKey(name)) ?? []);
    for (let at = 0; at < entries.length; at += IMPORTS_AT_ONCE_MAX) {
      const batch = entries.slice(at, at + IMPORTS_AT_ONCE_MAX);
      await Promise.all(batch.map((entry) => this.#import(entry)));
    }
  }

  /** @throws UnavailableError `no_quorum`; refusals are told to the log. */
  async #import(entry: CatalogEntry): Promise<void> {
    const { group, known, models } = this.#parts;
    // Whoever makes a model here meanwhile must not wait for what can't be told.
    if (group.quorumLostAtMs !== undefined) return this.noteChanged([entry.name]);
    const model = displayModelName(entry.name);
    const isWhole = await models.isWholeHere(entry.manifest);
    if (!isWhole || entry.bytes.length > CATALOGUE_MANIFEST_BYTES_MAX) {
      const reason = isWhole ? "its manifest is too long" : "some of its blobs are missing";
      return this.#log("warn", "local_model_not_shared", { model, reason });
    }
    const outcome = await group.propose({
      kind: "put_model",
      name: entry.name,
      manifest: entry.bytes,
      atMs: Math.max(0, Math.floor(entry.modifiedAtMs)),
      // Another node may have the same name, and be first.
      expected: 0,
    }, { timeoutMs: CHANGE_TIMEOUT_MS });
    if (outcome.kind === "applied") {
      await known.note([entry]);
      this.#log("info", "local_model_shared", { model });
    } else if (outcome.reason !== "already_exists") {
      return this.#log("warn", "local_model_not_shared", { model, reason: outcome.reason });
    }
    // What the catalogue now says of the name decides, whoever put it there.
    this.noteChanged([entry.name]);
  }

  async #localEntries(names: readonly ModelName[] | typeof ALL): Promise<readonly CatalogEntry[]> {
    const { folder } = this.#parts;
    if (names === ALL) return await folder.list();
    const found = await Promise.all(names.map((name) => folder.find(name)));
    return found.filter((entry) => entry !== undefined);
  }

  #catalogueEntries(names: readonly ModelName[] | typeof ALL): readonly CatalogEntry[] {
    const { catalogue } = this.#parts.group;
    const models = names === ALL
      ? catalogue.models()
      : names.flatMap((name) => catalogue.findModel(name) ?? []);
    return models.flatMap((model) => entryOf(model) ?? []);
  }

  #takeChanged(): readonly ModelName[] | typeof ALL {
    const changed = this.#changed;
    this.#changed = new Map();
    return changed === ALL ? ALL : [...changed.values()];
  }

  #hasChanged(): boolean {
    return this.#hasNews || this.#changed === ALL || this.#changed.size > 0;
  }

  #failed(error: unknown): void {
    // Anything but a foreseen failure is our bug, and hiding it in a retry would keep it.
    if (!isEdgeError(error)) throw error;
    const reason = errorMessage(error);
    // Tried again each second for as long as it takes: the log need not say so each time.
    if (reason === this.#lastFailure) return;
    this.#lastFailure = reason;
    this.#log("warn", "local_models_not_settled", { reason });
  }

  async #pause(delayMs: number): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const timer = this.#parts.clock.after(delayMs, resolve);
    if (!this.#isClosed) {
      this.#wake = () => this.#isClosed && resolve();
      await promise;
    }
    this.#wake = () => {};
    timer.cancel();
  }

  async #untilWoken(delayMs: number): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const timer = this.#parts.clock.after(delayMs, resolve);
    this.#wake = resolve;
    await promise;
    this.#wake = () => {};
    timer.cancel();
  }

  #log(
    level: "info" | "warn",
    event: string,
    values: Readonly<Record<string, string>>,
  ): void {
    this.#parts.log.log(level, event, values);
  }
}

function isTaken(name: ModelName): RequestError {
  const shown = displayModelName(name);
  const text = `this node keeps a model of its own as "${shown}", where this one would go: ` +
    "copy it to another name and remove it, or choose another name for this one";
  return new RequestError("conflict", text);
}

/** Entries by model key. */
type Entries = ReadonlyMap<string, CatalogEntry>;

function byKey(entries: readonly CatalogEntry[]): Entries {
  return new Map(entries.map((entry) => [modelKey(entry.name), entry]));
}

function isSame(left: NamedManifest | undefined, right: NamedManifest): boolean {
  return left?.manifestDigest === right.manifestDigest;
}
