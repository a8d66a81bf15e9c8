/** A client that sends bytes as they are, for what no HTTP client would send. */
export interface RawClient extends Disposable {
  send(text: string): Promise<void>;
  /** What has come, up to and with `ending`; all of it when the connection ends first. */
  readTo(ending: string): Promise<string>;
  /** Everything until the connection ends. */
  readAll(): Promise<string>;
}

export async function rawClient(
  address: { readonly hostname: string; readonly port: number },
): Promise<RawClient> {
  const connection = await Deno.connect(address);
  connection.setNoDelay();
  const buffer = new Uint8Array(8 * 1024);
  const decoder = new TextDecoder("latin1");
  let kept = "";
  let ended = false;
  const readMore = async () => {
    const count = await connection.read(buffer).catch(() => null);
    if (count === null) ended = true;
    else kept += decoder.decode(buffer.subarray(0, count));
  };
  const take = (length: number) => {
    const taken = kept.slice(0, length);
    kept = kept.slice(length);
    return taken;
  };
  return {
    async send(text) {
      const bytes = new TextEncoder().encode(text);
      for (let rest = bytes; rest.length > 0;) rest = rest.subarray(await connection.write(rest));
    },
    async readTo(ending) {
      while (!kept.includes(ending) && !ended) await readMore();
      const at = kept.indexOf(ending);
      return take(at < 0 ? kept.length : at + ending.length);
    },
    async readAll() {
      while (!ended) await readMore();
      return take(kept.length);
    },
    [Symbol.dispose]: () => connection.close(),
  };
}
