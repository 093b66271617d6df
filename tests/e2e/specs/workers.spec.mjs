// Workers that fail as a whole: a panic, an endless loop, an end from outside, a full memory. Another worker takes over, and the
// answer is the undisturbed one, token for token; a worker that can never start is given up after a few, with an explanation.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { GPU } from "../browser.mjs";
import { ChatPage } from "../pages/chat.mjs";
import { Shim } from "../shim.mjs";
import { TOY as PACKAGE, isShard, serveSite } from "../site.mjs";
import { setUp } from "../steps.mjs";

const TIMEOUT = { timeout: 10 * 60_000 };
const QUESTION = "Tell me everything about the sea.";
const TOY = { model: "models/toy", max_tokens: 40, context: 512, temperature: 0.9, seed: 7 };
const SHARDS = PACKAGE.shards.map((name) => `/models/toy/${name}`);
/** What goes wrong comes at this token. */
const AT = { at: "token", n: 8 };
/** What worker and wgpu log by themselves. */
const NOISE = /panicked|InvalidStateError|Unable to create|unreachable|memory|promise failed|destroyed|mapAsync|Failed to load resource/;

/** Code for the worker, and what the flight recorder says of it. */
const STORIES = {
  "a panic": {
    // In the middle of the upload; wgpu expects buffers to be made.
    at: { at: "write", n: 2 },
    recoveries: 0,
    code: `
      shim.onPoint = () => (shim.tell(), (shim.isBroken = true));
      shim.wrap(GPUDevice.prototype, "createBuffer", (old, _, parameters) => {
        if (shim.isBroken) throw new DOMException("Unable to create", "InvalidStateError");
        return old(...parameters);
      });`,
    says: /lost while loading: Trap, panicked at /,
  },
  "an endless loop": {
    code: `shim.onPoint = () => { shim.tell(); for (;;); };`,
    says: /lost behind token \d+ of an answer: Silent, the worker said nothing for 30 s/,
  },
  "an end from outside": {
    // The page ends it without a word to anybody, as a browser may.
    code: `shim.onPoint = () => (shim.tell(), post("end me"));`,
    says: /lost behind token \d+ of an answer: Silent, the worker said nothing for 30 s/,
  },
};
const TELL = `shim.tell = () => ask("GET", "/__point");`;

/** In the page: a worker that asks for it is ended behind the app's back. */
function endOnRequest() {
  const Original = window.Worker;
  window.Worker = class extends Original {
    constructor(...parameters) {
      super(...parameters);
      this.addEventListener("message", (message) => {
        if (message.data !== "end me") return;
        message.stopImmediatePropagation();
        this.terminate();
      });
    }
  };
}

/** Pages of 64 KiB that a module with little memory may grow by: enough to greet, too little for a model. */
const LITTLE = 8;
/** In the worker: most of its memory is taken if the plan says so, as by a build with a small maximum. */
const LIMIT = `
  for (const name of ["instantiate", "instantiateStreaming"]) {
    const original = WebAssembly[name];
    WebAssembly[name] = async (...parameters) => {
      const result = await original.apply(WebAssembly, parameters);
      if (shim.plan[0]?.at === "memory") {
        shim.tell();
        const { memory } = (result.instance ?? result).exports;
        memory.grow(65536 - memory.buffer.byteLength / 65536 - ${LITTLE});
      }
      return result;
    };
  }`;
const FULL = { at: "memory", n: 0 };

describe(`workers that fail on ${GPU}`, () => {
  let server, browser, undisturbed;
  setUp(serveSite, async (here) => {
    ({ server, browser } = here);
    const chat = await ChatPage.open(browser, server.url, TOY);
    await chat.ask(QUESTION);
    undisturbed = await chat.finished();
    await chat.close();
  });

  async function open(code, plan) {
    const shim = await Shim.install(server, browser, TELL + code);
    shim.plan(plan);
    const context = await browser.newContext();
    await context.addInitScript(endOnRequest);
    const chat = await ChatPage.visit(context, server.url, { start: 1, ...TOY });
    chat.watcher.expect(NOISE);
    return { chat, shim };
  }

  for (const [name, { code, says, at = AT, recoveries = 1 }] of Object.entries(STORIES)) {
    test(name, TIMEOUT, async () => {
      const from = server.requests.length;
      const { chat, shim } = await open(code, [at]);
      await chat.ask(QUESTION);
      const answer = await chat.finished();
      const flight = await chat.page.evaluate(() => window.__tern.flight);
      assert.equal(shim.left, 0, "the point was not reached");
      assert.deepEqual(answer.ids, undisturbed.ids, flight);
      assert.deepEqual([answer.text, answer.finish, answer.recoveries], [undisturbed.text, undisturbed.finish, recoveries], flight);
      assert.match(flight, says);
      assert.match(flight, /worker 2 is started/);
      assert.deepEqual(fetchedShards(from), SHARDS);
      await chat.close();
      shim.remove();
    });
  }

  test("a worker whose memory is full is replaced, and the next one answers", TIMEOUT, async () => {
    const { chat, shim } = await open(LIMIT, [FULL]);
    await chat.ask(QUESTION);
    const flight = await chat.page.evaluate(() => window.__tern.flight);
    assert.equal(shim.left, 0, "no memory was full");
    assert.deepEqual((await chat.finished()).ids, undisturbed.ids, flight);
    assert.match(flight, /lost while loading/);
    assert.match(flight, /worker 2 is started/);
    await chat.close();
    shim.remove();
  });

  function fetchedShards(from) {
    return server.requests.slice(from).map(({ path }) => path).filter(isShard).sort();
  }
});
