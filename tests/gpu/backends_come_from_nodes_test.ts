import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { TestCluster } from "../harness/cluster.ts";
import { vulkanTest } from "../harness/software_vulkan.ts";

const MAIN = fileURLToPath(new URL("../../main.ts", import.meta.url));

async function odist(args: readonly string[], env: Readonly<Record<string, string>>) {
  const { success, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--unstable-net", "--no-check", MAIN, ...args],
    env: { ...env, ODIST_CONFIG: "" },
    stdin: "null",
  }).output();
  const text = new TextDecoder();
  assert.ok(success, text.decode(stderr));
  return text.decode(stderr) + text.decode(stdout);
}

/** The package as a registry has it. */
async function packed(nativeFolder: string, folder: string): Promise<string> {
  const path = `${folder}/vulkan.tgz`;
  const inside = "s,^,package/bins/p/,";
  const { success } = await new Deno.Command("tar", {
    args: ["-czf", path, "-C", nativeFolder, `--transform=${inside}`, ...listOf(nativeFolder)],
  }).output();
  assert.ok(success);
  return path;
}

function listOf(folder: string): readonly string[] {
  return [...Deno.readDirSync(folder)].map(({ name }) => name);
}

vulkanTest(
  "Libraries that a member of the cluster has need no address, and no registry",
  async ({ nativeFolder, env }) => {
    const folder = await Deno.makeTempDir();
    try {
      await using cluster = await TestCluster.start(2);
      const [giver, taker] = [cluster.client("n1"), cluster.client("n2")];
      await cluster.healthy(2);
      const given = ["backend", "add", "vulkan", "--data", `${giver.homeFolder}/.odist`];
      await odist([...given, "--from", await packed(nativeFolder, folder)], env);
      const taking = ["backend", "add", "vulkan", "--data", `${taker.homeFolder}/.odist`];
      const said = await odist(taking, { ...env, ODIST_HOST: taker.origin });
      assert.match(said, /added 'vulkan'/);
      assert.doesNotMatch(said, /asking the registry/);
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  },
);

vulkanTest(
  "Libraries that one node has come to another one, which then drives its device with them",
  async ({ nativeFolder, env }) => {
    const folder = await Deno.makeTempDir();
    try {
      await using cluster = await TestCluster.start(1, { environment: env });
      const giver = cluster.client("n1");
      const given = ["backend", "add", "vulkan", "--data", `${giver.homeFolder}/.odist`];
      await odist([...given, "--from", await packed(nativeFolder, folder)], env);
      const taking = ["backend", "add", "vulkan", "--data", folder, "--from", giver.origin];
      assert.match(await odist(taking, env), /added 'vulkan', which drives Vulkan0/);
      // With its next start a node computes with them.
      await cluster.stop("n1");
      await cluster.restart("n1");
      await cluster.until("the device is told", async () => {
        const { members } = await giver.ask("GET", "/api/cluster/status");
        return JSON.stringify(members).includes("Vulkan0");
      });
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  },
);
