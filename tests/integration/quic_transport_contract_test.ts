import { QuicWorld } from "../harness/quic_world.ts";
import { testTransport } from "../harness/transport_contract.ts";

testTransport("openTransport()", (limits, use) => QuicWorld.run(limits, use));
