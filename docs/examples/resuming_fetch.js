/**
 * Reads an answer to its last byte, whichever node dies meanwhile: the bytes of the stream that `path` answers with, each
 * once. For browsers, Deno, Bun and Node.
 *
 * @param {readonly string[]} nodes Origins of the cluster's nodes, the preferred one first.
 * @param {string} path As `/v1/chat/completions`.
 * @param {unknown} body The request; sent as JSON.
 * @param {{ headers?: Record<string, string>, id?: string, silenceMs?: number, attempts?: number }} [options] `silenceMs`: a node that
 *   says nothing for so long is asked no more. `attempts`: in a row, without a byte between them.
 * @returns {AsyncGenerator<Uint8Array, void, void>}
 */
export async function* resumingFetch(nodes, path, body, options = {}) {
  const { headers = {}, id = crypto.randomUUID(), silenceMs = 10_000, attempts = 20 } = options;
  let offset = 0;
  let failed = 0;
  for (let turn = 0;; turn++) {
    const node = nodes[turn % nodes.length];
    const abort = new AbortController();
    let timer = setTimeout(() => abort.abort(), silenceMs);
    try {
      const ask = (url, init = {}) => fetch(node + url, { ...init, signal: abort.signal });
      const isFirst = turn === 0;
      let answer = isFirst
        ? undefined
        : await ask(`/api/answers/${id}?offset=${offset}`, { headers });
      // Nobody has heard of it, and nothing of it was read: it is asked for as if for the first time.
      if (isFirst || answer.status === 404 && offset === 0) {
        await answer?.body?.cancel();
        answer = await ask(path, {
          method: "POST",
          // Kept for a while: a node that is left for its silence may only be busy with the prompt.
          headers: {
            "x-odist-keep": "60s",
            ...headers,
            "content-type": "application/json",
            "idempotency-key": id,
          },
          body: JSON.stringify(body),
        });
      }
      // 416: this node knows less of it than was read; another one knows more, as the one that is cut off from the others.
      const isFinal = answer.status >= 400 && answer.status < 500 && answer.status !== 416;
      if (isFinal) throw new Refused(await answer.text());
      if (!answer.ok) throw new Error(await answer.text());
      const reader = answer.body.getReader();
      for (;;) {
        const { done, value } = await reader.read();
        if (done) return;
        clearTimeout(timer);
        timer = setTimeout(() => abort.abort(), silenceMs);
        offset += value.length;
        failed = 0;
        yield value;
      }
    } catch (error) {
      if (error instanceof Refused || ++failed >= attempts) throw error;
      // The next node is asked at once, and after it had nothing, with a pause that grows.
      await new Promise((resolve) => setTimeout(resolve, 100 * (failed - 1)));
    } finally {
      clearTimeout(timer);
      abort.abort();
    }
  }
}

class Refused extends Error {}
