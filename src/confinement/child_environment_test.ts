import assert from "node:assert/strict";
import { childEnvironment } from "./mod.ts";

Deno.test("childEnvironment() passes on what is on the list, and adds what it is told", () => {
  const own = {
    HOME: "/home/me",
    Path: "as Windows spells it",
    LC_ALL: "C",
    CUDA_VISIBLE_DEVICES: "0",
    GGML_VK_VISIBLE_DEVICES: "1",
    ODIST_NATIVE_DIR: "/native",
  };
  const secrets = {
    ODIST_KEY: "a",
    ODIST_TOKEN: "b",
    AWS_SECRET_ACCESS_KEY: "c",
    GITHUB_TOKEN: "d",
    CUDA_LICENSE_KEY: "e",
    NVIDIA_API_TOKEN: "f",
    LD_PRELOAD: "g",
    HTTPS_PROXY: "http://user:password@proxy",
    CUDAX: "no such prefix",
  };
  assert.deepEqual(childEnvironment({ ...own, ...secrets }, { ADDED: "1" }), {
    ...own,
    ADDED: "1",
  });
});
