// What a decoded token costs in calls: counted in the browser, around the WebGPU calls of the real worker. Software adapters
// decode unfused, so that the worker is told that this one is a GPU.
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, test } from "node:test";
import { GPU } from "../browser.mjs";
import { ChatPage } from "../pages/chat.mjs";
import { Shim } from "../shim.mjs";
import { TOY, serveSite } from "../site.mjs";
import { setUp } from "../steps.mjs";

const TIMEOUT = { timeout: 10 * 60_000 };
/** Between these tokens of the answer everything is counted; before, kernels are compiled, the loop begins to run ahead, and how many
 * steps fit into a frame becomes known. */
const [FROM, TO] = [48, 112];
/** Steps that share a submit at most. */
const MOST_TOGETHER = 8;
/** Sampled hot, so that the answer is long. */
const SETTINGS = { model: "models/toy", max_tokens: TO + 8, context: 512, temperature: 2, seed: 4 };
const LAYER_DISPATCHES = 6;
const OTHER_DISPATCHES = 8;

const COUNT = `
  for (const name of ["description", "vendor", "architecture", "device"]) {
    Object.defineProperty(GPUAdapterInfo.prototype, name, { get: () => "a GPU" });
  }
  for (const prototype of [GPUAdapterInfo.prototype, GPUAdapter.prototype]) {
    Object.defineProperty(prototype, "isFallbackAdapter", { get: () => false });
  }
  const counts = {};
  const count = (kind, prototype, ...names) => {
    counts[kind] = 0;
    for (const name of names) shim.wrap(prototype, name, (old, _, parameters) => ((counts[kind] += 1), old(...parameters)));
  };
  count("dispatches", GPUComputePassEncoder.prototype, "dispatchWorkgroups", "dispatchWorkgroupsIndirect");
  count("passes", GPUCommandEncoder.prototype, "beginComputePass");
  count("submits", GPUQueue.prototype, "submit");
  count("maps", GPUBuffer.prototype, "mapAsync");
  count("writes", GPUQueue.prototype, "writeBuffer");
  count("made", GPUDevice.prototype, "createBindGroup", "createBuffer", "createComputePipeline", "createComputePipelineAsync");
  shim.marks = [];
  shim.onPoint = () => shim.marks.push({ tokens: shim.tokens, ...counts });`;

describe(`calls of a decoded token on ${GPU}`, () => {
  let server, browser;
  setUp(serveSite, (here) => ({ server, browser } = here));

  test("six dispatches a layer, half a submit, half a map, and nothing is made", TIMEOUT, async () => {
    const shim = await Shim.install(server, browser, COUNT);
    shim.plan([FROM, TO].map((n) => ({ at: "token", n })));
    const chat = await ChatPage.open(browser, server.url, SETTINGS);
    await chat.ask("Tell me everything about the sea.");
    const answer = await chat.finished();
    const [worker] = chat.page.workers();
    const [first, last] = await worker.evaluate(() => self.shim.marks);
    shim.remove();
    await chat.close();

    assert.ok(answer.ids.length >= TO, `the answer ended after ${answer.ids.length} tokens`);
    const spent = Object.fromEntries(Object.keys(first).map((kind) => [kind, last[kind] - first[kind]]));
    const { layers } = JSON.parse(await readFile(join(TOY.folder, "manifest.json"), "utf8")).architecture;
    console.log(`${layers} layers, from token ${first.tokens} to ${last.tokens}: ${JSON.stringify(spent)}`);
    assert.ok(spent.tokens >= 32, "too few tokens between the marks");
    // The loop runs ahead by some steps, not always by the same number, but that changes by no more than a group.
    const steps = spent.tokens + MOST_TOGETHER;
    assert.ok(spent.submits > 0 && spent.submits <= steps / 2, "more than a submit for two tokens");
    assert.equal(spent.passes, spent.submits, "more than a pass a submit");
    assert.ok(spent.dispatches <= (LAYER_DISPATCHES * layers + OTHER_DISPATCHES) * steps, "too many dispatches");
    assert.ok(spent.maps <= steps / 2, "more than a map for two tokens");
    assert.equal(spent.writes, 0, "something was written");
    assert.equal(spent.made, 0, "something was made");
  });
});
