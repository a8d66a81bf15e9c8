import assert from "node:assert/strict";
import { broadcastOf, readCoreSeconds, readSessions } from "./system_texts.ts";

Deno.test("broadcastOf() is the network's last address", () => {
  assert.equal(broadcastOf("192.168.1.17", "255.255.255.0"), "192.168.1.255");
  assert.equal(broadcastOf("10.20.30.40", "255.240.0.0"), "10.31.255.255");
});

Deno.test("readSessions() takes who did something within half an hour for present", () => {
  const line = (idle: string) =>
    `ada      pts/0        2026-11-29 08:00 ${idle}        4711 (10.0.0.2)\n`;
  for (const idle of [".", "00:29", "?"]) assert.equal(readSessions(line(idle)), true, idle);
  for (const idle of ["00:30", "12:01", "old"]) assert.equal(readSessions(line(idle)), false, idle);
  assert.equal(readSessions(""), false);
  assert.equal(readSessions(line("old") + line(".")), true);
});

Deno.test("readCoreSeconds() tells this node's processes from all others", () => {
  const stat = (pid: number, parent: number, ticks: number) =>
    `${pid} (a (b) c) S ${parent} 1 1 0 -1 0 0 0 0 0 ${ticks} ${ticks} 0 0 20 0\n`;
  const said = "cpu  1000 0 500 8000 400 0 100 0 0 0\ncpu0 1 2 3\n" +
    stat(10, 1, 100) + stat(11, 10, 50) + stat(12, 11, 25) + stat(20, 1, 400);
  assert.deepEqual(readCoreSeconds(said, 10), { passed: 100, used: 16, own: 3.5 });
  assert.equal(readCoreSeconds("", 10), undefined);
});
