// What Safari does and Chromium does not, by code that runs in the worker before its own. All of it is recovered from.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { GPU } from "../browser.mjs";
import { ChatPage } from "../pages/chat.mjs";
import { Shim } from "../shim.mjs";
import { isShard, serveSite } from "../site.mjs";
import { setUp } from "../steps.mjs";

const TIMEOUT = { timeout: 10 * 60_000 };
const QUESTION = "Tell me everything about the sea.";
const TOY = { model: "models/toy", max_tokens: 40, context: 512, temperature: 0.9, seed: 7 };
/** The loss of each story comes at this token. */
const AT = { at: "token", n: 8 };

/** Code for the worker; `shim.onPoint` is what happens at the planned point, once in the life of the page. */
const STORIES = {
  "a device that is lost with the reason destroyed": `
    shim.onPoint = () => (shim.tell(), shim.device.destroy());`,
  "no adapter any more in the same worker": `
    shim.onPoint = () => (shim.tell(), (shim.isDead = true), shim.device.destroy());
    shim.wrap(GPU.prototype, "requestAdapter", (old, _, [options]) => (shim.isDead ? Promise.resolve(null) : old(options)));`,
  "create calls that throw": `
    shim.onPoint = () => (shim.tell(), (shim.isDead = true));
    for (const name of ["createBuffer", "createCommandEncoder", "createBindGroup", "createShaderModule"]) {
      shim.wrap(GPUDevice.prototype, name, (old, _, parameters) => {
        if (shim.isDead) throw new DOMException("Unable to create", "InvalidStateError");
        return old(...parameters);
      });
    }`,
  "a map that never settles, and nobody says that the device is lost": `
    shim.onPoint = () => (shim.tell(), (shim.hungDevice = shim.device));
    const hung = new WeakSet();
    shim.wrap(GPUDevice.prototype, "createBuffer", (old, device, [descriptor]) => {
      const buffer = old(descriptor);
      if (device === shim.device) hung.add(buffer);
      return buffer;
    });
    shim.wrap(GPUBuffer.prototype, "mapAsync", (old, buffer, parameters) =>
      shim.hungDevice === shim.device && hung.has(buffer) ? new Promise(() => {}) : old(...parameters));
    const timeout = self.setTimeout;
    self.setTimeout = (code, millis, ...rest) => timeout(code, millis >= 500 ? millis / 20 : millis, ...rest);`,
};
/** Keeps the newest device at hand, and tells the server that the point was reached. */
const COMMON = `
  shim.wrap(GPUAdapter.prototype, "requestDevice", async (old, _, [descriptor]) => (shim.device = await old(descriptor)));
  shim.tell = () => ask("GET", "/__point");`;

describe(`Safari's ways on ${GPU}`, () => {
  let server, browser, undisturbed;
  setUp(serveSite, async (here) => {
    ({ server, browser } = here);
    const chat = await ChatPage.open(browser, server.url, TOY);
    await chat.ask(QUESTION);
    undisturbed = await chat.finished();
    await chat.close();
  });

  for (const [name, code] of Object.entries(STORIES)) {
    test(name, TIMEOUT, async () => {
      const shim = await Shim.install(server, browser, COMMON + code);
      shim.plan([AT]);
      const chat = await ChatPage.open(browser, server.url, TOY);
      chat.watcher.expect(/InvalidStateError|Unable to create|panicked|promise failed|destroyed|mapAsync|Failed to load resource/);
      await chat.waitFor("ready");
      const shards = server.count(isShard);
      await chat.ask(QUESTION);
      const answer = await chat.finished();
      const flight = await chat.page.evaluate(() => window.__tern.flight);
      assert.equal(shim.left, 0, "the point was not reached");
      assert.deepEqual(answer.ids, undisturbed.ids, flight);
      assert.deepEqual([answer.text, answer.finish], [undisturbed.text, undisturbed.finish]);
      assert.ok(answer.recoveries >= 1, flight);
      assert.equal(server.count(isShard), shards, "weights came over the network");
      assert.match(flight, /lost behind token/);
      await chat.close();
      shim.remove();
    });
  }
});
