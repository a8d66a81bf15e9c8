import assert from "node:assert/strict";
import { imageToken } from "../../protocol/mod.ts";
import { AnswerImages, type AnswerProjector, ImageNumbers } from "./answer_images.ts";

/** Takes each file for an image of as many tokens as its first byte says, in a grid of half as many positions. */
class ScriptedProjector implements AnswerProjector {
  readonly isBidirectional: boolean;
  tokenized = 0;
  freed = 0;

  constructor({ isBidirectional = false } = {}) {
    this.isBidirectional = isBidirectional;
  }

  tokenize(file: Uint8Array) {
    this.tokenized++;
    const [tokenCount = 0, name] = file;
    if (tokenCount === 0) return Promise.reject(new Error("broken"));
    const part = { tokenCount, positionCount: tokenCount / 2, chunk: null };
    const pieces = [{ kind: "text", tokens: [7] }, { kind: "part", part: 0 }] as const;
    const free = () => void this.freed++;
    return Promise.resolve({ digest: String(name), pieces, parts: [part], free });
  }

  positions(): readonly Int32Array[] {
    return [];
  }

  encode = () => Promise.resolve(new Float32Array(new ArrayBuffer(4)));
}

function load(projector: AnswerProjector, files: readonly number[][], wanted = Infinity) {
  let left = wanted;
  return AnswerImages.load(projector, files.map((bytes) => Uint8Array.from(bytes)), {
    numbers: new ImageNumbers(),
    partTokensMax: 8,
    isWanted: () => left-- > 0,
  });
}

Deno.test("AnswerImages stops between two images once nobody wants them, and gives back what it has", async () => {
  const projector = new ScriptedProjector();
  await assert.rejects(load(projector, [[4, 1], [4, 2], [4, 3]], 2), { message: /cancelled/ });
  assert.deepEqual([projector.tokenized, projector.freed], [2, 2]);
  await assert.rejects(load(projector, [[4, 1], [0]]), { message: "broken" });
  assert.equal(projector.freed, 3);
});

Deno.test("AnswerImages numbers images by their digests, and takes no piece of one", async () => {
  const images = await load(new ScriptedProjector(), [[4, 1], [2, 2], [4, 1]]);
  const [first, second, third] = [0, 1, 2].map((image) => images.tokensOf(image));
  assert.deepEqual(second, [7, imageToken(1, 0), imageToken(1, 0)]);
  const numbers = images.numbered([...first ?? [], ...second ?? [], ...third ?? []]);
  assert.deepEqual(numbers.slice(0, 5), numbers.slice(8));
  assert.notEqual(numbers[1], numbers[6]);
  for (const pieces of [[imageToken(1, 0)], [imageToken(1, 1)], [imageToken(3, 0)]]) {
    assert.throws(() => images.numbered(pieces), { code: "invalid_request" });
  }
  assert.throws(() => images.tokensOf(3), { code: "invalid_request" });
});

Deno.test("AnswerImages knows by how many a window's positions are fewer than its tokens", async () => {
  const images = await load(new ScriptedProjector(), [[4, 1], [2, 2]]);
  const window = images.numbered([...images.tokensOf(0), 9, ...images.tokensOf(1), 9]);
  const saved = [0, 1, 5, 6, 7, 9, 10].map((count) => images.savedPositions(window, count));
  assert.deepEqual(saved, [0, 0, 2, 2, 2, 3, 3]);
});

Deno.test("AnswerImages refuses what must be computed at once and is too long for it", async () => {
  const projector = new ScriptedProjector({ isBidirectional: true });
  await assert.rejects(load(projector, [[8, 1], [10, 2]]), { message: /10 tokens at once/ });
  assert.equal(projector.freed, 2);
  await load(projector, [[8, 1]]);
});
