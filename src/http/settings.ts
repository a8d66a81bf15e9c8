/** What the HTTP edge is told by the configuration. */
export interface HttpSettings {
  /** Address the listener is bound to; on a loopback address the `Host` header is checked against DNS rebinding. */
  readonly bindAddress: string;
  /** Names and addresses of this machine that a `Host` header may carry besides the private ranges. */
  readonly ownHosts: readonly string[];
  /** Origins allowed besides the built-in ones (contract 1.0): exact, or with one `*`; `*` alone allows all. */
  readonly extraOrigins: readonly string[];
  /** Bytes of a JSON body at most; blobs are streamed and not counted. */
  readonly bodyBytesMax: number;
  /** This node, as answers name it: printable ASCII, as headers carry nothing else. */
  readonly nodeName: string;
  /** Whether `/metrics` is there at all. */
  readonly metrics: boolean;
}
