// Kernels are tried while nothing is asked, and what wins is used from the next start on: it changes no token, survives another
// adapter and a broken record, and is never in the way. Software adapters are not measured, so the worker is told that this one is a GPU.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { GPU } from "../browser.mjs";
import { ChatPage } from "../pages/chat.mjs";
import { Shim } from "../shim.mjs";
import { serveSite } from "../site.mjs";
import { inWorker, setUp, until } from "../steps.mjs";

const TIMEOUT = { timeout: 20 * 60_000 };
const TOY = { model: "models/toy", greedy: 1, max_tokens: 24, context: 512, start: 1 };
const QUESTION = "Tell me everything about the sea.";
/** A trial compiles every kernel for every choice, which takes a software adapter minutes where nothing is cached. */
const TRIAL_MILLIS = 15 * 60_000;

/** What the worker takes the adapter for. */
const disguise = (name) => `
  for (const property of ["description", "vendor", "architecture", "device"]) {
    Object.defineProperty(GPUAdapterInfo.prototype, property, { get: () => ${JSON.stringify(name)} });
  }
  for (const prototype of [GPUAdapterInfo.prototype, GPUAdapter.prototype]) {
    Object.defineProperty(prototype, "isFallbackAdapter", { get: () => false });
  }`;

/** Records of trials, by their keys, as texts. Runs in the page. */
async function records(replacement) {
  const settled = (request) => new Promise((resolve, reject) => Object.assign(request, { onsuccess: () => resolve(request.result), onerror: () => reject(request.error) }));
  const database = await settled(indexedDB.open("tern-models"));
  const store = database.transaction("records", "readwrite").objectStore("records");
  const found = {};
  for (const key of (await settled(store.getAllKeys())).filter((key) => key.startsWith("tuned/"))) {
    found[key] = new TextDecoder().decode(await settled(store.get(key)));
    if (replacement !== undefined) await settled(store.put(new TextEncoder().encode(replacement).buffer, key));
  }
  database.close();
  return found;
}

const trials = async (chat) => Object.values(await chat.page.evaluate(records)).map((text) => JSON.parse(text));
const hasEnded = (adapter) => async (chat) => (await trials(chat)).some(({ scope, kernels }) => scope.startsWith(adapter) && kernels !== null);

describe(`trials of kernels on ${GPU}`, () => {
  let server, browser, chat, first;
  setUp(serveSite, (here) => ({ server, browser } = here));

  /** Loads the page on this adapter and asks; returns the answer and what the worker runs on. */
  async function visit(adapter) {
    const shim = await Shim.install(server, browser, disguise(adapter));
    if (chat) await chat.go(TOY);
    else chat = await ChatPage.visit(await browser.newContext(), server.url, TOY);
    await chat.waitFor("ready");
    const { is_tuned, variant } = await chat.report();
    await chat.newChat.click().catch(() => {});
    await chat.ask(QUESTION);
    const { ids } = await chat.finished();
    shim.remove();
    return { ids, is_tuned, variant };
  }

  test("the first start uses the fixed table, and tries the others when nothing is asked", TIMEOUT, async () => {
    first = await visit("GPU A");
    assert.equal(first.is_tuned, false);
    await until(() => hasEnded("GPU A")(chat), "no trial came to its end", TRIAL_MILLIS);
    assert.equal(await chat.state(), "ready");
    const [trial] = await trials(chat);
    console.log(`${trial.kernels}, tried ${trial.tries} times`);
    await chat.page.evaluate(() => (location.hash = "#diagnose"));
    console.log(await chat.diagnostics.flight.getByText("kernels for the next start:").first().innerText());
    assert.equal(await inWorker(chat.page, () => self.shim.devices), 1, "the devices of the trial were given back");
  });

  test("the next start uses what was found, and answers with the same tokens", TIMEOUT, async () => {
    const next = await visit("GPU A");
    assert.deepEqual(next, { ids: first.ids, is_tuned: true, variant: (await trials(chat))[0].kernels });
  });

  test("another adapter, or a broken record, has the fixed table again", TIMEOUT, async () => {
    const other = await visit("GPU B");
    assert.deepEqual([other.ids, other.is_tuned], [first.ids, false]);
    await chat.page.evaluate(records, "{ broken");
    const broken = await visit("GPU A");
    assert.deepEqual([broken.ids, broken.is_tuned], [first.ids, false]);
    chat.assertNoErrors();
    await chat.context.close();
  });
});
