import assert from "node:assert/strict";
import { HandClock } from "../../../tests/harness/hand_clock.ts";
import { advertisedAddresses, watchAddresses } from "./advertising.ts";

const SILENT = { log: () => {} };

const at = (hostname: string, port = 0) => ({ hostname, port });

function placed(
  advertised: readonly ReturnType<typeof at>[],
  own: { address: string | undefined; readLists?: boolean },
  clock = new HandClock(),
) {
  const [listen, bound] = [{ hostname: "0.0.0.0" }, "0.0.0.0:7"];
  return {
    ...{ advertised, listen, bound, clock, log: SILENT },
    outsideAddress: () => own.address,
    readLists: () => own.readLists ?? true,
  };
}

Deno.test("others are told what the user says, filled up with where the node listens", () => {
  const own = { address: "192.168.1.2" };
  const told = (...advertised: ReturnType<typeof at>[]) =>
    advertisedAddresses(placed(advertised, own));
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
  const { stop } = watchAddresses(placed([], own, clock), {
    told: "192.168.1.2:7",
    onChanged: (now) => void told.push(now),
  });
  const { stop: stopFixed } = watchAddresses(placed([at("10.0.0.1")], own, clock), {
    told: "10.0.0.1:7",
    onChanged: () => assert.fail("it is what the user says"),
  });
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

Deno.test("one address is told while anybody would take several for one, also on a machine without an address", () => {
  const own = { address: undefined, readLists: false };
  const places = placed([at("a"), at("b", 3)], own);
  assert.equal(advertisedAddresses(places), "a:7");
  const told: string[] = [];
  const watching = watchAddresses(places, { told: "a:7", onChanged: (now) => void told.push(now) });
  own.readLists = true;
  watching.look();
  own.readLists = false;
  watching.look();
  watching.look();
  watching.stop();
  assert.deepEqual(told, ["a:7,b:3", "a:7"]);
});
