/** Says where this node is, and anew when what it says has changed. */
export class Announcing {
  readonly #announce: () => Promise<{ close(): void }>;
  #current: { close(): void } | undefined;
  #closed = false;

  constructor(announce: () => Promise<{ close(): void }>) {
    this.#announce = announce;
  }

  async begin(): Promise<void> {
    this.#current?.close();
    this.#current = undefined;
    const begun = await this.#announce();
    if (this.#closed) begun.close();
    else this.#current = begun;
  }

  close(): void {
    this.#closed = true;
    this.#current?.close();
  }
}
