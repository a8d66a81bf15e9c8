import assert from "node:assert/strict";
import type { HostAddress } from "../../config/mod.ts";
import { HandClock } from "../../../tests/harness/hand_clock.ts";
import { advertisedAddresses, watchAddresses } from "./advertising.ts";

const SILENT = { log: () => {} };

const at = (hostname: string, port = 0): HostAddress => ({
  scheme: "http",
  hostname,
  port,
  path: "",
});

function placed(
  advertised: readonly HostAddress[],
  own: { address: string | undefined },
  clock = new HandClock(),
) {
  const [listen, bound] = [{ hostname: "0.0.0.0" }, "0.0.0.0:7"];
  return { advertised, listen, bound, outsideAddress: () => own.address, clock, log: SILENT };
}

Deno.test("others are told what the user says, filled up with where the node listens", () => {
  const own = { address: "192.168.1.2" };
  const told = (...advertised: HostAddress[]) => advertisedAddresses(placed(advertised, own));
  assert.equal(told(), "192.168.1.2:7");
  assert.equal(told(at("", 9)), "192.168.1.2:9");
  assert.equal(told(at("fd00::1"), at("vpn", 3), at("")), "[fd00::1]:7,vpn:3,192.168.1.2:7");
  assert.equal(told(at(""), at("192.168.1.2", 7)), "192.168.1.2:7");
  assert.equal(advertisedAddresses(placed([], { address: undefined })), "127.0.0.1:7");
});

Deno.test("an address that changes while the node runs is told; none at all, and a fixed one, are not", async () => {
  const clock = new HandClock();
  const own: { address: string | undefined } = { address: "192.168.1.2" };
  const told: string[] = [];
  const stop = watchAddresses(placed([], own, clock), (now) => void told.push(now));
  const fixed = placed([at("10.0.0.1")], own, clock);
  const stopFixed = watchAddresses(fixed, () => assert.fail("it is what the user says"));
  await clock.advance(5_000);
  assert.deepEqual(told, []);
  own.address = undefined;
  await clock.advance(5_000);
  assert.deepEqual(told, []);
  own.address = "172.20.0.9";
  await clock.advance(20_000);
  assert.deepEqual(told, ["172.20.0.9:7"]);
  stop();
  stopFixed();
  own.address = "10.1.1.1";
  await clock.advance(20_000);
  assert.deepEqual(told, ["172.20.0.9:7"]);
});
