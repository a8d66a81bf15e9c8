/**
 * Models over several nodes: workers that are lent, the connections to them, and the plan by which a model is loaded on them.
 * What a worker computes, and how, is llama.cpp's. Start reading in `split_engine.ts`.
 *
 * @module
 */
export { lendTo } from "./shard_server.ts";
export { RoundTrips } from "./round_trips.ts";
export { tokenBytesOf } from "./sharded_file.ts";
export { SplitEngine } from "./split_engine.ts";
