import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { join } from "node:path";
import { runCommand } from "../../../tests/harness/cli.ts";
import { compareVersions } from "./release.ts";

const ignore = Deno.build.os === "windows";
/** As much of a program as upgrading asks for. */
const programOf = (version: string, config = `echo '{"warnings": ["old key"]}'`) =>
  `#!/bin/sh\ncase $1 in version) echo "odist version ${version}" ;; config) ${config} ;; esac\n`;

/** A user's home with an installed program, so that nothing of this machine is touched, and a release in a folder beside it. */
class Installed {
  readonly folder = Deno.makeTempDirSync();
  readonly file = join(this.folder, "home/bin/odist");
  readonly release = join(this.folder, "release");

  constructor() {
    for (const name of ["release", "home/bin", "tmp"]) {
      Deno.mkdirSync(join(this.folder, name), { recursive: true });
    }
    Deno.writeTextFileSync(this.file, programOf("1.2.3"), { mode: 0o755 });
  }

  publish(version: string, program: string, given: { sha256?: string; arch?: string } = {}): void {
    const name = "odist-this";
    Deno.writeTextFileSync(join(this.release, name), program);
    const sha256 = given.sha256 ?? createHash("sha256").update(program).digest("hex");
    const arch = given.arch ?? Deno.build.arch;
    const file = { name, os: Deno.build.os, arch, bytes: program.length, sha256 };
    Deno.writeTextFileSync(
      join(this.release, "release.json"),
      JSON.stringify({ version, files: [file] }),
    );
  }

  run(args: readonly string[], env: Readonly<Record<string, string>> = {}) {
    const home = join(this.folder, "home");
    const own = {
      HOME: home,
      TMPDIR: join(this.folder, "tmp"),
      XDG_CACHE_HOME: join(home, "cache"),
      ODIST_HOST: "127.0.0.1:9",
    };
    return runCommand(args, { env: { ...own, ODIST_FILE: this.file, ...env } });
  }

  upgrade(...args: readonly string[]) {
    return this.run(["upgrade", "--from", this.release, ...args]);
  }

  get program(): string {
    return Deno.readTextFileSync(this.file);
  }

  [Symbol.dispose](): void {
    Deno.removeSync(this.folder, { recursive: true });
  }
}

Deno.test("compareVersions orders by number, and a release after what led to it", () => {
  const ordered = ["?", "0.9.0", "0.10.0-rc.1", "0.10.0", "v1.0.0"];
  for (const [index, version] of ordered.entries()) {
    for (const [other, against] of ordered.entries()) {
      assert.equal(Math.sign(compareVersions(version, against)), Math.sign(index - other));
    }
  }
});

Deno.test({ name: "upgrade --check says what there is and changes nothing", ignore }, async () => {
  using machine = new Installed();
  machine.publish("1.3.0", programOf("1.3.0"));
  const { code, out } = await machine.upgrade("--check");
  assert.deepEqual([code, out], [0, "odist 1.3.0 is there, this is 1.2.3: odist upgrade\n"]);
  assert.deepEqual(JSON.parse((await machine.upgrade("--check", "--json")).out), {
    ...{ version: "1.2.3", released: "1.3.0", isNewer: true },
  });
  assert.equal(machine.program, programOf("1.2.3"));
  machine.publish("1.2.3", programOf("1.2.3"));
  assert.match((await machine.upgrade()).out, /^odist 1\.2\.3 is the newest/);
});

Deno.test(
  { name: "upgrade replaces the program, and passes on what the new one warns of", ignore },
  async () => {
    using machine = new Installed();
    machine.publish("1.3.0", programOf("1.3.0"));
    const { code, out, err } = await machine.upgrade();
    assert.equal(code, 0, err);
    assert.match(out, /odist is odist 1\.3\.0 now; it was 1\.2\.3\nA node that runs goes on/);
    assert.equal(err, "Warning: old key\n");
    assert.equal(machine.program, programOf("1.3.0"));
    assert.equal((Deno.statSync(machine.file).mode ?? 0) & 0o777, 0o755);
    assert.deepEqual([...Deno.readDirSync(join(machine.folder, "home/bin"))].length, 1);
  },
);

Deno.test({
  name: "upgrade leaves the program alone where the new one is not what it should be",
  ignore,
}, async () => {
  using machine = new Installed();
  const refused = programOf("1.3.0", "echo 'no option slots' >&2; exit 1");
  const rows: readonly (readonly [() => void, RegExp])[] = [
    [
      () => machine.publish("1.3.0", programOf("1.3.0"), { sha256: "0".repeat(64) }),
      /wanted 1\d\d bytes with SHA-256 0{64}, got/,
    ],
    [
      () => machine.publish("1.3.0", programOf("1.3.1")),
      /does not start here, so nothing was replaced/,
    ],
    [
      () => machine.publish("1.3.0", refused),
      /cannot use this machine's configuration.*no option slots/,
    ],
    [
      () => machine.publish("1.3.0", "", { arch: "pdp11" }),
      /describes no release: .*sizes and SHA-256/,
    ],
    [
      () => machine.publish("1.3.0", "x", { arch: "pdp11" }),
      /no program for \S+: it has \w+-pdp11/,
    ],
    [() => machine.publish("soon", "x"), /names no version/],
    [() => Deno.removeSync(join(machine.release, "release.json")), /Cannot read file:/],
  ];
  for (const [publish, wanted] of rows) {
    publish();
    const { code, err } = await machine.upgrade();
    assert.equal(code === 0, false, err);
    assert.match(err, wanted);
    assert.equal(machine.program, programOf("1.2.3"));
    assert.equal([...Deno.readDirSync(join(machine.folder, "home/bin"))].length, 1);
  }
});

Deno.test("upgrade and uninstall keep off what a package manager or git put there", async () => {
  using machine = new Installed();
  machine.publish("1.3.0", programOf("1.3.0"));
  for (
    const [file, wanted] of [
      ["/usr/bin/odist", /package manager \(apt/],
      ["/opt/homebrew/Cellar/odist/1.2.3/bin/odist", /belongs to brew/],
      ["", /source tree/],
    ] as const
  ) {
    const upgrade = ["upgrade", "--from", machine.release];
    for (const args of [upgrade, ["uninstall"]]) {
      const { code, err } = await machine.run(args, { ODIST_FILE: file });
      assert.equal(code, 2);
      assert.match(err, wanted);
    }
  }
});

Deno.test({
  name: "uninstall removes program and unpacked copies, and says that models stay",
  ignore,
}, async () => {
  using machine = new Installed();
  const home = join(machine.folder, "home");
  const kept = join(home, ".odist", "models");
  for (const path of [kept, join(home, "cache/odist/1.2.3"), join(home, ".cache/odist")]) {
    Deno.mkdirSync(path, { recursive: true });
  }
  const dry = await machine.run(["uninstall", "--dry-run"]);
  assert.match(dry.out, /would be removed +program .*bin\/odist\n/);
  assert.equal(machine.program, programOf("1.2.3"));
  const { code, out, err } = await machine.run(["uninstall"]);
  assert.equal(code, 0, err);
  assert.match(out, /removed +unpacked copies .*cache\/odist\n/);
  assert.match(out, /stays +models .*\.odist\/models\n/);
  const left = ["home/bin", "home", "home/cache", "home/.cache", "home/.odist"]
    .map((path) =>
      [...Deno.readDirSync(join(machine.folder, path))].map(({ name }) => name).sort()
    );
  assert.deepEqual(left, [[], [".cache", ".odist", "bin", "cache"], [], [], ["models"]]);
});

Deno.test(
  { name: "uninstall removes nothing where models lie among what it would remove", ignore },
  async () => {
    using machine = new Installed();
    const data = join(machine.folder, "home/cache/odist/data");
    Deno.mkdirSync(data, { recursive: true });
    const { code, err } = await machine.run(["uninstall"], { ODIST_DATA: data });
    assert.equal(code, 2);
    assert.match(err, /data lies in .*cache\/odist, which would be removed/);
    assert.equal(machine.program, programOf("1.2.3"));
    Deno.statSync(data);
  },
);

Deno.test({ name: "uninstall removes nothing while a node runs", ignore }, async () => {
  using machine = new Installed();
  await using server = Deno.serve(
    { port: 0, hostname: "127.0.0.1", onListen() {} },
    () => Response.json({ version: "0" }),
  );
  const { code, err } = await machine.run(["uninstall"], {
    ODIST_HOST: `127.0.0.1:${server.addr.port}`,
  });
  assert.equal(code, 2);
  assert.match(err, /A node runs at .*stop it first/);
  assert.equal(machine.program, programOf("1.2.3"));
});
