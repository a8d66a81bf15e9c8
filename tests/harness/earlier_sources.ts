import { join } from "node:path";
import { fileURLToPath } from "node:url";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));

/** The sources as they were at a commit of this repository, in a folder that is deleted with this object. */
export class EarlierSources implements AsyncDisposable {
  readonly folder: string;

  private constructor(folder: string) {
    this.folder = folder;
  }

  /** Undefined where the repository's history is not at hand. */
  static async unpack(commit: string): Promise<EarlierSources | undefined> {
    const folder = await Deno.makeTempDir({ prefix: "odist-earlier-" });
    const archive = join(folder, "sources.tar");
    const unpacked = await succeeds("git", "-C", ROOT, "archive", "--output", archive, commit) &&
      await succeeds("tar", "-x", "-f", archive, "-C", folder);
    if (unpacked) return new EarlierSources(folder);
    await Deno.remove(folder, { recursive: true });
    return undefined;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Deno.remove(this.folder, { recursive: true });
  }
}

async function succeeds(command: string, ...args: readonly string[]): Promise<boolean> {
  try {
    return (await new Deno.Command(command, { args: [...args] }).output()).success;
  } catch {
    return false; // No such program.
  }
}
