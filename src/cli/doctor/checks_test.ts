import assert from "node:assert/strict";
import {
  judgeClock,
  judgeDevices,
  judgeDisk,
  judgeMemory,
  judgeNatives,
  judgeOpenFiles,
  judgeOwnLibraries,
  readOpenFilesLimit,
} from "./checks.ts";

const GIB = 2 ** 30;

Deno.test("doctor judges by what a node needs and says what to do", () => {
  const now = Date.UTC(2026, 10, 1);
  const rows = [
    [judgeDisk("disk", "/", 100 * GIB), "ok"],
    [judgeDisk("disk", "/", GIB), "warning"],
    [judgeDisk("disk", "/", 1), "broken"],
    [judgeMemory(16 * GIB, GIB), "ok"],
    [judgeMemory(2 * GIB, GIB), "warning"],
    [judgeMemory(GIB, 2 * GIB), "broken"],
    [judgeOpenFiles(undefined), "ok"],
    [judgeOpenFiles(Infinity), "ok"],
    [judgeOpenFiles(1024), "warning"],
    [judgeOpenFiles(64), "broken"],
    [judgeClock(now, undefined), "ok"],
    [judgeClock(now, now + 1_000), "ok"],
    [judgeClock(now, now + 3_600_000), "warning"],
    [judgeClock(0, undefined), "broken"],
  ] as const;
  for (const [finding, state] of rows) {
    assert.equal(finding.state, state, finding.text);
    assert.equal(finding.advice === undefined, state === "ok", finding.text);
  }
});

Deno.test("readOpenFilesLimit reads the soft limit", () => {
  assert.equal(readOpenFilesLimit("Max open files            1024        4096      files"), 1024);
  assert.equal(readOpenFilesLimit("Max open files            unlimited   unlimited"), Infinity);
  assert.equal(readOpenFilesLimit("Max cpu time"), undefined);
});

Deno.test("doctor warns where the kernel doesn't hold a runner to its rights", () => {
  assert.equal(judgeNatives("llama.cpp", "landlock:7+seccomp").state, "ok");
  const onLinux = Deno.build.os === "linux" ? "warning" : "ok";
  for (const less of ["seccomp", "permissions", "none: no C library"]) {
    const { state, text } = judgeNatives("llama.cpp", less);
    assert.equal(state, onLinux, less);
    assert.match(text, /confined by/);
  }
});

Deno.test("doctor says which libraries of odist's own build are missing, what for, and how to get them", () => {
  assert.equal(judgeOwnLibraries([["ggml-rpc", ""], ["mtmd", ""]]).state, "ok");
  const { state, text, advice } = judgeOwnLibraries([["ggml-rpc", ""], ["mtmd", "There is none"]]);
  assert.deepEqual([state, text], ["warning", "There is none"]);
  assert.match(advice ?? "", /^Without: no images\. .*cmake.*: deno task natives$/);
});

Deno.test("doctor names each device, and why a library for devices can't be used", () => {
  const device = {
    ...{ name: "CUDA0", description: "Some \x1bGPU", kind: "gpu", driver: "nvidia 1.2" },
    ...{ totalBytes: 2 ** 34, freeBytes: 2 ** 33 },
  };
  const reason = "libcudart.so.13: cannot open shared object file";
  const [found, broken] = judgeDevices([device], [{ library: "libggml-cuda.so", reason }]);
  assert.deepEqual(found, {
    name: "device",
    state: "ok",
    text: "CUDA0: Some \ufffdGPU, 8 GiB of 16 GiB free, driver nvidia 1.2",
  });
  assert.equal(broken?.state, "warning");
  assert.match(broken?.text ?? "", /^libggml-cuda\.so can't be used: libcudart\.so\.13/);
  assert.deepEqual(judgeDevices([], []).map(({ state }) => state), ["ok"]);
});
