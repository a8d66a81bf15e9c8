/**
 * What odist has to show: every scenario of its acceptance list, and the test that shows it.
 *
 * @module
 */

/** One row of the table. */
export interface Scenario {
  readonly group: string;
  readonly name: string;
  /** From the repository's root. */
  readonly file: string;
  /** The test's name as it stands in the file, `${…}` included. */
  readonly test: string;
}

/** A scenario's name, its file and the test in it. */
type Row = readonly [name: string, file: string, test: string];

const ACCEPTANCE = "tests/acceptance/";
const CHAOS = "tests/chaos/";
const INTEGRATION = "tests/integration/";
const BYZANTINE = "tests/byzantine/";

function group(title: string, rows: readonly Row[]): Scenario[] {
  return rows.map(([name, file, test]) => ({ group: title, name, file, test }));
}

const LOSS = "Three of ten nodes die at once under 120 clients, and no admitted request is lost";
const THOUSAND = "1,000 requests, 50 at once, are all answered, more than 10 a second";
const START = "Ten nodes are one cluster less than 30 s after the first process was started";

/** The targets that the product is bought for. */
const TARGETS = group("Targets", [
  ["more than 10 requests a second", `${ACCEPTANCE}performance_test.ts`, THOUSAND],
  ["100 and more at once", `${ACCEPTANCE}targets_test.ts`, LOSS],
  ["10 and more nodes", `${ACCEPTANCE}targets_test.ts`, START],
  ["30 % of nodes lost at once, 0 admitted requests lost", `${ACCEPTANCE}targets_test.ts`, LOSS],
  ["start in less than 30 s", `${ACCEPTANCE}targets_test.ts`, START],
  [
    "cluster traffic below 10 % of all bytes while serving",
    `${ACCEPTANCE}targets_test.ts`,
    "While a cluster serves, what its nodes tell each other to be one is less than 10 % of all bytes",
  ],
  [
    "less than 4 GB a node",
    `${ACCEPTANCE}targets_test.ts`,
    "A node that serves takes less than 4 GB, its runners included",
  ],
  [
    "small models in less than 5 s",
    `${ACCEPTANCE}targets_test.ts`,
    "A small model that is not loaded answers in less than 5 s",
  ],
  [
    "70B by plan",
    "src/cli/plan/plan_test.ts",
    "plan shares 70 billion parameters among nodes by their header alone, and says that it only plans",
  ],
  [
    "first token less than 5 s after the file is there",
    `${ACCEPTANCE}first_minutes_test.ts`,
    "Who has only the file reads the first token less than 5 s after starting it",
  ],
  [
    "second machine in less than 10 s",
    `${ACCEPTANCE}first_minutes_test.ts`,
    "A second machine is a member less than 10 s after the printed line was pasted there",
  ],
]);

const UNIT = group("Unit (beside the code)", [
  [
    "discovery",
    "src/transport/discovery/discovery_test.ts",
    "A node that looks for its cluster finds those of it, where they say they are",
  ],
  [
    "scheduler",
    "src/core/scheduler/scheduler_property_test.ts",
    "Scheduler keeps its promises under random events",
  ],
  [
    "model sync",
    "src/library/placement_driver_test.ts",
    "PlacementDriver lets a new model settle, then fetches it and writes down all its names",
  ],
  ["API", "src/http/contract_test.ts", "contract ${row.name} gets ${row.status}"],
]);

const INTEGRATED = group("Integration", [
  [
    "basic inference",
    "tests/conformance/generate_test.ts",
    "contract #45 and #46 lines, and the metrics of the last",
  ],
  [
    "inference over more than one node",
    `${INTEGRATION}requests_cross_nodes_test.ts`,
    "A node without the model answers through one that holds it",
  ],
  [
    "inference over more than one node: layers",
    `${INTEGRATION}models_over_several_nodes_test.ts`,
    "A model that no node can hold is computed by two, with the text of a whole one",
  ],
  [
    "load balancing (10 concurrent, no node above 80 %)",
    `${ACCEPTANCE}scaling_test.ts`,
    "Of 10 requests at once that one node is asked, no node computes more than 80 %",
  ],
  [
    "model sync (1 GB to 2 nodes in less than 30 s)",
    `${ACCEPTANCE}models_test.ts`,
    "A model of 1 GB is on two more nodes within 30 s",
  ],
  [
    "replication",
    `${CHAOS}models_are_the_clusters_test.ts`,
    "models get their second copy, and another when a holder is gone; nothing deleted comes back",
  ],
  [
    "eviction",
    "tests/conformance/scheduling_test.ts",
    "contract #139 an eviction waits for the running answer and never cuts it",
  ],
  [
    "versioning (an update reaches all copies)",
    `${ACCEPTANCE}models_test.ts`,
    "An update of a model reaches all of its copies, and no node answers by the old one",
  ],
  [
    "node failure",
    `${CHAOS}answers_outlive_nodes_test.ts`,
    "An answer goes on, to the byte, when the machine that computes it is killed",
  ],
  [
    "leader failover",
    `${CHAOS}killed_leader_loses_no_write_test.ts`,
    "${KILLS} killed leaders lose no acknowledged write",
  ],
  [
    "partial failure",
    `${CHAOS}reads_need_no_quorum_test.ts`,
    "a voter that is killed takes no list, show or answer with it, and the other says what works",
  ],
  [
    "consensus operations",
    `${INTEGRATION}nodes_serve_over_quic_test.ts`,
    "Three nodes commit over QUIC to their disks, through a leader's end and its return",
  ],
  [
    "consensus consistency",
    `${INTEGRATION}groups_stay_linearizable_test.ts`,
    "Groups stay linearizable and converge through cuts, crashes, losses and rumours",
  ],
  [
    "data integrity during failures",
    `${CHAOS}models_survive_kills_test.ts`,
    "models keep their bytes while nodes are killed under changes of them",
  ],
  [
    "scaling up under load",
    `${ACCEPTANCE}scaling_test.ts`,
    "Under load two nodes join, lose nobody's request, and compute their part",
  ],
]);

const END_TO_END = group("End to end", [
  [
    "complete workflow (health, tags, generate, stream, spread, metrics)",
    `${ACCEPTANCE}workflow_test.ts`,
    "A whole day's work: health, tags, generate, stream, a spread load and the metrics of it",
  ],
  [
    "complete workflow: a big model",
    `${ACCEPTANCE}workflow_test.ts`,
    "A model too big for each of three nodes answers through all of them",
  ],
  [
    "model management",
    `${CHAOS}models_are_the_clusters_test.ts`,
    "models are the cluster's: made, copied, shown, answered and deleted on any node",
  ],
  [
    "fault tolerance (a non-leader killed during a request, then the leader)",
    `${ACCEPTANCE}workflow_test.ts`,
    "Answers come whole when a follower is killed under them, and when the leader is after it",
  ],
  [
    "scaling (70 % ok at high load, half the baseline's throughput, recovery)",
    `${ACCEPTANCE}scaling_test.ts`,
    "At high load at least 70 % are answered at half the baseline's rate or more, and then it recovers",
  ],
  [
    "single-node bootstrap",
    "tests/e2e/serves_and_generates_test.ts",
    "The built file serves, generates and stops on SIGTERM",
  ],
  [
    "cluster expansion",
    `${INTEGRATION}cluster_forms_and_grows_test.ts`,
    "three nodes become one cluster, which a fourth joins",
  ],
]);

const PERFORMANCE = group("Performance", [
  ["1,000 requests at 50 at once", `${ACCEPTANCE}performance_test.ts`, THOUSAND],
  [
    "100 in a row",
    `${ACCEPTANCE}performance_test.ts`,
    "100 requests in a row are all answered, and the last ones as soon as the first",
  ],
  [
    "20 models",
    `${ACCEPTANCE}performance_test.ts`,
    "20 models are made, listed on each node and answered through each",
  ],
  [
    "burst",
    `${ACCEPTANCE}performance_test.ts`,
    "A burst of 300 requests at once is answered or told when to come back, and is over",
  ],
  [
    "sustained",
    `${ACCEPTANCE}performance_test.ts`,
    "60 s of load lose no request, and the last third is as fast as the first",
  ],
  [
    "memory leak",
    `${ACCEPTANCE}performance_test.ts`,
    "5,600 requests leave no memory behind: over the last third of them no node grows",
  ],
  [
    "network throughput",
    `${ACCEPTANCE}models_test.ts`,
    "Between two nodes a model goes at more than 30 MiB/s",
  ],
]);

const CHAOTIC = group("Chaos", [
  [
    "random node failure (one every 15–45 s for 5 min)",
    `${ACCEPTANCE}chaos_test.ts`,
    "One node of five is killed every 15 to 45 s for five minutes, and no answer is lost or another",
  ],
  [
    "partition 90 s",
    `${ACCEPTANCE}chaos_test.ts`,
    "Two of five are cut off for 90 s: both sides answer, and all agree after it",
  ],
  [
    "exhaustion with 50 models",
    `${ACCEPTANCE}chaos_test.ts`,
    "50 models that are asked in turn exhaust no node: each answers, three are loaded at most",
  ],
  [
    "cascading (two nodes 20 s apart)",
    `${ACCEPTANCE}chaos_test.ts`,
    "Two of five nodes die 20 s apart, and the other three go on answering and changing",
  ],
  [
    "storm and recovery",
    `${ACCEPTANCE}chaos_test.ts`,
    "A storm of 300 requests over a node's death loses none, and what comes after is as before",
  ],
  [
    "memory pressure",
    `${ACCEPTANCE}chaos_test.ts`,
    "Where memory holds one model alone, five in turn are all answered, and one that can't fit is refused",
  ],
  [
    "high latency",
    `${ACCEPTANCE}chaos_test.ts`,
    "At 150 ms and up to 50 more each way, answers cross nodes and changes are made",
  ],
]);

const HOSTILE = group("Byzantine: 1,000 lies of each kind from an admitted member", [
  [
    "term and commit",
    `${BYZANTINE}members_that_lie_change_nothing_test.ts`,
    "an admitted member without a vote lies a thousand times to each, and changes nothing",
  ],
  [
    "epoch, incarnation and ownership",
    `${BYZANTINE}values_of_others_can_not_be_forged_test.ts`,
    "A member that forges another's ${what} a thousand times changes nothing and is named",
  ],
  [
    "forwarded proposals",
    `${BYZANTINE}sessions_of_others_can_not_be_used_test.ts`,
    "A member that proposes a thousand times under others' sessions to the ${told} changes nothing",
  ],
  [
    "definitions and templates",
    `${BYZANTINE}manifests_that_lie_test.ts`,
    "a manifest that lies, never ends or unpacks without end brings nothing and takes nothing away",
  ],
  [
    "load",
    `${BYZANTINE}loads_that_lie_test.ts`,
    "A member that says a thousand impossible loads of itself is not believed, and named",
  ],
  [
    "blobs",
    `${BYZANTINE}blobs_that_lie_test.ts`,
    "A member that sends ${what} a thousand times leaves nothing wrong, is avoided and named",
  ],
]);

/** In the table's order. */
export const SCENARIOS: readonly Scenario[] = [
  ...TARGETS,
  ...UNIT,
  ...INTEGRATED,
  ...END_TO_END,
  ...PERFORMANCE,
  ...CHAOTIC,
  ...HOSTILE,
];

/** Files that hold a scenario's test, each once. */
export const SCENARIO_FILES: readonly string[] = [...new Set(SCENARIOS.map(({ file }) => file))];

/** Matches the names under which the scenario's test is reported: what is computed in the name may be anything. */
export function namePattern({ test }: Pick<Scenario, "test">): RegExp {
  const fixed = test.split(/\$\{[^}]*\}/).map((part) => RegExp.escape(part));
  return new RegExp(`^${fixed.join(".*")}$`);
}
