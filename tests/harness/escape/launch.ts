/**
 * Becomes a runner, as far as rights go, with `attempts.ts` in the place of the runner, or `ports.ts` for one that computes with
 * others. Words: those of a runner.
 */
import { launchRunner } from "../../../src/inference/launch/mod.ts";

const FOLDER = import.meta.dirname ?? ".";
const ROOT = `${FOLDER}/../../..`;
const hasPorts = Deno.args.some((word) => /^--(?:connect|listen)=/.test(word));
const place = await launchRunner({
  files: [Deno.execPath(), FOLDER, `${ROOT}/src`, `${ROOT}/deno.json`],
  command: (_entry, permissions) =>
    [Deno.execPath(), "run", "--quiet", "--no-prompt", "--no-lock", "--no-check"]
      .concat(permissions, `${FOLDER}/${hasPorts ? "ports" : "attempts"}.ts`),
}, Deno.args);
throw new Error(`not replaced: ${place.confinement}`);
