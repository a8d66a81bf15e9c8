/** Becomes a runner, as far as rights go, with `attempts.ts` in the place of the runner. Words: those of a runner. */
import { launchRunner } from "../../../src/inference/launch/mod.ts";

const FOLDER = import.meta.dirname ?? ".";
const ROOT = `${FOLDER}/../../..`;
const place = await launchRunner({
  files: [Deno.execPath(), FOLDER, `${ROOT}/src`, `${ROOT}/deno.json`],
  command: (_entry, permissions) =>
    [Deno.execPath(), "run", "--quiet", "--no-prompt", "--no-lock", "--no-check"]
      .concat(permissions, `${FOLDER}/attempts.ts`),
}, Deno.args);
throw new Error(`not replaced: ${place.confinement}`);
