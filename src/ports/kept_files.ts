import type { NodeId } from "../base/mod.ts";
import type { QueuePlace } from "./model_api.ts";
import type {
  AnswerEntry,
  AnswerKey,
  AnswerOpening,
  CellsHeader,
  CellsWish,
  JournalHead,
} from "../protocol/mod.ts";

/**
 * Small files that only this user may read: keys and what belongs to them. A file that others may read is repaired when it
 * is read, and whoever made the folder is told. Calls are made one after another. Every call throws StorageError
 * `disk_full` or `storage_failed`; what a failed write was to replace is whole, old or new.
 */
export interface SecretFiles {
  /** The whole file, or undefined when there is none. */
  read(name: string): Promise<Uint8Array<ArrayBuffer> | undefined>;
  /** Replaces the file as a whole; it survives a crash once this resolves. */
  write(name: string, bytes: Uint8Array): Promise<void>;
  /** Absent is fine; survives a crash once this resolves. */
  remove(name: string): Promise<void>;
}

/** One small file that a node keeps over restarts. */
export interface KeptFile {
  /** Undefined when there is none. @throws StorageError `storage_failed` when it is there and can't be read. */
  read(): Promise<Uint8Array | undefined>;
  /** Replaces it as a whole; it survives a crash once this resolves. @throws StorageError `disk_full` or `storage_failed`. */
  write(bytes: Uint8Array): Promise<void>;
  /** Absent is fine. @throws StorageError `storage_failed`. */
  remove(): Promise<void>;
}

/** A response as it is kept: JSON that only who made it reads. */
export type ResponseRecord = Readonly<Record<string, unknown>>;

/** What was found under an id. */
export interface FoundResponse {
  readonly record: ResponseRecord;
  /** Undefined once the record is final. */
  readonly maker?: {
    /** Name or id of the node that works on it. */
    readonly node: string;
    /** Undefined when it is no member any more. */
    readonly nodeId?: NodeId;
    /** It does no longer: it was restarted, or is not there. */
    readonly isGone: boolean;
    readonly isSelf: boolean;
  };
}

/**
 * Responses that clients may come back for. Each is on the node that made it and on one other, where there is one; any node
 * finds it. The oldest go once there are too many, and every one after its time.
 */
export interface KeptResponses {
  /** Bytes of a record's JSON at most; a longer one can't be kept. */
  readonly recordBytesMax: number;
  /**
   * Replaces what was kept under the id. `isFinal`: nobody works on it any more. Resolves with the number of nodes that have
   * it on disk.
   *
   * @throws StorageError `disk_full` or `storage_failed` when this node can't keep it.
   */
  keep(id: string, record: ResponseRecord, options: { readonly isFinal: boolean }): Promise<number>;
  find(id: string): Promise<FoundResponse | undefined>;
  /** Tells from now on the ids of responses that lie here, are not final, and whose maker is gone; perhaps more than once. */
  attend(onOrphan: (id: string) => void): void;
  /** Whether there was one. A node that is away keeps its copy until the copy's time is over. */
  remove(id: string): Promise<boolean>;
}

/** Who wants a request ended. */
export interface RequestAsker {
  /** As `Exchange` has it; "" = nobody that another node could know. */
  readonly asker: string;
  readonly isAdmin: boolean;
}

/** What one node works on for clients, as others may ask about it. */
export interface ClientWork {
  /** Ends those requests of this id that the asker may end; how many that were. */
  cancelRequest(requestId: string, by: RequestAsker): number;
  /** Lines that a node tells of itself, or of a request; oldest first. Only for who may rule the cluster. */
  report(report: NodeReport): Promise<readonly Readonly<Record<string, unknown>>[]>;
  /** Those that the asker may know of. */
  listRequests(by: RequestAsker): readonly RequestRow[];
  /** Ends a response that is made here, and resolves once what there is of it is kept. False when none is. */
  cancelResponse(id: string): Promise<boolean>;
  /** What was said of a response so far and is still to come, a JSON each; undefined when it is not made here. */
  followResponse(id: string, signal: AbortSignal): AsyncIterable<string> | undefined;
}

/** What a node is asked to tell: its last lines, what it knows of a request or a trace, or which models are on their way to it. */
export type NodeReport =
  | { readonly about: "logs"; readonly lines: number }
  | { readonly about: "trace"; readonly id: string }
  | { readonly about: "transfers" };

/** A request for an answer, as people are shown it. */
export interface RequestRow {
  /** The `X-Request-Id` of its answer. */
  readonly id: string;
  readonly atMs: number;
  /** Of the endpoint. */
  readonly path: string;
  /** As it was asked for. */
  readonly model: string;
  readonly state: "running" | "answered" | "failed" | "canceled";
  /** Of HTTP; absent while it runs. */
  readonly status?: number;
  /** Name of the node that took it in. */
  readonly entry: string;
  /** Name of the node that computes it, or did last; absent while it has none. */
  readonly node?: string;
  /** How often it went on at another node. */
  readonly moves: number;
  /** Absent until they are known. */
  readonly promptTokens?: number;
  readonly tokens?: number;
  readonly firstTokenMs?: number;
  /** Where it stands, while it waits for a slot of the node that took it in. */
  readonly queued?: QueuePlace;
  /** So far, where it runs. */
  readonly durationMs: number;
}

/** The same on the other nodes. */
export interface WorkElsewhere {
  /** From now on other nodes are told of this node's work. Parts that come later replace those before. */
  attend(work: Partial<ClientWork>): void;
  /** On all nodes that answer; how many requests ended. */
  cancelRequest(requestId: string, by: RequestAsker): Promise<number>;
  /** A list of each node that answers. */
  report(report: NodeReport): Promise<readonly (readonly Readonly<Record<string, unknown>>[])[]>;
  /** Of all nodes that answer. */
  listRequests(by: RequestAsker): Promise<readonly RequestRow[]>;
  /** @throws UnavailableError `peer_lost`. */
  cancelResponse(id: string, nodeId: NodeId): Promise<boolean>;
  /**
   * Ends when the response has ended, also when it is not made there.
   *
   * @throws UnavailableError `peer_lost`, as soon as the connection ends: at the latest when gossip takes the node for dead.
   */
  followResponse(id: string, nodeId: NodeId, signal: AbortSignal): AsyncIterable<string>;
}

/** One answer as it was kept: what was asked, and what was told. */
export interface KeptAnswer {
  readonly head: JournalHead;
  readonly opening?: AnswerOpening;
  readonly entries: readonly AnswerEntry[];
  readonly state: "working" | "idle" | "ended";
}

/** The journal of an answer that this node makes. */
export interface OwnJournal {
  /** Before the first entry. */
  open(opening: AnswerOpening): void;
  /**
   * Resolves once the entry may be shown: when another node has it, too, or none can be had in time. Nothing is missing
   * behind the last one.
   *
   * @throws UnavailableError `peer_lost` when another node has taken the answer over, and this one must say nothing more.
   */
  tell(entry: AnswerEntry, options: { readonly isLast: boolean }): Promise<void>;
  /** `idle`: it can be gone on with. Resolves as {@link tell} does. */
  stand(state: KeptAnswer["state"]): Promise<void>;
  /** Nobody may come back for it: it failed before it began. */
  drop(): void;
  /** Absent = it is kept; else why not, for people. */
  notKept(): string | undefined;
  /** Nodes that have what was told so far. */
  copies(): Promise<number>;
}

/** An answer that is told once more, from some byte on. */
export interface FollowedAnswer {
  readonly opening: AnswerOpening;
  /**
   * Ends with the answer.
   *
   * @throws UnavailableError `peer_lost` when it breaks off, to be asked for once more.
   */
  readonly bytes: AsyncIterable<Uint8Array>;
}

/** From which byte on which answer is wanted. */
export interface AnswerPlace extends AnswerKey {
  readonly offset: number;
}

/** What the node's own HTTP does with its journals. */
export interface JournalWork {
  /** Tells an answer whose journal is this node's own, and goes on with it where nobody does. Undefined = it can't. */
  follow(
    kept: KeptAnswer,
    offset: number,
    signal: AbortSignal,
  ): Promise<FollowedAnswer | undefined>;
}

/**
 * Journals of answers, in the memory of the node that makes an answer and of one other. Any node finds them; whoever has the
 * copy goes on when the other one is gone.
 */
export interface AnswerJournals {
  attend(work: JournalWork): void;
  /** This machine as others see it: who asks on it without a key has asked from there. */
  readonly ownAddress: () => string;
  begin(head: JournalHead): OwnJournal;
  /** For one whose node is this one, after it stood idle. */
  reopen(head: JournalHead): OwnJournal;
  /** Somebody makes an answer of this name, as far as this node knows. */
  isBusy(key: AnswerKey): boolean;
  /** The journal on this node or on any other; what was asked, as its head tells. */
  find(key: AnswerKey): Promise<Pick<JournalHead, "fingerprint"> | undefined>;
  /**
   * Undefined = there is none, or nobody can go on with it.
   *
   * @throws RequestError `invalid_request` with status 416 for an offset beyond what is known, 410 for what was too large to
   *   be kept; UnavailableError `peer_lost` while a node that may have it says nothing.
   */
  follow(place: AnswerPlace, signal: AbortSignal): Promise<FollowedAnswer | undefined>;
}

/** This machine's key towards model registries (contract 2.4). The key itself never leaves its owner. */
export interface RegistryKey {
  /** Public key in SSH wire form, standard base64. */
  publicKey(): Promise<string>;
  /** Ed25519 signature of the text's UTF-8 bytes, standard base64. */
  sign(text: string): Promise<string>;
}

/** The files that the page in the browser is made of. */
export type PageFileName = "index.html" | "page.js" | "page.css" | "replayer.js";

/** Where they lie. */
export interface PageFiles {
  /** Undefined where the page is not built, as in sources that were only just fetched. */
  read(name: PageFileName): Promise<Uint8Array<ArrayBuffer> | undefined>;
}

/**
 * Cells that outlive the runner which computed them. `key` says what they hold for: files of the model, numeric class, kind of
 * cache, slots. What can't be written or read is as if it had never been kept.
 */
export interface CellStore {
  list(key: string): Promise<readonly CellsHeader[]>;
  /** Keeps them, instead of those that they begin with. */
  write(
    key: string,
    cells: {
      readonly header: CellsHeader;
      readonly state: Uint8Array;
      readonly replaces: readonly string[];
    },
  ): Promise<void>;
  read(key: string, id: string): Promise<Uint8Array | undefined>;
  remove(key: string, id: string): Promise<void>;
}

/** Cells that are whole. */
export interface WholeCells {
  readonly header: CellsHeader;
  readonly state: Uint8Array;
}

/** What moves cells between the nodes of a cluster. */
export interface CellPeers {
  /**
   * From now on the others may have what `give` finds, under this key.
   *
   * @returns To be called when it can give nothing any more.
   */
  offer(key: string, give: (wish: CellsWish) => Promise<WholeCells | undefined>): () => void;
  /**
   * Undefined = no keeper has what would come sooner than it is computed. What comes is to be checked by its header, and may
   * end early. Never rejects.
   */
  fetch(sought: SoughtCells): Promise<MovedCells | undefined>;
}

/** Cells that a runner would rather not compute. */
export interface SoughtCells {
  readonly key: string;
  readonly wish: CellsWish;
  /** Who may have them, best first. */
  readonly keepers: readonly NodeId[];
  /** What a token of a prompt takes here; absent = not measured. Milliseconds. */
  readonly msPerToken?: number;
}

/** Cells on their way from another node. */
export interface MovedCells {
  readonly header: CellsHeader;
  /** Fail where the other node is lost or too slow. */
  readonly parts: AsyncIterable<Uint8Array>;
}
