import assert from "node:assert/strict";
import { QuicWorld } from "../harness/quic_world.ts";
import { RecordingNode } from "../harness/transport_contract.ts";

/** Longer than a client takes to send its first datagram again. */
const GIVES_UP_MS = 3_000;

/** That there is a class at runtime is in no declaration. */
interface ListenerClass {
  readonly prototype: Pick<Deno.QuicListener, "incoming">;
}

/** What a listener is handed comes to the test and to nobody else. */
function holdIncoming(): { readonly held: Promise<Deno.QuicIncoming> } & Disposable {
  const { promise: held, resolve } = Promise.withResolvers<Deno.QuicIncoming>();
  const { prototype } = (Deno as unknown as { readonly QuicListener: ListenerClass }).QuicListener;
  const { incoming } = prototype;
  prototype.incoming = async function () {
    resolve(await incoming.call(this));
    return await new Promise<never>(() => {});
  };
  return { held, [Symbol.dispose]: () => void (prototype.incoming = incoming) };
}

Deno.test("A node that closes while somebody knocks ends in order, and its process lives on", () =>
  QuicWorld.run({}, async (world) => {
    using knocks = holdIncoming();
    const { transport } = await world.open(new RecordingNode());
    const [hostname = "", port = ""] = transport.address.split(":");
    const endpoint = new Deno.QuicEndpoint({ hostname: "127.0.0.1", port: 0 });
    const knocking = Promise.resolve(Deno.connectQuic({
      ...{ hostname, port: Number(port), endpoint },
      ...{ alpnProtocols: ["any"], maxIdleTimeout: GIVES_UP_MS },
    }));
    await Promise.race([knocks.held, knocking]);
    await transport.close();
    // It has knocked again by then.
    await assert.rejects(knocking);
    endpoint.close();
  }));
