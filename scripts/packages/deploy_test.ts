import assert from "node:assert/strict";
import { join } from "node:path";
import { parse, parseAllDocuments } from "yaml";
import { PLATFORMS } from "./description.ts";
import { fill } from "./fill.ts";
import { DEPLOY_FOLDER, findStale, renderDeploy, renderService } from "./generate.ts";
import { hasTool, runTool } from "./tools.ts";

/** A test that wants programs; without them its name says which. */
function testWith(tools: readonly string[], name: string, run: () => Promise<void>): void {
  const missing = tools.filter((tool) => !hasTool(tool));
  const reason = missing.length === 0 ? "" : ` (skipped: no ${missing.join(", no ")} here)`;
  Deno.test({ name: `${name}${reason}`, ignore: reason !== "", fn: run });
}

const CHART = join(DEPLOY_FOLDER, "helm/odist");
const CLUSTER_VALUES = ["join.secret=tokens", "replicaCount=3", "serviceMonitor.enabled=true"]
  .flatMap((value) => ["--set", value]);

function renderChart(...args: readonly string[]): Promise<string> {
  return runTool(["helm", "template", "o", CHART, "--kube-version", "1.31.0", ...args]);
}

interface Manifest {
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly labels: Readonly<Record<string, string>> };
  // deno-lint-ignore no-explicit-any
  readonly spec: any;
}

const manifestsOf = (text: string): readonly Manifest[] =>
  parseAllDocuments(text).map((document) => document.toJS()).filter((one) => one !== null);

Deno.test("What is under deploy/ is what the description says", () => {
  assert.deepEqual(findStale(DEPLOY_FOLDER), []);
  const folder = Deno.makeTempDirSync();
  assert.deepEqual(findStale(folder), [...renderDeploy().keys()]);
  Deno.removeSync(folder, { recursive: true });
});

Deno.test("A place of a template that has no value is an error, and none is left over", () => {
  assert.throws(() => fill("a @VERSION@", {}), /wanted a value for VERSION/);
  for (const [path, text] of renderDeploy()) assert.doesNotMatch(text, /@[A-Z_]+@/, path);
});

Deno.test("install.sh and install.ps1 ask for files that a release has", () => {
  const released = PLATFORMS.map(({ file }) => file);
  const texts = renderDeploy();
  const asked = [...(texts.get("install.ps1") ?? "").matchAll(/'(odist-windows[^']*)'/g)]
    .map(([, name]) => name);
  const systems = ["linux", "darwin"].flatMap((os) =>
    ["x86_64", "aarch64"].map((arch) => `odist-${os}-${arch}`)
  );
  assert.match(texts.get("install.sh") ?? "", /"odist-\$os-\$arch"/);
  assert.deepEqual([...systems, ...asked].sort(), [...released].sort());
});

testWith(["shellcheck"], "shellcheck finds nothing in install.sh", async () => {
  await runTool(["shellcheck", join(DEPLOY_FOLDER, "install.sh")]);
});

testWith(["systemd-analyze"], "systemd finds nothing in the units", async () => {
  const folder = await Deno.makeTempDir();
  for (const scope of ["system", "user"] as const) {
    const path = join(folder, `odist-${scope}.service`);
    // A program that is there: that the unit's own isn't, yet, would be said, too.
    await Deno.writeTextFile(path, renderService(`${scope}.service`, Deno.execPath()));
    const { stderr } = await new Deno.Command("systemd-analyze", {
      args: [`--${scope}`, "verify", path],
      env: { XDG_RUNTIME_DIR: folder },
    }).output();
    // Other units of this machine may have faults of their own.
    const own = new TextDecoder().decode(stderr).split("\n").filter((line) =>
      line.includes("odist-")
    );
    assert.deepEqual(own, []);
  }
  await Deno.remove(folder, { recursive: true });
});

Deno.test("The compose file runs three nodes that nobody gets into and that write to /data alone", () => {
  const text = renderDeploy().get("container/compose.yaml") ?? "";
  const { services } = parse(text, { merge: true });
  assert.deepEqual(Object.keys(services), ["first", "token", "second", "third"]);
  for (const service of Object.values<Record<string, unknown>>(services)) {
    const { read_only, user, cap_drop } = service;
    assert.deepEqual([read_only, user, cap_drop], [true, "65532:65532", ["ALL"]]);
  }
  for (const name of ["second", "third"]) {
    assert.deepEqual(services[name].environment, {
      ...{ ODIST_JOIN: "first:11435", ODIST_TOKEN_FILE: "/join/token" },
    });
    assert.deepEqual(services[name].depends_on, {
      token: { condition: "service_completed_successfully" },
    });
  }
});

testWith(["helm"], "helm finds nothing in the chart", async () => {
  await runTool(["helm", "lint", "--strict", CHART]);
});

testWith(
  ["helm"],
  "The chart makes a set of nodes that join by a Secret, with what looks after them",
  async () => {
    const manifests = manifestsOf(await renderChart(...CLUSTER_VALUES));
    const kinds = manifests.map(({ kind }) => kind).sort();
    assert.deepEqual(kinds, [
      ...["PodDisruptionBudget", "Service", "Service", "ServiceMonitor", "StatefulSet"],
    ]);
    const find = (kind: string, name = "o-odist") => {
      const found = manifests.find((one) => one.kind === kind && one.metadata.name === name);
      assert(found !== undefined, `${kind} ${name}`);
      return found;
    };
    const set = find("StatefulSet").spec;
    const nodes = find("Service", "o-odist-nodes");
    const [container] = set.template.spec.containers;
    assert.equal(set.serviceName, nodes.metadata.name);
    assert.equal(nodes.spec.clusterIP, "None");
    assert.deepEqual(set.template.spec.volumes[0].secret.secretName, "tokens");
    const env = Object.fromEntries(
      container.env.map((one: { name: string; value: string }) => [one.name, one.value]),
    );
    assert.equal(env.ODIST_JOIN, "o-odist-nodes.default.svc:11435");
    assert.equal(env.ODIST_TOKEN_FILE, "/join/token");
    assert.equal(container.securityContext.readOnlyRootFilesystem, true);
    for (const probe of ["startupProbe", "livenessProbe", "readinessProbe"]) {
      assert.match(container[probe].httpGet.path, /^\/(health|ready)$/);
    }
    // What selects must select something.
    const labels = set.template.metadata.labels;
    for (const one of [find("Service"), nodes, find("PodDisruptionBudget")]) {
      const selector = one.spec.selector.matchLabels ?? one.spec.selector;
      for (const [key, value] of Object.entries(selector)) assert.equal(labels[key], value);
    }
    const monitor = find("ServiceMonitor").spec;
    for (const [key, value] of Object.entries(monitor.selector.matchLabels)) {
      assert.equal(nodes.metadata.labels[key], value);
    }
    const ports = nodes.spec.ports.map(({ name }: { name: string }) => name);
    assert.ok(ports.includes(monitor.endpoints[0].port));
  },
);

testWith(
  ["helm"],
  "The chart refuses several nodes without a Secret, and values that there are not",
  async () => {
    await assert.rejects(renderChart("--set", "replicaCount=3"), /wants join\.secret/);
    await assert.rejects(renderChart("--set", "replicas=3"), /replicas/);
    assert.equal(manifestsOf(await renderChart()).length, 4);
  },
);

testWith(
  ["helm", "kubernetes-validate"],
  "What the chart makes is valid by the schemas of Kubernetes",
  async () => {
    const path = await Deno.makeTempFile({ suffix: ".yaml" });
    // The operator's own kinds are in no schema of Kubernetes.
    const rendered = (await renderChart(...CLUSTER_VALUES)).split(/^---$/m)
      .filter((text) => !text.includes("kind: ServiceMonitor")).join("\n---\n");
    const validate = ["kubernetes-validate", "--strict", "-k", "1.31", path];
    await Deno.writeTextFile(path, rendered);
    await runTool(validate);
    await Deno.writeTextFile(path, rendered.replace("livenessProbe:", "lifenessProbe:"));
    await assert.rejects(runTool(validate), /lifenessProbe/);
    await Deno.remove(path);
  },
);
