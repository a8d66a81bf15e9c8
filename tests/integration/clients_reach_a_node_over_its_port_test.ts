import assert from "node:assert/strict";
import { PeerError, UnavailableError } from "../../src/base/mod.ts";
import { ClientScene } from "../harness/clients.ts";

const MIB = 1024 * 1024;

/** An answer that goes on until its reader leaves, and says when that was. */
function endless() {
  const left = Promise.withResolvers<void>();
  const response = (gone: AbortSignal) => {
    gone.addEventListener("abort", () => left.resolve());
    return new Response(
      new ReadableStream({
        start: (controller) => controller.enqueue(new TextEncoder().encode("first")),
      }),
    );
  };
  return { response, left: left.promise };
}

Deno.test("A client asks over QUIC as over HTTP: method, path, headers, body, status", () =>
  ClientScene.play(async (scene) => {
    scene.answer = async (request) => {
      const { method, url, headers } = request;
      const body = await request.text();
      const seen = { method, url, type: headers.get("content-type"), body };
      return Response.json(seen, { status: 201, headers: { "x-odist-node": "n1" } });
    };
    const answer = await scene.ask("/api/copy?x=1", {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: '{"a":1}',
    });
    assert.deepEqual([answer.status, answer.headers.get("x-odist-node")], [201, "n1"]);
    assert.deepEqual(await answer.json(), {
      method: "POST",
      url: "http://localhost/api/copy?x=1",
      type: "application/json",
      body: '{"a":1}',
    });
    scene.answer = () => Promise.resolve(new Response(null, { status: 204 }));
    assert.equal((await scene.ask("/", { method: "HEAD" })).status, 204);
  }));

Deno.test("Bodies of many frames arrive whole both ways", () =>
  ClientScene.play(async (scene) => {
    scene.answer = async (request) => new Response(await request.bytes());
    const sent = crypto.getRandomValues(new Uint8Array(65_536)).slice();
    const body = new Uint8Array(3 * MIB + 17).map((_, at) => sent[at % sent.length] ?? 0);
    const echoed = await (await scene.ask("/", { method: "POST", body })).bytes();
    assert.equal(echoed.length, body.length);
    assert.ok(echoed.every((byte, at) => byte === body[at]));
  }));

Deno.test("A client that leaves an answer, its request or its process ends the work at the node", () =>
  ClientScene.play(async (scene) => {
    for (const how of ["cancel", "abort"] as const) {
      const { response, left } = endless();
      scene.answer = (_, { gone }) => Promise.resolve(response(gone));
      const abort = new AbortController();
      const answer = await scene.ask("/", { signal: abort.signal });
      const reader = answer.body?.getReader() ?? assert.fail();
      assert.equal(new TextDecoder().decode((await reader.read()).value), "first");
      if (how === "cancel") await reader.cancel();
      else {
        const reading = assert.rejects(reader.read(), { name: "AbortError" });
        abort.abort();
        await reading;
      }
      await left;
    }
  }));

Deno.test("Half an upload is never taken for a whole one", () =>
  ClientScene.play(async (scene) => {
    const heard = Promise.withResolvers<string>();
    scene.answer = async (request) => {
      const got = await request.text().then((text) => `whole: ${text}`, (error) => error.name);
      heard.resolve(got);
      return new Response(got);
    };
    const body = new ReadableStream<Uint8Array>({
      pull(controller) {
        controller.enqueue(new TextEncoder().encode("half"));
        controller.error(new Error("the disk is gone"));
      },
    });
    await scene.ask("/", { method: "POST", body }).then((answer) => answer.text()).catch(() => {});
    assert.equal(await heard.promise, "AbortError");
  }));

Deno.test("An answer that fails in the middle is not taken for a whole one", () =>
  ClientScene.play(async (scene) => {
    scene.answer = () => {
      let pulls = 0;
      const body = new ReadableStream({
        pull(controller) {
          if (pulls++ === 0) controller.enqueue(new TextEncoder().encode("part"));
          else controller.error(new Error("broken"));
        },
      });
      return Promise.resolve(new Response(body));
    };
    const answer = await scene.ask("/");
    await assert.rejects(
      answer.text(),
      (error) => error instanceof UnavailableError && /before it was whole/.test(error.message),
    );
  }));

Deno.test("A refused key is told why, and a node that is not there is told from one that refuses", () =>
  ClientScene.play(async (scene) => {
    scene.refusal = "it was revoked";
    await assert.rejects(
      scene.ask("/"),
      (error) =>
        error instanceof PeerError && error.code === "key_refused" &&
        error.message === "it was revoked",
    );
    assert.equal(scene.metrics.faults("key_refused"), 1);
    await scene.transport.close();
    await assert.rejects(
      scene.ask("/"),
      (error) => error instanceof UnavailableError && error.code === "node_unreachable",
    );
  }, { dialTimeoutMs: 300 }));

Deno.test("A browser asks over WebTransport on the same port, several things at once", () =>
  ClientScene.play(async (scene) => {
    scene.answer = (request) =>
      Promise.resolve(new Response(`asked ${new URL(request.url).pathname}`));
    const web = await scene.openWeb();
    assert.deepEqual(await web.greet(scene.keyText), {
      kind: "welcome",
      node: "n1",
      version: "0.1.0",
    });
    const paths = Array.from({ length: 20 }, (_, index) => `/${index}`);
    const answers = await Promise.all(paths.map((path) => web.ask(path)));
    assert.deepEqual(answers, paths.map((path) => ({ status: 200, text: `asked ${path}` })));
    web.close();
  }));

Deno.test("A browser takes back what it asked, or leaves, and the work ends", () =>
  ClientScene.play(async (scene) => {
    for (const how of ["takes back", "leaves"] as const) {
      const { response, left } = endless();
      scene.answer = (_, { gone }) => Promise.resolve(response(gone));
      const web = await scene.openWeb();
      await web.greet(scene.keyText);
      const { stream } = await web.begin("/api/cluster/feed");
      assert.equal((await stream.readPiece()).kind, "bytes");
      if (how === "takes back") await stream.writeBrokenOff();
      else web.close();
      await left;
      web.close();
    }
  }));

Deno.test("A key that is revoked opens nothing more in a session that is open", () =>
  ClientScene.play(async (scene) => {
    const web = await scene.openWeb();
    await web.greet(scene.keyText);
    assert.deepEqual(await web.ask("/"), { status: 200, text: "fine" });
    scene.refusal = "it was revoked";
    assert.deepEqual(await web.ask("/"), { status: 401, text: '{"error":"it was revoked"}' });
    web.close();
  }));
