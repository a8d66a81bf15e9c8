/** The public API's answers, as far as the page reads them (docs/CLUSTER.md). */

/** How a member is. */
export type Health =
  | "alive"
  | "asleep"
  | "fenced"
  | "suspect"
  | "down"
  | "left"
  | "pending"
  | "revoked";

/** One row of `/api/cluster/members`. */
export interface Member {
  readonly node_id: string;
  readonly name: string;
  readonly address: string;
  readonly api?: string;
  readonly health: Health;
  readonly role: "leader" | "voter" | "learner" | "none";
  readonly drained: boolean;
  readonly yields: boolean;
  readonly version: string;
  readonly cores?: number;
  readonly disk_free_bytes?: number;
  readonly devices?: readonly {
    readonly name: string;
    readonly description: string;
    readonly total_bytes: number;
    readonly free_bytes: number;
  }[];
  readonly load?: {
    readonly running_requests: number;
    readonly waiting_requests: number;
    readonly slots: number;
    readonly tokens_per_second: number;
    readonly available_bytes: number;
    readonly loaded_models: readonly string[];
    readonly split_models: readonly {
      readonly name: string;
      readonly shards: readonly {
        readonly node: string;
        readonly first_layer: number;
        readonly layer_count: number;
      }[];
    }[];
  };
}

/** `/api/cluster/status`, and a line of `/api/cluster/feed`. */
export interface Status {
  readonly cluster_id: string;
  readonly node_id: string;
  readonly name: string;
  readonly version: string;
  readonly health: "healthy" | "degraded" | "no_quorum" | "fenced";
  readonly changes: {
    readonly possible: boolean;
    readonly reason?: string;
    readonly since?: string;
  };
  readonly leader?: string;
  readonly term: number;
  readonly applied_index: number;
  readonly members: readonly Member[];
  readonly warnings: readonly string[];
}

/** A model of `/api/tags`. */
export interface Model {
  readonly name: string;
  readonly modified_at: string;
  readonly size: number;
  readonly digest: string;
  readonly local?: boolean;
  readonly details: {
    readonly family: string;
    readonly parameter_size: string;
    readonly quantization_level: string;
    readonly context_length?: number;
  };
  readonly capabilities?: readonly string[];
}

/** A row of `/api/cluster/placement`. */
export interface Placement {
  readonly name: string;
  readonly digest: string;
  /** Names of the nodes that hold it whole. */
  readonly nodes: readonly string[];
  /** Names of the nodes that people want it on. */
  readonly pins: readonly string[];
}

/** A row of `/api/cluster/transfers`. Bytes. */
export interface Transfer {
  readonly node: string;
  readonly model: string;
  readonly total: number;
  readonly completed: number;
}

/** A loaded copy of `/api/ps`. */
export interface LoadedCopy {
  readonly name: string;
  readonly size: number;
  readonly size_vram: number;
  readonly expires_at: string;
  readonly context_length: number;
  readonly node?: string;
}

/** A row of `/api/cluster/requests`. */
export interface RequestRow {
  readonly id: string;
  readonly at: string;
  readonly path: string;
  readonly model: string;
  readonly state: "running" | "answered" | "failed" | "canceled";
  readonly status?: number;
  /** The node that took it in. */
  readonly entry: string;
  /** The node that computes it, or did last; absent while it has none. */
  readonly node?: string;
  readonly moves: number;
  readonly prompt_tokens?: number;
  readonly tokens?: number;
  readonly first_token_ms?: number;
  readonly duration_ms: number;
}

/** A node that a request could have gone to. */
export interface Score {
  readonly node_id: string;
  readonly name: string;
  readonly rank: string;
  readonly expected_ms: number;
  readonly wake_ms: number;
  readonly hop_ms: number;
  readonly queue_ms: number;
  readonly load_ms: number;
  readonly move_ms: number;
  readonly prefill_ms: number;
}

/** One of the `routes` of `/api/cluster/explain/ID`. */
export interface Route {
  readonly at: string;
  readonly model: string;
  readonly prompt_tokens: number;
  readonly standing: "fresh" | "resumed";
  readonly outcome: string;
  readonly chosen: Score | null;
  readonly runners_up: readonly Score[];
  readonly prompt_cache?: {
    readonly prompt_tokens: number;
    readonly reused_tokens: number;
    readonly source: string;
  };
  readonly excluded: readonly {
    readonly node_id: string;
    readonly name: string;
    readonly reason: string;
  }[];
}
