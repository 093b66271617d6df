// Many short requests with crashes of the GPU process in between: no answer is lost or altered, and nothing piles up. The short
// form is a spec, the long one is `cargo xtask soak`.
import assert from "node:assert/strict";
import { launch } from "./browser.mjs";
import { ChatPage } from "./pages/chat.mjs";
import { Sidebar } from "./pages/sidebar.mjs";
import { Shim } from "./shim.mjs";
import { isShard, serveSite } from "./site.mjs";
import { CRASH, inWorker } from "./steps.mjs";

const QUESTIONS = ["What is the sea?", "Who are you?", "Name three birds.", "Why is the sky blue?", "Tell me a story."];
const TOY = { model: "models/toy", greedy: 1, max_tokens: 40, context: 512 };
/** Memory and buffers may be larger by this at the end than after the request `SETTLED`. */
const GROWTH = 1.1;

/** Keeps the page's wasm memory where it can be read. */
function keepMemory() {
  for (const name of ["instantiate", "instantiateStreaming"]) {
    const original = WebAssembly[name];
    WebAssembly[name] = async (...parameters) => {
      const result = await original.apply(WebAssembly, parameters);
      globalThis.wasmMemory = (result.instance ?? result).exports.memory;
      return result;
    };
  }
}

/**
 * @param {{requests: number, crashEvery: number, settled: number, log?: Function}} options
 * @returns {Promise<{answers: number, crashes: number, settled: object, end: object}>}
 */
export async function soak({ requests, crashEvery, settled, log = () => undefined }) {
  const server = await serveSite();
  const browser = await launch();
  try {
    const shim = await Shim.install(server, browser, `(${keepMemory})();`);
    const context = await browser.newContext();
    await context.addInitScript(keepMemory);
    const chat = await ChatPage.visit(context, server.url, { start: 1, ...TOY });
    chat.watcher.expect(CRASH);
    await chat.waitFor("ready");
    const sidebar = new Sidebar(chat.page);
    const shards = server.count(isShard);
    const expected = new Map();
    let [crashes, after] = [0, undefined];
    for (let index = 1; index <= requests; index += 1) {
      const question = QUESTIONS[index % QUESTIONS.length];
      const isDisturbed = index % crashEvery === 0;
      if (index > 1) await chat.newChat.click();
      if (isDisturbed) {
        const points = [{ at: "token", n: 1 + (index % 12) }];
        shim.plan(points);
        await inWorker(chat.page, (plan) => ((self.shim.tokens = 0), void (self.shim.plan = plan)), points);
      }
      await chat.ask(question);
      const answer = await chat.finished();
      const told = `request ${index}\n${await chat.page.evaluate(() => window.__tern.flight)}`;
      if (!expected.has(question)) {
        assert.ok(!isDisturbed, "the first answer of each kind is undisturbed");
        expected.set(question, answer);
      }
      const { ids, text, finish } = expected.get(question);
      assert.deepEqual(answer.ids, ids, told);
      assert.deepEqual([answer.text, answer.finish], [text, finish], told);
      assert.equal(answer.recoveries, isDisturbed ? 1 : 0, told);
      crashes += isDisturbed ? 1 : 0;
      // What is kept in the list takes memory by right: from here on there is always the same number of chats.
      if (index > settled) await sidebar.deleteOldest();
      if (index === settled) after = await measure(chat);
      if (index % 20 === 0) log(`${index} requests, ${crashes} crashes`, JSON.stringify(await measure(chat)));
    }
    const end = await measure(chat);
    assert.equal(server.count(isShard), shards, "weights came over the network");
    for (const [name, bytes] of Object.entries(end)) {
      assert.ok(bytes <= after[name] * GROWTH, `${name} grew from ${after[name]} to ${bytes}`);
    }
    await chat.close();
    return { answers: requests, crashes, settled: after, end };
  } finally {
    await browser.close();
    await server.close();
  }
}

/** What page and worker hold, after a collection. */
async function measure(chat) {
  const session = await chat.context.newCDPSession(chat.page);
  await session.send("HeapProfiler.collectGarbage");
  const { usedSize } = await session.send("Runtime.getHeapUsage");
  await session.detach();
  const pageWasmBytes = await chat.page.evaluate(() => globalThis.wasmMemory.buffer.byteLength);
  const worker = await inWorker(chat.page, () => ({
    gpuBuffers: self.shim.buffers,
    gpuBytes: self.shim.bytes,
    gpuDevices: self.shim.devices,
    workerWasmBytes: globalThis.wasmMemory.buffer.byteLength,
  }));
  return { pageHeapBytes: usedSize, pageWasmBytes, ...worker };
}
