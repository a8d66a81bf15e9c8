import assert from "node:assert/strict";
import { join } from "node:path";
import { SERVING_FLAGS } from "../../src/confinement/mod.ts";
import { bootFile, withManifest } from "./payload.ts";
import { writeSelfExtracting } from "./self_extracting.ts";
import type { TarFile } from "./tar.ts";

/** Prints what it was started with, and exits as its first argument says. */
const PROGRAM = `
const shown = ["ODIST_NATIVE_DIR", "ODIST_EMBEDDED_MODEL", "DENO_DIR"].map((key) => Deno.env.get(key));
const writes = ["/", "/var/tmp", Deno.env.get("HOME") + "/.odist"]
  .map((path) => Deno.permissions.querySync({ name: "write", path }).state);
console.log(JSON.stringify({ args: Deno.args, shown, writes, folder: import.meta.dirname }));
Deno.exit(Number(Deno.args[0] ?? 0) || 0);
`;

/** A file with a wrapper in place of Deno, so that it stays small, in a folder that is deleted afterwards. */
class Fixture {
  constructor(readonly folder: string) {}

  static async make(): Promise<Fixture> {
    const fixture = new Fixture(await Deno.makeTempDir({ prefix: "odist-extract-" }));
    const text = (path: string, content: string, executable = false): TarFile => ({
      path,
      bytes: new TextEncoder().encode(content),
      executable,
    });
    await writeSelfExtracting(fixture.file, {
      version: "1.2.3",
      files: withManifest([
        text("deno", `#!/bin/sh\nexec "${Deno.execPath()}" "$@"\n`, true),
        bootFile(),
        text("main.js", PROGRAM),
        text("chunk-types.js", ""),
        text("models/tiny.gguf", "x".repeat(100_000)),
        text("install.ts", await Deno.readTextFile(new URL("./install.ts", import.meta.url))),
        text("licenses/odist.txt", "licence"),
      ]),
    });
    return fixture;
  }

  get file(): string {
    return join(this.folder, "odist");
  }

  /** Runs the file with nothing but `environment` and the system's PATH. */
  async run(environment: Readonly<Record<string, string>>, args: readonly string[] = []) {
    const { code, stdout, stderr } = await new Deno.Command(this.file, {
      args: [...args],
      clearEnv: true,
      env: { PATH: "/usr/bin:/bin", ...environment },
    }).output();
    const decoder = new TextDecoder();
    return { code, stdout: decoder.decode(stdout), stderr: decoder.decode(stderr) };
  }

  /** Runs it with the fixture's folder as HOME; returns what the program printed. */
  async started(): Promise<
    { readonly args: string[]; readonly shown: string[]; readonly folder: string }
  > {
    const { code, stdout, stderr } = await this.run({ HOME: this.folder });
    assert.equal(code, 0, stderr);
    return JSON.parse(stdout);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Deno.remove(this.folder, { recursive: true });
  }
}

const ignore = Deno.build.os === "windows";

Deno.test(
  { name: "A self-extracting file starts the program in an empty HOME", ignore },
  async () => {
    await using fixture = await Fixture.make();
    const arguments_ = ["3", "two words", "$HOME", "*", ""];
    const { code, stdout, stderr } = await fixture.run({ HOME: fixture.folder }, arguments_);
    assert.equal(code, 3, stderr);
    const started = JSON.parse(stdout);
    assert.deepEqual(started.args, arguments_);
    assert.ok(started.folder.startsWith(join(fixture.folder, ".cache/odist/1.2.3-")));
    assert.deepEqual(started.shown, [
      join(started.folder, "native"),
      join(started.folder, "models/tiny.gguf"),
      join(started.folder, "deno-dir"),
    ]);
    const entries = [...Deno.readDirSync(fixture.folder)].map((entry) => entry.name).sort();
    assert.deepEqual(entries, [".cache", "odist"]);
  },
);

Deno.test(
  { name: "A self-extracting file unpacks once and again when damaged", ignore },
  async (t) => {
    await using fixture = await Fixture.make();
    const { folder } = await fixture.started();
    const model = join(folder, "models/tiny.gguf");
    const bornAt = () => Deno.statSync(folder).ino;
    const first = bornAt();
    await t.step("an undamaged copy is used as it is", async () => {
      await fixture.started();
      assert.equal(bornAt(), first);
    });
    const damages: Readonly<Record<string, () => Promise<void>>> = {
      "a missing file": () => Deno.remove(model),
      "an empty file": () => Deno.truncate(model, 0),
      "a changed file": () => Deno.writeTextFile(model, "y".repeat(100_000)),
      "a missing mark": () => Deno.remove(join(folder, ".complete")),
    };
    for (const [name, damage] of Object.entries(damages)) {
      await t.step(name, async () => {
        await damage();
        await fixture.started();
        assert.equal(Deno.readTextFileSync(model), "x".repeat(100_000));
      });
    }
    await t.step("a file that was only touched does not unpack for ever", async () => {
      await Deno.utime(model, new Date(), new Date());
      await fixture.started();
      const touched = bornAt();
      await fixture.started();
      assert.equal(bornAt(), touched);
    });
    await t.step("nothing else is left behind", () => {
      const entries = [...Deno.readDirSync(join(fixture.folder, ".cache/odist"))];
      assert.equal(entries.length, 1);
    });
  },
);

/** Writes without a trace in the file's times, as a program of this user can. */
async function changeQuietly(path: string, text: string): Promise<void> {
  const { mtime } = await Deno.stat(path);
  await Deno.writeTextFile(path, text);
  await Deno.utime(path, mtime ?? 0, mtime ?? 0);
}

Deno.test(
  {
    name: "A script that was changed with its old time does not run, and is unpacked anew",
    ignore,
  },
  async (t) => {
    for (const script of ["main.js", "boot.js", "manifest.json"]) {
      await t.step(script, async () => {
        await using fixture = await Fixture.make();
        const { folder } = await fixture.started();
        const path = join(folder, script);
        const sound = await Deno.readTextFile(path);
        const evil = script === "manifest.json" ? `{"files":[]}` : `console.log("evil");`;
        await changeQuietly(path, evil);
        const { stdout, stderr } = await fixture.run({ HOME: fixture.folder });
        assert.doesNotMatch(stdout, /evil/);
        // The launcher sees what became of boot.js, and boot.js what became of the others.
        if (script !== "boot.js") {
          assert.equal(stdout, "");
          assert.match(stderr, /was changed since it was unpacked: start again to unpack it anew/);
        }
        await fixture.started();
        assert.equal(await Deno.readTextFile(path), sound);
      });
    }
  },
);

Deno.test(
  { name: "A copy that others can write, or that is another user's, is unpacked anew", ignore },
  async (t) => {
    const takings: Readonly<Record<string, (folder: string) => Promise<void>>> = {
      "the folder, by its group": (folder) => Deno.chmod(folder, 0o770),
      "Deno, by all": (folder) => Deno.chmod(join(folder, "deno"), 0o757),
      ...Deno.uid() === 0 && { "another user's": (folder) => Deno.chown(folder, 65_534, null) },
    };
    for (const [name, take] of Object.entries(takings)) {
      await t.step(name, async () => {
        await using fixture = await Fixture.make();
        const { folder } = await fixture.started();
        const first = Deno.statSync(folder).ino;
        await take(folder);
        await fixture.started();
        const { ino, uid, mode } = Deno.statSync(folder);
        assert.notEqual(ino, first);
        assert.equal(uid, Deno.uid());
        assert.equal((mode ?? 0) & 0o022, 0);
      });
    }
    await t.step("a script, by its group, is refused first", async () => {
      await using fixture = await Fixture.make();
      const { folder } = await fixture.started();
      await Deno.chmod(join(folder, "main.js"), 0o664);
      const { code, stderr } = await fixture.run({ HOME: fixture.folder });
      assert.equal(code, 1);
      assert.match(stderr, /main\.js can be written by other users/);
      await fixture.started();
    });
  },
);

Deno.test(
  { name: "A copy is private whatever the user's umask, which the program keeps", ignore },
  async () => {
    await using fixture = await Fixture.make();
    const { stdout, stderr } = await new Deno.Command("/bin/sh", {
      args: ["-c", `umask 002; "${fixture.file}" && umask`],
      clearEnv: true,
      env: { PATH: "/usr/bin:/bin", HOME: fixture.folder },
    }).output();
    const text = new TextDecoder().decode(stdout);
    assert.match(text, /0002\n$/, new TextDecoder().decode(stderr));
    const { folder } = JSON.parse(text.split("\n")[0] ?? "");
    assert.equal((Deno.statSync(join(folder, "main.js")).mode ?? 0) & 0o022, 0);
    await fixture.started();
  },
);

Deno.test({ name: "Many first starts at once all succeed with one copy", ignore }, async () => {
  await using fixture = await Fixture.make();
  const started = await Promise.all(Array.from({ length: 6 }, () => fixture.started()));
  assert.equal(new Set(started.map(({ folder }) => folder)).size, 1);
  assert.equal([...Deno.readDirSync(join(fixture.folder, ".cache/odist"))].length, 1);
});

Deno.test(
  { name: "A self-extracting file without a usable HOME says so and uses TMPDIR", ignore },
  async () => {
    await using fixture = await Fixture.make();
    for (const home of [{}, { HOME: "/dev/null" }, { XDG_CACHE_HOME: "/dev/null" }]) {
      const { code, stdout, stderr } = await fixture.run({ TMPDIR: fixture.folder, ...home });
      assert.equal(code, 0, stderr);
      assert.ok(JSON.parse(stdout).folder.startsWith(join(fixture.folder, "odist-")));
    }
    const fresh = join(fixture.folder, "fresh");
    await Deno.mkdir(fresh);
    const { stderr } = await fixture.run({ TMPDIR: fresh });
    assert.match(stderr, /^odist: cannot unpack into a cache folder, because neither/);
  },
);

Deno.test({ name: "A file that was cut off refuses to start", ignore }, async () => {
  await using fixture = await Fixture.make();
  const { size } = await Deno.stat(fixture.file);
  await Deno.truncate(fixture.file, size - 100);
  const { code, stderr } = await fixture.run({ HOME: fixture.folder, TMPDIR: fixture.folder });
  assert.equal(code, 1);
  assert.match(stderr, /an undamaged/);
});

Deno.test(
  { name: "A folder of the temporary folder that is a link is not trusted", ignore },
  async () => {
    await using fixture = await Fixture.make();
    const user = Deno.uid();
    await Deno.mkdir(join(fixture.folder, "elsewhere"));
    await Deno.symlink(join(fixture.folder, "elsewhere"), join(fixture.folder, `odist-${user}`));
    const { code, stderr } = await fixture.run({ TMPDIR: fixture.folder });
    assert.equal(code, 1);
    assert.match(stderr, /wanted a folder of this user/);
  },
);

Deno.test(
  { name: "A self-extracting file lets a node write to its data folder alone", ignore },
  async () => {
    await using fixture = await Fixture.make();
    const home = fixture.folder;
    const writesOf = async (
      args: readonly string[],
      more: Readonly<Record<string, string>> = {},
    ) => {
      const { code, stdout, stderr } = await fixture.run({ HOME: home, ...more }, args);
      assert.equal(code, 0, stderr);
      const started = JSON.parse(stdout);
      assert.deepEqual(started.args, args);
      return started.writes;
    };
    assert.deepEqual(await writesOf(["serve"]), ["prompt", "prompt", "granted"]);
    const launcher = await Deno.readTextFile(fixture.file);
    const flags = SERVING_FLAGS.join(" ");
    assert.ok(
      launcher.includes(`run --quiet ${flags} "--allow-write=$data,`),
      "as it starts itself",
    );
    const elsewhere = ["prompt", "granted", "prompt"];
    assert.deepEqual(await writesOf(["serve", "--data", "/var/tmp"]), elsewhere);
    assert.deepEqual(await writesOf(["serve", "--data=/var/tmp", "--slots", "2"]), elsewhere);
    assert.deepEqual(await writesOf(["serve"], { ODIST_DATA: "/var/tmp" }), elsewhere);
    // The node makes a list by itself where the launcher can't.
    const all = ["granted", "granted", "granted"];
    assert.deepEqual(await writesOf(["serve", "--data", "relative"]), all);
    assert.deepEqual(await writesOf(["serve", "--data", "/with,comma"]), all);
    assert.deepEqual(await writesOf(["0"]), all);
  },
);
