import { decodeJoin, encodeJoin, type JoinFrame, type JoinRefusal } from "../../protocol/mod.ts";
import type { FramePipe } from "../frame_pipe.ts";

/** What this side of a join found wrong; told to the other side, then thrown on as one of the error families. */
export class JoinRefused extends Error {
  readonly reason: JoinRefusal;
  constructor(reason: JoinRefusal, text: string) {
    super(text);
    this.reason = reason;
  }
}

/** What the other side of a join found wrong. */
export class JoinRefusedByPeer extends JoinRefused {}

export async function sayJoin(pipe: FramePipe, frame: JoinFrame): Promise<void> {
  await pipe.write(encodeJoin(frame));
}

/** Tells the other side why; the refusal matters more than whether it still hears of it. */
export async function sayRefusal(pipe: FramePipe, refused: JoinRefused): Promise<void> {
  try {
    await sayJoin(pipe, { kind: "refusal", reason: refused.reason, text: refused.message });
  } catch {
    // The peer is gone; the caller throws what it found wrong.
  }
}

/** The next frame, which must be of this kind. @throws JoinRefused. */
export async function hearJoin<Kind extends JoinFrame["kind"]>(
  pipe: FramePipe,
  kind: Kind,
): Promise<Extract<JoinFrame, { readonly kind: Kind }>> {
  const bytes = await pipe.read();
  if (bytes === undefined) {
    throw new JoinRefusedByPeer("malformed", `it ended the join before its ${kind}`);
  }
  const decoded = decodeJoin(bytes);
  if (decoded.kind === "malformed") {
    throw new JoinRefused("malformed", `expected its ${kind}, found ${decoded.reason}`);
  }
  const frame = decoded.value;
  if (isKind(frame, kind)) return frame;
  if (frame.kind === "refusal") throw new JoinRefusedByPeer(frame.reason, frame.text);
  throw new JoinRefused("malformed", `expected its ${kind}, found its ${frame.kind}`);
}

function isKind<Kind extends JoinFrame["kind"]>(
  frame: JoinFrame,
  kind: Kind,
): frame is Extract<JoinFrame, { readonly kind: Kind }> {
  return frame.kind === kind;
}
