/**
 * Checks imports against the table of `checks/import_rules.ts`: forbidden arrows, imports behind a folder's `mod.ts`, cycles of
 * files and of rooms, packages outside their folder, rows that nothing uses, folders without a face, and `src` files that
 * `main.ts` never reaches.
 *
 * @module
 */
import { dirname } from "node:path/posix";
import { fileURLToPath } from "node:url";
import { type Arrow, IMPORT_RULES, type ImportRules, roomOf } from "./checks/import_rules.ts";
import { findSources, isProduct, type ModuleGraph, readGraph } from "./checks/module_graph.ts";

/** Every finding as one line, empty when all is well. */
export function checkImports(graph: ModuleGraph, rules: ImportRules): string[] {
  return [
    ...findForbiddenArrows(graph, rules),
    ...findMisplacedPackages(graph, rules),
    ...findCycles(graph),
    ...findRoomCycles(graph),
    ...findStaleRows(graph, rules),
    ...findFaceless(graph),
    ...findUnreached(graph, rules),
  ];
}

function findForbiddenArrows(graph: ModuleGraph, rules: ImportRules): string[] {
  return [...eachArrow(graph)].flatMap((arrow) => {
    const { file, target, from, to, kind } = arrow;
    const row = rowFor(rules, arrow);
    const findings: string[] = [];
    if (row === undefined) {
      findings.push(`${file}: ${from} must not import ${to} (${target}): no such row in the table`);
    } else if (row.typesOnly === true && kind !== "type") {
      findings.push(`${file}: ${from} may import only types of ${to} (${target})`);
    }
    // A file at the root stands in front of no folder.
    const face = `${row?.to.endsWith("*") === false ? row.to : to}/mod.ts`;
    if (target.includes("/") && target !== face) {
      findings.push(`${file}: ${to} must be imported through its mod.ts, not ${target}`);
    }
    return findings;
  });
}

/** One import that leaves its room, or its folder for one that it does not stand in. */
interface CrossingImport {
  readonly file: string;
  readonly target: string;
  readonly kind: string;
  /** The two rooms; within one room, the two folders. */
  readonly from: string;
  readonly to: string;
  readonly isInside: boolean;
}

function* eachArrow(graph: ModuleGraph): Iterable<CrossingImport> {
  for (const [file, target, kind] of eachImport(graph)) {
    if (target.includes(":")) continue;
    const isInside = roomOf(file) === roomOf(target);
    const [from, to] = isInside ? [dirname(file), dirname(target)] : [roomOf(file), roomOf(target)];
    if (isInside && (from === to || from.startsWith(`${to}/`))) continue;
    yield { file, target, kind, from, to, isInside };
  }
}

function rowFor(rules: ImportRules, arrow: CrossingImport): Arrow | undefined {
  const { from, to, target, isInside } = arrow;
  if (isInside) return rules.inside.find((row) => row.from === from && row.to === to);
  return rules.arrows.find((row) =>
    matches(row.from, from) && (matches(row.to, to) || `${row.to}/mod.ts` === target)
  );
}

function findStaleRows(graph: ModuleGraph, rules: ImportRules): string[] {
  const used = new Set([...eachArrow(graph)].map((arrow) => rowFor(rules, arrow)));
  const rows = [...rules.arrows, ...rules.inside].filter((row) => !used.has(row));
  const imports = [...eachImport(graph)].filter(([, target]) => target.includes(":"))
    .map(([file, target]) => ({ room: roomOf(file), name: target.replace(/^npm:/, "") }));
  const packages = rules.packages.flatMap(({ name, folders }) =>
    folders.filter((folder) => !imports.some((it) => it.room === folder && matches(name, it.name)))
      .map((folder) => `${folder} imports no "${name}": delete it from the table of packages`)
  );
  return [
    ...rows.map(({ from, to }) => `${from}: imports nothing of ${to}: delete the row`),
    ...packages,
  ];
}

/** Rooms whose files import each other in a circle: then neither stands above the other. */
function findRoomCycles(graph: ModuleGraph): string[] {
  const rooms = new Map<string, { target: string; kind: "code" }[]>();
  for (const file of graph.keys()) rooms.set(roomOf(file), []);
  for (const { file, target } of eachArrow(graph)) {
    if (roomOf(file) === roomOf(target)) continue;
    rooms.get(roomOf(file))?.push({ target: roomOf(target), kind: "code" });
  }
  return findCycles(rooms);
}

function findFaceless(graph: ModuleGraph): string[] {
  const folders = new Set([...graph.keys()].filter((file) => file.startsWith("src/")).map(dirname));
  return [...folders].filter((folder) => !graph.has(`${folder}/mod.ts`))
    .map((folder) => `${folder}: has no mod.ts`);
}

function findMisplacedPackages(graph: ModuleGraph, rules: ImportRules): string[] {
  const findings: string[] = [];
  for (const [file, target] of eachImport(graph)) {
    if (!target.includes(":")) continue;
    const name = target.replace(/^npm:/, "");
    const rule = rules.packages.find((row) => matches(row.name, name));
    if (rule === undefined) findings.push(`${file}: "${name}" has no row in the table of packages`);
    else if (!rule.folders.includes(roomOf(file))) {
      findings.push(`${file}: "${name}" may be imported only in ${rule.folders.join(", ")}`);
    }
  }
  return findings;
}

/** One finding per group of files that import each other, types included: erased or not, such files are one file. */
function findCycles(graph: ModuleGraph): string[] {
  const findings: string[] = [];
  const reach = new Map([...graph.keys()].map((file) => [file, reachedFrom(graph, file)]));
  const reported = new Set<string>();
  for (const [file, reached] of reach) {
    if (reported.has(file)) continue;
    const group = [...reached].filter((other) => other !== file && reach.get(other)?.has(file));
    if (group.length === 0) continue;
    for (const member of [file, ...group]) reported.add(member);
    findings.push(`${file}: imports itself through ${group.sort().join(", ")}`);
  }
  return findings;
}

function findUnreached(graph: ModuleGraph, rules: ImportRules): string[] {
  if (!graph.has("main.ts")) return ["main.ts: is missing, so that it reaches nothing"];
  const reached = reachedFrom(graph, "main.ts");
  const unreached = [...graph.keys()].filter((file) =>
    file.startsWith("src/") && !reached.has(file)
  );
  const excused = (file: string) => rules.unreached.some((row) => isAtOrBelow(file, row.path));
  const stale = rules.unreached.filter((row) =>
    !unreached.some((file) => isAtOrBelow(file, row.path))
  );
  return [
    ...unreached.filter((file) => !excused(file)).map((file) =>
      `${file}: main.ts never reaches it`
    ),
    ...stale.map((row) => `${row.path}: is reached now; delete its row from the unreached list`),
  ];
}

/** Files reachable from `start`; `start` itself only when a cycle leads back to it. */
function reachedFrom(graph: ModuleGraph, start: string): Set<string> {
  const reached = new Set<string>();
  const open = [start];
  for (let file = open.pop(); file !== undefined; file = open.pop()) {
    for (const { target } of graph.get(file) ?? []) {
      if (reached.has(target) || !graph.has(target)) continue;
      reached.add(target);
      open.push(target);
    }
  }
  return reached;
}

function* eachImport(graph: ModuleGraph): Iterable<readonly [string, string, string]> {
  for (const [file, imports] of graph) {
    for (const { target, kind } of imports) yield [file, target, kind];
  }
}

function matches(pattern: string, name: string): boolean {
  return pattern.endsWith("*") ? name.startsWith(pattern.slice(0, -1)) : pattern === name;
}

function isAtOrBelow(file: string, path: string): boolean {
  return file === path || file.startsWith(`${path}/`);
}

/** The product's files below `root`: `main.ts` and `src` without tests. */
export async function findProduct(root: string): Promise<string[]> {
  const sources = (await findSources(root, "src")).filter(isProduct);
  try {
    await Deno.stat(`${root}/main.ts`);
    return ["main.ts", ...sources];
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
    return sources;
  }
}

if (import.meta.main) {
  const root = dirname(dirname(fileURLToPath(import.meta.url)));
  const findings = checkImports(await readGraph(root, await findProduct(root)), IMPORT_RULES);
  for (const finding of findings) console.error(finding);
  console.log(`imports: ${findings.length} findings`);
  if (findings.length > 0) Deno.exit(1);
}
