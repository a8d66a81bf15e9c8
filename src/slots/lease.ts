import type { NodeId } from "../base/mod.ts";
import type { LoadSettings } from "../protocol/mod.ts";
import type { ResolvedLoad } from "../models/mod.ts";
import type { Lease, SlotRequest } from "./scheduler_driver.ts";

/** A model and how it is to be loaded, in words that mean the same on every node. */
export interface WantedModel {
  /** As displayed; for people. */
  readonly name: string;
  /** SHA-256 hex of the manifest: which model it really is. */
  readonly manifestDigest: string;
  readonly load: ResolvedLoad;
  /** Milliseconds, Infinity = forever; undefined = as it is kept now. */
  readonly keepAliveMs: number | undefined;
}

/** Who asks for a slot, wherever it may be. */
export interface LeaseRequest extends SlotRequest {
  /** For this node, and useless (without a path) where its blobs are not here. */
  readonly settings: LoadSettings;
  readonly wanted: WantedModel;
  /** Estimated, >= 0. */
  readonly promptTokens: number;
  /** The prompt as far as it is a text, to find the node that has computed its beginning; "" = none. */
  readonly promptText: string;
  /** Nodes under which this request was lost before, oldest first. */
  readonly avoid: readonly NodeId[];
  /** What the client's answer is labelled with; not unique. */
  readonly label?: string;
}

/** A model to be unloaded wherever it is loaded. */
export interface UnloadTarget {
  /** As displayed. */
  readonly name: string;
  readonly modelKey: string;
  readonly manifestDigest: string;
  readonly mode: LoadSettings["mode"];
}

/** Slots on loaded models, of this node or of a whole cluster. */
export interface LeaseSource {
  /**
   * Resolves with a slot on a loaded model.
   *
   * @throws RequestError `model_too_large`; UnavailableError `queue_full`, `stopping`, `load_failed`, `peer_lost`; the
   *   signal's reason.
   */
  acquire(request: LeaseRequest, signal: AbortSignal): Promise<Lease>;
  /** Unloads the model once idle; does nothing when it is not loaded. */
  requestUnload(model: UnloadTarget): void;
}
