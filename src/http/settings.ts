/** What the HTTP edge is told by the configuration. */
export interface HttpSettings {
  /** Address the listener is bound to; on a loopback address nobody reaches it under the name of a service. */
  readonly bindAddress: string;
  /** This machine's names, as a `Host` header may carry them. */
  readonly ownNames: readonly string[];
  /** Whether an address is this machine's now. */
  readonly isOwnAddress: (address: string) => boolean;
  /** Names and addresses besides: exact, `*.` and a suffix, or `*` for all. Who asks under one of them is from afar. */
  readonly allowedHosts: readonly string[];
  /** Origins allowed besides the built-in ones (contract 1.0): exact, or with one `*`; `*` alone allows all. */
  readonly extraOrigins: readonly string[];
  /** Whether a page of this origin is another member's, which goes on here once its own node is gone. */
  readonly isMemberOrigin?: (origin: string) => boolean;
  /** Bytes of the text of a JSON body at most; blobs are streamed and not counted. */
  readonly bodyBytesMax: number;
  /** Bytes of the images and audio in a JSON body at most, as they are sent. */
  readonly mediaBytesMax: number;
  /** This node, as answers name it: printable ASCII, as headers carry nothing else. */
  readonly nodeName: string;
  /** Folders that other machines are not told of, the narrowest first. */
  readonly hiddenFolders: readonly HiddenFolder[];
  /** Whether `/metrics` is there at all. */
  readonly metrics: boolean;
}

/** A folder of this machine, and what stands for it in a text for others. */
export interface HiddenFolder {
  readonly path: string;
  /** As the documentation writes it, `{models}` for one. */
  readonly shownAs: string;
}
