import assert from "node:assert/strict";
import type { NodeId } from "../../base/mod.ts";
import { MessageStream, StreamRouter } from "../../calls/mod.ts";
import { TOKEN_BLOCK, tokenBlocks } from "../../core/kv_cache/mod.ts";
import type { CellStore, MovedCells, PeerStream, WholeCells } from "../../ports/mod.ts";
import { HandClock, settle } from "../../../tests/harness/hand_clock.ts";
import { streamPair } from "../../../tests/harness/peer_streams.ts";
import { RecordingTelemetry } from "../../../tests/harness/scripted_client.ts";
import { CellMoves } from "./cell_moves.ts";

const ASKING = "aaaaaaaaaaaaaaaa" as NodeId;
const OTHER = "cccccccccccccccc" as NodeId;
const KEEPER = "bbbbbbbbbbbbbbbb" as NodeId;
const KEY = "ab".repeat(16);
const MIB = 1024 * 1024;
const NOTHING_KEPT: CellStore = {
  list: () => Promise.resolve([]),
  write: () => Promise.resolve(),
  read: () => Promise.resolve(undefined),
  remove: () => Promise.resolve(),
};

/** Four blocks: 256 tokens, of which each took 10 ms. */
const TOKENS = Int32Array.from({ length: 4 * TOKEN_BLOCK }, (_, at) => at);
const WISH = { blocks: tokenBlocks(TOKENS), readyTokens: 0 };
const SOUGHT = { key: KEY, wish: WISH, keepers: [KEEPER], msPerToken: 10 };

function cellsOf(bytes: number): WholeCells {
  const state = new Uint8Array(bytes).map((_, at) => at);
  const tokens = new Uint8Array(TOKENS.buffer);
  const plain = { id: "00".repeat(16), tokens, savedPositions: 0, computeMs: 2_560, bytes };
  return { state, header: { ...plain, sha256: "00".repeat(32) } };
}

/** Who asks, and a keeper that serves as `serve` does; default as the product. */
function makeTwo(serve?: (stream: PeerStream) => Promise<void>) {
  const clock = new HandClock();
  const telemetry = new RecordingTelemetry();
  const parts = { clock, log: telemetry, metrics: telemetry };
  const make = () => new CellMoves({ ...parts, store: NOTHING_KEPT });
  const [asking, other, keeper] = [make(), make(), make()];
  const router = new StreamRouter(parts);
  const transportOf = (asker: NodeId) => ({
    openStream: (_: unknown, signal: AbortSignal) => {
      signal.throwIfAborted();
      const { near, far } = streamPair(asker, KEEPER);
      void (serve === undefined ? router.accept(far) : serve(far));
      return Promise.resolve(near);
    },
  });
  const views = { reachable: (nodeId: NodeId) => ({ nodeId, address: "b:1" }) };
  asking.join({ router: new StreamRouter(parts), transport: transportOf(ASKING), views });
  other.join({ router: new StreamRouter(parts), transport: transportOf(OTHER), views });
  keeper.join({ router, transport: transportOf(KEEPER), views });
  return { clock, telemetry, asking, other, keeper };
}

async function whole(moved: MovedCells | undefined): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  for await (const part of moved?.parts ?? []) parts.push(part);
  return new Uint8Array(await new Blob(parts as BlobPart[]).arrayBuffer());
}

/** A keeper that grants cells and sends them a mebibyte at a time, so many milliseconds each. */
function paced(cells: WholeCells, pace: { readonly clock: () => HandClock; readonly ms: number }) {
  return async (stream: PeerStream) => {
    await stream.read();
    const messages = new MessageStream(stream);
    await messages.write({ kind: "looking" });
    await messages.write({ kind: "granted", header: cells.header });
    for (let at = 0; at < cells.state.length; at += MIB) {
      await settle();
      pace.clock().stall(pace.ms);
      await stream.write(cells.state.subarray(at, at + MIB)).catch(() => {});
    }
    await stream.end();
  };
}

Deno.test("CellMoves.fetch() brings what another node has, part by part", async () => {
  const { asking, keeper, telemetry } = makeTwo();
  const cells = cellsOf(3 * MIB + 5);
  const asked: unknown[] = [];
  keeper.offer(KEY, (wish) => Promise.resolve((asked.push(wish), cells)));
  const moved = await asking.fetch(SOUGHT);
  assert.deepEqual(moved?.header, cells.header);
  assert.deepEqual(await whole(moved), cells.state);
  assert.deepEqual(asked, [WISH]);
  assert.equal(telemetry.total("odist_cells_sent_bytes_total"), cells.state.length);
  assert.equal(telemetry.total("odist_cells_moves_total", { outcome: "moved" }), 1);
});

Deno.test("cells that nobody offers any more, or under another key, are not there", async () => {
  const { asking, keeper, telemetry } = makeTwo();
  keeper.offer(KEY, () => Promise.resolve(cellsOf(MIB)))();
  keeper.offer("cd".repeat(16), () => Promise.resolve(cellsOf(MIB)));
  assert.equal(await asking.fetch(SOUGHT), undefined);
  assert.equal(telemetry.total("odist_cells_moves_total", { outcome: "declined" }), 1);
});

Deno.test("cells are declined that would come later than they are computed", async () => {
  // 256 tokens at 10 ms are 2,560 ms; 8 MiB at 500 ms for each are 4,000, at 300 they are 2,400.
  for (const [ms, isMoved] of [[500, false], [300, true]] as const) {
    const two: ReturnType<typeof makeTwo> = makeTwo(
      paced(cellsOf(8 * MIB), { clock: () => two.clock, ms }),
    );
    const moved = await two.asking.fetch(SOUGHT);
    assert.equal(moved !== undefined, isMoved, `${ms} ms for a MiB`);
    assert.equal(two.asking.bytesPerMs, MIB / ms, "what was declined was measured, too");
  }
});

Deno.test("what is here already saves nothing", async () => {
  const { asking, keeper } = makeTwo();
  keeper.offer(KEY, () => Promise.resolve(cellsOf(MIB)));
  const wish = { ...WISH, readyTokens: TOKENS.length };
  assert.equal(await asking.fetch({ ...SOUGHT, wish }), undefined);
});

Deno.test("a keeper that is silent, or stops in the middle, is waited for no longer than computing takes", async () => {
  const silent = makeTwo(() => Promise.resolve());
  const fetching = silent.asking.fetch(SOUGHT);
  await silent.clock.advance(499);
  assert.equal(silent.telemetry.of("cells_move").length, 0);
  await silent.clock.advance(1);
  assert.equal(await fetching, undefined);
  const slow = makeTwo();
  slow.keeper.offer(KEY, () => new Promise(() => {}));
  const finding = slow.asking.fetch(SOUGHT);
  // All that is sought, 256 tokens at 10 ms each.
  await slow.clock.advance(2_559);
  assert.equal(slow.telemetry.of("cells_move").length, 0);
  await slow.clock.advance(1);
  assert.equal(await finding, undefined);
  const cells = cellsOf(4 * MIB);
  const stopping = makeTwo(async (stream) => {
    await stream.read();
    const messages = new MessageStream(stream);
    await messages.write({ kind: "looking" });
    await messages.write({ kind: "granted", header: cells.header });
    await stream.write(cells.state.subarray(0, MIB));
  });
  const reading = whole(await stopping.asking.fetch(SOUGHT));
  reading.catch(() => {});
  await stopping.clock.advance(2_559);
  assert.equal(stopping.telemetry.of("cells_move").length, 0);
  await stopping.clock.advance(1);
  await assert.rejects(reading, { code: "peer_lost" });
  assert.equal(stopping.telemetry.total("odist_cells_moves_total", { outcome: "failed" }), 1);
});

Deno.test("a keeper that sends more than it said, or nothing, sends nothing of use", async () => {
  const cells = cellsOf(2 * MIB);
  for (const frame of [new Uint8Array(0), new Uint8Array(2 * MIB + 1)]) {
    const { asking, telemetry } = makeTwo(async (stream) => {
      await stream.read();
      const messages = new MessageStream(stream);
      await messages.write({ kind: "looking" });
      await messages.write({ kind: "granted", header: cells.header });
      await stream.write(frame);
    });
    assert.equal(await asking.fetch(SOUGHT), undefined);
    assert.equal(telemetry.total("odist_cells_moves_total", { outcome: "failed" }), 1);
  }
});

Deno.test("an asker that makes no sense is refused, and each keeper gives to four at once", async () => {
  const { keeper, asking, other, telemetry } = makeTwo();
  assert.equal(await asking.fetch({ ...SOUGHT, key: "none" }), undefined);
  const found = Promise.withResolvers<undefined>();
  keeper.offer(KEY, () => found.promise);
  const fetches = [1, 2, 3, 4].map(() => asking.fetch(SOUGHT));
  await settle();
  assert.equal(await other.fetch(SOUGHT), undefined);
  assert.match(String(telemetry.of("cells_move").at(-1)?.["reason"]), /^Too many cells/);
  found.resolve(undefined);
  await Promise.all(fetches);
  assert.equal(await other.fetch(SOUGHT), undefined);
  assert.equal(telemetry.of("cells_move").at(-1)?.["outcome"], "declined");
});

Deno.test("a node that stops stays for those whose answers it cut, for two seconds at most", async () => {
  const { keeper, asking, clock } = makeTwo();
  await keeper.linger(0);
  keeper.offer(KEY, () => Promise.resolve(cellsOf(MIB)));
  let isOver = false;
  const staying = keeper.linger(1).then(() => isOver = true);
  await settle();
  assert.equal(isOver, false);
  await whole(await asking.fetch(SOUGHT));
  await settle();
  assert.equal(isOver, true);
  await staying;
  isOver = false;
  const alone = keeper.linger(1).then(() => isOver = true);
  await clock.advance(1_999);
  assert.equal(isOver, false);
  await clock.advance(1);
  await alone;
});
