import assert from "node:assert/strict";
import { withoutFetching } from "./child_environment.ts";
import { childEnvironment, launchEnvironment } from "./mod.ts";

Deno.test("childEnvironment() passes on what is on the list, and adds what it is told", () => {
  const own = {
    HOME: "/home/me",
    Path: "as Windows spells it",
    LC_ALL: "C",
    CUDA_VISIBLE_DEVICES: "0",
    GGML_VK_VISIBLE_DEVICES: "1",
    ODIST_NATIVE_DIR: "/native",
    ODIST_OWN_NATIVE_DIR: "/own",
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

Deno.test("launchEnvironment() adds what fetching takes, and withoutFetching() takes it away again", () => {
  const known = { HOME: "/home/me", LC_ALL: "C" };
  const fetching = {
    HTTPS_PROXY: "http://user:password@proxy",
    no_proxy: "localhost",
    NPM_CONFIG_REGISTRY: "https://registry.example",
    "npm_config_//registry.example/:_authToken": "a",
    SSL_CERT_FILE: "/roots.pem",
    NODE_EXTRA_CA_CERTS: "/roots.pem",
    DENO_TLS_CA_STORE: "system",
  };
  const secrets = { ODIST_KEY: "a", AWS_SECRET_ACCESS_KEY: "c" };
  const launched = launchEnvironment({ ...known, ...fetching, ...secrets }, { ADDED: "1" });
  assert.deepEqual(launched, { ...known, ...fetching, ADDED: "1" });
  assert.deepEqual(withoutFetching(launched), { ...known, ADDED: "1" });
});
