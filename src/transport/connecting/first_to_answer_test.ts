import assert from "node:assert/strict";
import { UnavailableError } from "../../base/mod.ts";
import type { LookUp, ResolvedAddress } from "../resolve_address.ts";
import { firstToAnswer } from "./first_to_answer.ts";

/** Answers, or fails, when told to. */
class Places {
  readonly tried = new Map<string, PromiseWithResolvers<string>>();
  readonly discarded: string[] = [];
  readonly #allTried = Promise.withResolvers<void>();

  constructor(readonly count: number) {}

  dial(addresses: readonly string[], lookUp?: LookUp) {
    return firstToAnswer(addresses, {
      family: 6,
      lookUp,
      connect: ({ hostname, port }: ResolvedAddress) => {
        const answer = Promise.withResolvers<string>();
        this.tried.set(`${hostname} ${port}`, answer);
        if (this.tried.size === this.count) this.#allTried.resolve();
        return answer.promise;
      },
      discard: (conn) => void this.discarded.push(conn),
    });
  }

  async at(place: string): Promise<PromiseWithResolvers<string>> {
    await this.#allTried.promise;
    const answer = this.tried.get(place);
    assert.ok(answer !== undefined, `${place} was not tried: ${[...this.tried.keys()]}`);
    return answer;
  }
}

Deno.test("all addresses are tried at once, the first that answers is kept and the late one hung up on", async () => {
  const places = new Places(3);
  const dialed = places.dial(["10.0.0.1:1", "[fd00::1]:2", "10.0.0.3:3"]);
  (await places.at("::ffff:10.0.0.1 1")).reject(new UnavailableError("peer_lost", "nobody"));
  (await places.at("fd00::1 2")).resolve("second");
  assert.deepEqual(await dialed, { conn: "second", address: "[fd00::1]:2" });
  (await places.at("::ffff:10.0.0.3 3")).resolve("third");
  await new Promise((resolve) => setImmediate(resolve));
  assert.deepEqual(places.discarded, ["third"]);
});

Deno.test("where nobody answers, the first address says why", async () => {
  const places = new Places(2);
  const dialed = places.dial(["10.0.0.1:1", "10.0.0.2:2", "nonsense"]);
  (await places.at("::ffff:10.0.0.2 2")).reject(new Error("second"));
  (await places.at("::ffff:10.0.0.1 1")).reject(new Error("first"));
  await assert.rejects(dialed, /first/);
  await assert.rejects(new Places(0).dial(["nonsense"]), /"nonsense": it is not HOST:PORT/);
});

Deno.test("of a name's addresses the first four are tried, at once", async () => {
  const places = new Places(4);
  const hosts = [1, 2, 3, 4, 5, 6].map((host) => ({ address: `fd00::${host}`, family: 6 }));
  const dialed = places.dial(["laptop.example:7"], () => Promise.resolve(hosts));
  (await places.at("fd00::4 7")).resolve("fourth");
  assert.deepEqual(await dialed, { conn: "fourth", address: "laptop.example:7" });
  assert.deepEqual([...places.tried.keys()], [1, 2, 3, 4].map((host) => `fd00::${host} 7`));
});
