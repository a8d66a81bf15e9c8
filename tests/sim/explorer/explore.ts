import { type Budget, type Move, World } from "./world.ts";

/** What a search found. */
export interface Exploration {
  /** Different states visited. */
  readonly states: number;
  /** Moves tried. */
  readonly moves: number;
  /** Moves on the longest path. */
  readonly depth: number;
  /** True when nothing within the budget is left to visit. */
  readonly isComplete: boolean;
  /** A shortest path to a broken invariant. */
  readonly failure: { readonly path: readonly Move[]; readonly reason: string } | undefined;
}

interface Visit {
  readonly move: Move | undefined;
  readonly before: Visit | undefined;
  readonly depth: number;
}

/**
 * Visits every state that the budget allows, breadth first, so that the first failure found is a shortest one. States
 * are reached by replaying their path from the start: the core's objects are not copied, they are the shipped ones.
 */
export function explore(budget: Budget, statesMax: number): Exploration {
  const seen = new Set<string>([new World(budget).key()]);
  const queue: Visit[] = [{ move: undefined, before: undefined, depth: 0 }];
  let moves = 0;
  let depth = 0;
  for (let at = 0; at < queue.length; at++) {
    const visit = queue[at];
    if (visit === undefined) break;
    depth = visit.depth;
    const path = pathTo(visit);
    for (const move of replay(budget, path).moves()) {
      moves++;
      const world = replay(budget, path);
      try {
        world.make(move);
      } catch (error) {
        const reason = error instanceof Error ? error.message : String(error);
        const failure = { path: [...path, move], reason };
        return { states: seen.size, moves, depth, isComplete: false, failure };
      }
      const key = world.key();
      if (seen.has(key)) continue;
      seen.add(key);
      queue.push({ move, before: visit, depth: visit.depth + 1 });
    }
    if (seen.size >= statesMax) {
      return { states: seen.size, moves, depth, isComplete: false, failure: undefined };
    }
  }
  return { states: seen.size, moves, depth, isComplete: true, failure: undefined };
}

function pathTo(visit: Visit): Move[] {
  const path: Move[] = [];
  for (let at: Visit | undefined = visit; at?.move !== undefined; at = at.before) {
    path.push(at.move);
  }
  return path.reverse();
}

function replay(budget: Budget, path: readonly Move[]): World {
  const world = new World(budget);
  for (const move of path) world.make(move);
  return world;
}
