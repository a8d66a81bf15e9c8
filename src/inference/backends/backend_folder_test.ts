import assert from "node:assert/strict";
import { packTar } from "modern-tar";
import type { Digest } from "../../base/mod.ts";
import { BackendFolder, type BackendFolderParts, packageOf } from "./backend_folder.ts";
import { chooseBackend } from "./choose_backend.ts";
import { filesOfArchive } from "./package_files.ts";

/** Where there are libraries for GPUs to be added. */
const ignore = !["linux-x86_64", "windows-x86_64"].includes(`${Deno.build.os}-${Deno.build.arch}`);
const LIBRARY = new Uint8Array(200_000).map((_, index) => (index * 7919) >> 5);
const BASE = new TextEncoder().encode("base");
const DRIVEN = {
  ...{ build: "b", folder: "f", own: {}, confinement: "none", unusable: [] },
  devices: [{
    ...{ name: "Vulkan0", description: "d", kind: "gpu", driver: "" },
    ...{ totalBytes: 2, freeBytes: 1 },
  }],
};

function test(name: string, fn: (scene: Scene) => Promise<void>): void {
  Deno.test({
    name,
    ignore,
    fn: async () => {
      const folder = await Deno.makeTempDir();
      try {
        await fn(new Scene(folder, await digestsOf({ "a.so": LIBRARY, "base.so": BASE })));
      } finally {
        await Deno.remove(folder, { recursive: true });
      }
    },
  });
}

class Scene {
  constructor(readonly place: string, readonly digests: Readonly<Record<string, string>>) {}

  folder(probe: BackendFolderParts["probe"] = () => Promise.resolve(DRIVEN)): BackendFolder {
    const folder = `${this.place}/backends`;
    return new BackendFolder({ folder, probe, digestsOf: () => this.digests });
  }

  /** An archive of a package that holds these files. */
  async archive(files: Readonly<Record<string, Uint8Array>>, bytesMax = Infinity): Promise<string> {
    const entries = Object.entries(files).map(([name, data]) => ({
      header: { name: `package/bins/p/${name}`, size: data.length, type: "file" as const },
      data: new Uint8Array(data),
    }));
    const tar = new Blob([await packTar(entries)]).stream();
    const zipped = await new Response(tar.pipeThrough(new CompressionStream("gzip"))).bytes();
    const path = `${this.place}/package.tgz`;
    await Deno.writeFile(path, zipped.subarray(0, bytesMax));
    return path;
  }

  names(): readonly string[] {
    return [...Deno.readDirSync(`${this.place}/backends`)].map(({ name }) => name);
  }
}

async function digestsOf(files: Readonly<Record<string, Uint8Array<ArrayBuffer>>>) {
  const rows = Object.entries(files).map(async ([name, bytes]) =>
    [name, new Uint8Array(await crypto.subtle.digest("SHA-256", bytes)).toHex()] as const
  );
  return Object.fromEntries(await Promise.all(rows));
}

test("A package is kept with its own files alone, and tells what it drives", async (scene) => {
  const folder = scene.folder();
  const path = await scene.archive({ "a.so": LIBRARY, "base.so": BASE, "evil.so": BASE });
  const added = await folder.add("vulkan", filesOfArchive(path));
  assert.deepEqual([added.state, added.devices], ["usable", ["Vulkan0"]]);
  const kept = [...Deno.readDirSync(added.folder)].map(({ name }) => name).sort();
  assert.deepEqual(kept, ["a.so", "base.so"]);
  assert.deepEqual(folder.list(), [added]);
  const digest = folder.digestOf(packageOf("vulkan"), "a.so") ?? assert.fail();
  const reader = await folder.open(digest) ?? assert.fail();
  assert.deepEqual(await reader.read(1000, 5000), LIBRARY.subarray(1000, 6000));
  assert.equal(reader.blobBytes, LIBRARY.length);
  reader.close();
  for (const strange of ["evil.so", "toString", "../a.so"]) {
    assert.equal(folder.digestOf(packageOf("vulkan"), strange), undefined);
  }
  assert.equal(await folder.open(`sha256:${"0".repeat(64)}` as Digest), undefined);
  assert.equal(await folder.remove("vulkan"), true);
  assert.equal(await folder.remove("vulkan"), false);
  assert.deepEqual([folder.list(), scene.names()], [[], []]);
});

test("A package that is cut short anywhere, lacks a file or has another one is refused, and nothing is kept of it", async (scene) => {
  const folder = scene.folder();
  const whole = { "a.so": LIBRARY, "base.so": BASE };
  const { size } = await Deno.stat(await scene.archive(whole));
  for (const cut of [0, 1, 20, size >> 1, size - 60]) {
    const path = await scene.archive(whole, cut);
    await assert.rejects(
      folder.add("vulkan", filesOfArchive(path)),
      { code: "load_failed" },
      `${cut}`,
    );
  }
  const partly = await scene.archive({ "a.so": LIBRARY });
  await assert.rejects(folder.add("vulkan", filesOfArchive(partly)), /base\.so is missing/);
  const other = await scene.archive({ "a.so": BASE, "base.so": BASE });
  await assert.rejects(folder.add("vulkan", filesOfArchive(other)), /the SHA-256 of a\.so is/);
  assert.deepEqual([folder.list(), scene.names()], [[], []]);
});

test("What was there stays usable when another package is refused", async (scene) => {
  const folder = scene.folder();
  const added = await folder.add(
    "vulkan",
    filesOfArchive(await scene.archive({ "a.so": LIBRARY, "base.so": BASE })),
  );
  await Deno.writeFile(`${added.folder}/a.so`, BASE);
  const other = await scene.archive({ "a.so": BASE, "base.so": BASE });
  await assert.rejects(folder.add("vulkan", filesOfArchive(other)), { code: "load_failed" });
  assert.equal(folder.list().length, 1);
});

test("Libraries that end the process which opens them are set aside with the reason, until they are proved anew", async (scene) => {
  const files = await scene.archive({ "a.so": LIBRARY, "base.so": BASE });
  const dying = scene.folder(() => Promise.reject(new Error("it died of SIGSEGV")));
  const added = await dying.add("vulkan", filesOfArchive(files));
  assert.deepEqual([added.state, added.reason], ["set_aside", "it died of SIGSEGV"]);
  assert.equal(chooseBackend(dying, "").nativeFolder, undefined);
  assert.throws(() => chooseBackend(dying, "vulkan"), /set aside: it died of SIGSEGV/);
  const blind = scene.folder(() =>
    Promise.resolve({
      ...DRIVEN,
      devices: [],
      unusable: [{ library: "a.so", reason: "libcudart.so.13: cannot open" }],
    })
  );
  // From nowhere: what is here is whole.
  await Deno.remove(files);
  const again = await blind.add("vulkan", filesOfArchive(files));
  assert.equal(again.reason, "a.so: libcudart.so.13: cannot open");
  assert.equal((await scene.folder().add("vulkan", filesOfArchive(files))).state, "usable");
});

test("--gpu names a backend or devices, and is refused where those are not here", async (scene) => {
  const folder = scene.folder();
  assert.equal(chooseBackend(folder, "auto").nativeFolder, undefined);
  assert.throws(() => chooseBackend(folder, "vulkan"), /odist backend add vulkan/);
  const files = await scene.archive({ "a.so": LIBRARY, "base.so": BASE });
  const vulkan = await folder.add("vulkan", filesOfArchive(files));
  assert.equal(chooseBackend(folder, "").nativeFolder, vulkan.folder);
  assert.equal(chooseBackend(folder, "off").nativeFolder, undefined);
  assert.equal(chooseBackend(folder, "off").uses("Vulkan0"), false);
  const one = chooseBackend(folder, "Vulkan1,Vulkan2");
  assert.equal(one.nativeFolder, vulkan.folder);
  assert.deepEqual(["Vulkan0", "Vulkan1"].map((name) => one.uses(name)), [false, true]);
  assert.deepEqual(one.named, ["Vulkan1", "Vulkan2"]);
  assert.deepEqual(chooseBackend(folder, "vulkan").named, []);
  assert.throws(() => chooseBackend(folder, "CUDA0"), /odist backend add cuda/);
  assert.throws(() => chooseBackend(folder, "CUDA0,Vulkan0"), /one process/);
  const cuda = await folder.add("cuda", filesOfArchive(files));
  assert.equal(chooseBackend(folder, "auto").nativeFolder, cuda.folder);
  assert.match(packageOf("cuda"), /-cuda$/);
});

test("A node hands on the files of what was added, and opens no other one", async (scene) => {
  const folder = scene.folder();
  assert.equal(await folder.file(packageOf("vulkan"), "a.so"), undefined);
  const path = await scene.archive({ "a.so": LIBRARY, "base.so": BASE });
  const { folder: place } = await folder.add("vulkan", filesOfArchive(path));
  await Deno.writeTextFile(`${place}/secret`, "s");
  const body = await folder.file(packageOf("vulkan"), "base.so");
  assert.equal(await new Response(body).text(), "base");
  for (const name of ["secret", "../linux-x64-vulkan-3.21.1.json", "", "."]) {
    assert.equal(await folder.file(packageOf("vulkan"), name), undefined, name);
  }
  const outside = new BackendFolder({ folder: scene.place, probe: () => Promise.resolve(DRIVEN) });
  assert.equal(await outside.file("../backends/x", "a.so"), undefined);
});
