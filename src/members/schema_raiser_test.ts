import assert from "node:assert/strict";
import { UnavailableError } from "../base/mod.ts";
import { Catalogue } from "../core/catalogue/mod.ts";
import type { RaftView } from "../core/raft/mod.ts";
import { CATALOGUE_SCHEMA, type CatalogueCommand, encodeCommand } from "../protocol/mod.ts";
import { RecordingTelemetry } from "../../tests/harness/scripted_client.ts";
import { VirtualSchedule } from "../../tests/harness/simulated_schedule.ts";
import { type SchemaGroup, SchemaRaiser } from "./schema_raiser.ts";

/** A group of one that applies what it is told, unless it has no quorum. */
class SmallGroup implements SchemaGroup {
  readonly catalogue = Catalogue.empty();
  role: RaftView["role"] = "leader";
  hasQuorum = true;
  proposed = 0;
  #listener: () => void = () => {};

  view() {
    return { role: this.role };
  }

  propose(command: CatalogueCommand) {
    this.proposed++;
    if (!this.hasQuorum) return Promise.reject(new UnavailableError("no_quorum", "not now"));
    const bytes = encodeCommand({ command, request: undefined });
    const applied = this.catalogue.apply(this.catalogue.appliedIndex + 1, bytes);
    assert.ok(applied.kind === "answered");
    return Promise.resolve(applied.outcome);
  }

  onChanged(listener: () => void): () => void {
    this.#listener = listener;
    return () => this.#listener = () => {};
  }

  become(role: RaftView["role"]): void {
    this.role = role;
    this.#listener();
  }
}

function scene(...schemas: (number | undefined)[]) {
  const group = new SmallGroup();
  const schedule = new VirtualSchedule();
  const clock = { after: (ms: number, run: () => void) => schedule.after(ms, run) };
  const raiser = new SchemaRaiser({
    group,
    schemas: () => schemas,
    clock,
    log: new RecordingTelemetry(),
  });
  return { group, raiser, schemas, schedule };
}

Deno.test("the schema is raised at once where every member knows the newer one", () => {
  const { group, raiser } = scene(CATALOGUE_SCHEMA, CATALOGUE_SCHEMA + 3);
  assert.equal(group.catalogue.schema, CATALOGUE_SCHEMA);
  raiser.look();
  assert.equal(group.proposed, 1);
});

Deno.test("a member that is older, or has not said, holds the schema up until it has", async () => {
  for (const held of [1, undefined]) {
    const { group, schemas, schedule, raiser } = scene(CATALOGUE_SCHEMA, held);
    await schedule.advance(5_000);
    assert.equal(group.proposed, 0);
    schemas[1] = CATALOGUE_SCHEMA;
    await schedule.advance(1_000);
    assert.equal(group.catalogue.schema, CATALOGUE_SCHEMA);
    raiser.close();
  }
});

Deno.test("only the leader raises the schema, and tries again after a failure", async () => {
  const { group, schedule, raiser } = scene(CATALOGUE_SCHEMA);
  const other = scene();
  assert.equal(other.group.proposed, 0, "nobody is admitted yet");
  other.raiser.close();
  assert.equal(group.proposed, 1);
  const second = new SmallGroup();
  second.role = "follower";
  const clock = { after: (ms: number, run: () => void) => schedule.after(ms, run) };
  const log = new RecordingTelemetry();
  const late = new SchemaRaiser({ group: second, schemas: () => [CATALOGUE_SCHEMA], clock, log });
  await schedule.advance(3_000);
  assert.equal(second.proposed, 0);
  second.hasQuorum = false;
  second.become("leader");
  assert.equal(second.proposed, 1);
  await schedule.advance(1_000);
  assert.ok(second.proposed > 1);
  second.hasQuorum = true;
  await schedule.advance(1_000);
  assert.equal(second.catalogue.schema, CATALOGUE_SCHEMA);
  raiser.close();
  late.close();
});
