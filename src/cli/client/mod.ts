/**
 * Speaks to a node as a client, on this machine or through the port between nodes. It never prints. Start reading in
 * `node_client.ts`.
 *
 * @module
 */
export { readJsonLines } from "./json_lines.ts";
export { isPlainName, modelsNamed, shortId } from "./model_rows.ts";
export { NodeClient } from "./node_client.ts";
export { reachLoopbackPastProxies } from "./past_proxies.ts";
export { remoteSender } from "./remote_node.ts";
export {
  isJsonObject,
  type JsonObject,
  linesOf,
  numberOf,
  objectOf,
  objectsOf,
  rawTextOf,
  textOf,
  textsOf,
} from "./json.ts";
export { shardsText } from "./shards_text.ts";
