/** An image or a recording that was decoded while it came in. */
export class InlineMedia {
  /** What stood before the base64: the head of a data URL, or nothing. */
  readonly head: string;
  readonly bytes: Uint8Array;

  constructor(head: string, bytes: Uint8Array) {
    this.head = head;
    this.bytes = bytes;
  }
}
