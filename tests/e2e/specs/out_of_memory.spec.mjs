// A device that has no memory for the model as it is wanted: it is started with less, and the person is told what that costs.
import assert from "node:assert/strict";
import { test } from "node:test";
import { GPU } from "../browser.mjs";
import { ChatPage } from "../pages/chat.mjs";
import { Shim } from "../shim.mjs";
import { isShard, serveSite } from "../site.mjs";
import { setUp } from "../steps.mjs";

const TIMEOUT = { timeout: 10 * 60_000 };
const TOY = { model: "models/toy", greedy: 1, max_tokens: 8 };
const [WANTED, FITTING] = [1024, 512];

/** Reports that there is no memory as WebGPU does when what is alive exceeds this, and makes the buffer all the same. */
const FULL_BEYOND = (bytes) => `
  shim.wrap(GPUDevice.prototype, "createBuffer", (old, device, [descriptor]) => {
    const buffer = old(descriptor);
    if (shim.bytes > ${bytes}) {
      const error = new GPUOutOfMemoryError("Out of memory");
      queueMicrotask(() => device.dispatchEvent(new GPUUncapturedErrorEvent("uncapturederror", { error })));
    }
    return buffer;
  });`;

let server, browser;
setUp(serveSite, (here) => ({ server, browser } = here));

/** Bytes alive on the GPU when the model waits for a question. */
async function bytesAt(context) {
  const chat = await ChatPage.open(browser, server.url, { ...TOY, context });
  await chat.waitFor("ready");
  const worker = chat.page.workers().find((candidate) => candidate.url().endsWith("worker_loader.js"));
  const bytes = await worker.evaluate(() => self.shim.bytes);
  await chat.close();
  return bytes;
}

test(`a GPU without enough memory gets a smaller configuration, on ${GPU} (14)`, TIMEOUT, async () => {
  let shim = await Shim.install(server, browser);
  const [large, small] = [await bytesAt(WANTED), await bytesAt(FITTING)];
  assert.ok(large > small + 100_000, `${large} and ${small} bytes`);
  shim.remove();
  shim = await Shim.install(server, browser, FULL_BEYOND(Math.round((large + small) / 2)));
  const chat = await ChatPage.open(browser, server.url, { ...TOY, context: WANTED });
  chat.watcher.expect(/out of memory|Failed to load resource/i);
  await chat.waitForState("ready");
  assert.equal((await chat.model()).context, FITTING);
  await chat.page.getByText(/the model now remembers less: 512 tokens/).waitFor();
  const shards = server.count(isShard);
  await chat.ask("Hello");
  assert.notEqual((await chat.finished()).ids.length, 0);
  assert.equal(server.count(isShard), shards, "weights came over the network");
  await chat.close();
  shim.remove();
});
