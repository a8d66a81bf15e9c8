/**
 * Prints in hex what is broadcast to the port that magic packets go to, a line each, after one that says that it listens.
 *
 * @module
 */
const socket = Deno.listenDatagram({ transport: "udp", hostname: "0.0.0.0", port: 9 });
console.log("listening");
for await (const [bytes] of socket) console.log(bytes.toHex());
