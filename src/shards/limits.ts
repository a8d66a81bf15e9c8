/** Workers that one peer may have of this node at once. */
export const SHARDS_PER_PEER_MAX = 16;
/** Connections of one peer to workers of this node at once: llama.cpp serves one at a time, and the next may come early. */
export const TUNNELS_PER_PEER_MAX = 64;
/** A lease of a worker with nothing to say says so after so long, either way. Milliseconds. */
export const SHARD_BEAT_MS = 150;
/** What silence of the other end is borne: all who compute a model wait for it. Milliseconds. */
export const SHARD_SILENCE_MS = 750;
/** How long a node may take until its first word, the connection to it included. Milliseconds. */
export const SHARD_CONNECT_MS = 2_000;
/** How long a worker's node may take until the worker is there: it may have to end other models first. Milliseconds. */
export const SHARD_GRANT_MS = 20_000;
/** How long a worker may take until it can be connected to. Milliseconds. */
export const WORKER_START_MS = 10_000;
/** How long a worker may take to answer what a leader asks before it loads: what it has, and how much of it. Milliseconds. */
export const SHARD_ANSWER_MS = 10_000;
/** Bytes that are read of a connection at once. */
export const TUNNEL_READ_BYTES = 256 * 1024;
