// The promise: one visit, then everything works without a network, for ever.
import assert from "node:assert/strict";
import { test } from "node:test";
import { GPU, Profile } from "../browser.mjs";
import { ChatPage } from "../pages/chat.mjs";
import { DEFAULT_MODEL, TOY, isShard, nativeAnswer, serveSite } from "../site.mjs";

const TIMEOUT = { timeout: 20 * 60_000 };
const FRANCE = "What is the capital of France?";
const ITALY = "What is the capital of Italy?";
/** What the browser asks by itself after a start: whether there is another service worker. */
const UPDATE_CHECK = /^GET \S*\/sw\.js HTTP/;

const CASES = [
  { name: "at the root of a host, the default model", base: "/", model: DEFAULT_MODEL, parameters: {} },
  { name: "under a sub-path, a small model", base: "/projects/tern/", model: TOY.folder, parameters: { model: "models/toy", max_tokens: 40 } },
];

for (const { name, base, model, parameters } of CASES) {
  test(`first visit, then offline: ${name} (${GPU})`, TIMEOUT, async () => {
    const server = await serveSite(undefined, { base });
    const profile = await Profile.create();
    const address = { greedy: 1, context: 512, ...parameters };
    const native = (question) => nativeAnswer(model, question, parameters.max_tokens);
    try {
      const first = await ChatPage.visit(await profile.open(), server.url, address);
      await firstVisit(first, server);
      await first.ask(FRANCE);
      const answer = await first.finished();
      assert.deepEqual(answer.ids, (await native(FRANCE)).ids);
      if (!parameters.max_tokens) assert.equal(answer.shown, (await native(FRANCE)).text);
      await shellIsKept(first);
      first.assertNoErrors();
      await profile.quit();

      await server.stop();
      const again = await ChatPage.visit(await profile.open(), server.url, address);
      again.watcher.expect(/sw\.js/);
      await again.waitFor("ready");
      assert.ok((await again.model()).cached);
      await again.sidebar.open();
      await again.sidebar.chat(FRANCE).click();
      await again.questions.waitFor();
      assert.deepEqual(await again.dialogue(), [FRANCE, answer.shown]);
      await again.newChat.click();
      await again.ask(ITALY);
      assert.deepEqual((await again.finished()).ids, (await native(ITALY)).ids);
      assert.deepEqual(server.missed.filter((line) => !UPDATE_CHECK.test(line)), []);
      again.assertNoErrors();
    } finally {
      await profile.remove();
      await server.close();
    }
  });
}

/** The offer, one press, and every shard fetched once and by nobody but the worker. */
async function firstVisit(chat, server) {
  await chat.waitFor("offer");
  await chat.firstRun.heading.waitFor();
  const facts = await chat.firstRun.facts();
  assert.match(facts.Download, /\d/);
  assert.match(facts["Memory in use"], /\d/);
  assert.equal(server.count(isShard), 0, "weights came before anybody asked for them");
  await chat.firstRun.download.click();
  await chat.waitFor("ready");
  const shards = server.requests.map(({ path }) => path).filter(isShard);
  assert.equal(new Set(shards).size, shards.length, `fetched more than once: ${shards}`);
}

/** The service worker has the whole shell and not a byte of a model. */
async function shellIsKept(chat) {
  const kept = await chat.page.evaluate(async () => {
    await navigator.serviceWorker.ready;
    const names = await caches.keys();
    const urls = [];
    for (const name of names) {
      for (const request of await (await caches.open(name)).keys()) urls.push(new URL(request.url).pathname);
    }
    return { names, urls };
  });
  // Allowed hosts have a cache of their own.
  assert.equal(kept.names.filter((name) => name.startsWith("tern-shell ")).length, 1, kept.names.join());
  assert.ok(kept.urls.length >= 8, kept.urls.join());
  assert.ok(kept.urls.some((url) => url.endsWith("/worker_bg.wasm")), kept.urls.join());
  assert.deepEqual(kept.urls.filter((url) => url.includes("/models/")), []);
}
