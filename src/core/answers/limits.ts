/** Deaths of runners in a row, without a new token between them, that one request survives. */
export const FRUITLESS_ATTEMPTS_MAX = 3;
/**
 * An answer that has lost its runner and finds no other looks again so often without a new token between, each time after so much
 * longer: nodes that were busy or about to be left are there again, or are known to be gone. 7.5 s in all. Milliseconds.
 */
export const SEARCHES_AGAIN = { timesMax: 5, gapMs: 500 } as const;
/** Nodes that a request remembers to have lost; the oldest goes. */
export const AVOIDED_NODES_MAX = 8;
/** Nodes that one search for a slot asks. */
export const SEARCH_ATTEMPTS_MAX = 8;
/** A node that was lost here counts as suspected for so long, since gossip needs about that to tell. Milliseconds. */
export const DOUBT_MS = 5_000;
/** As {@link DOUBT_MS}, for a node that does not have what it says it holds. */
export const BROKEN_WORD_MS = 60_000;

/** How long a serving node may say nothing before it counts as lost. Milliseconds. */
export interface Patience {
  /** For its very first word, which comes at once, whatever the request waits for. */
  readonly firstWordMs: number;
  /** From then on; it beats every tenth of a second. */
  readonly silenceMs: number;
}

/** Where another node could go on: nothing but a pause is lost by going there too soon, least of all at the beginning. */
const USUAL_PATIENCE: Patience = { firstWordMs: 1_000, silenceMs: 2_000 };
/** Where none could: a node that stalled may come back, and gossip will say when it is gone. */
const LAST_PATIENCE: Patience = { firstWordMs: 10_000, silenceMs: 10_000 };

/** With a node that serves; less where another could be asked instead. */
export function patienceWith(peer: { readonly isReplaceable: boolean }): Patience {
  return peer.isReplaceable ? USUAL_PATIENCE : LAST_PATIENCE;
}

/**
 * What silence of a doubted node is borne, and how long after a doubt. Milliseconds; a beat is due every 100. One that beat in
 * time so far is left after two of them, one on a busy machine after twice its longest pause.
 */
export const PEER_DOUBT = { limitMs: 800, leastMs: 250, forMs: 3_000 } as const;
/**
 * A lease with nothing to say says so after so long, either way. Milliseconds: some 1,000 bytes a second on the wire where no
 * token comes as often.
 */
export const LEASE_BEAT_MS = 100;
/**
 * The same of a lease on a model that several nodes compute, and what silence is borne there where another could go on: its
 * workers leave a leader that says nothing for about as long, so that nothing is lost by going elsewhere. Milliseconds.
 */
export const SPLIT_LEASE = { beatMs: 150, silenceMs: 750 } as const;
/** An asking node that says nothing for longer is gone and its slot free. Milliseconds; long, as a false alarm costs it its answer. */
export const ASKER_SILENCE_MS = 6_000;
/**
 * Leases of one peer at once, waiting ones included: what a node may hold and have held here of streams, timers and places in
 * the queue, however many clients ask it. As many as a node lets wait by default (`--max-queue`), since one that holds a model
 * alone would otherwise be left with slots free while others refuse what they would ask it for. Less than a connection carries
 * in streams, which are for more than leases.
 */
export const LEASES_PER_PEER_MAX = 512;
/** Commands of one lease under way; no one needs more than two. */
export const LEASE_COMMANDS_MAX = 32;
