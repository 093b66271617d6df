// `cargo xtask crash-limit`: Chromium's own limit in force. After the second crash within two minutes it gives no adapter for
// 120 s: the page says so, counts down, lets the chat be read, and completes the answer.
import assert from "node:assert/strict";
import { launch } from "../browser.mjs";
import { ChatPage } from "../pages/chat.mjs";
import { Shim } from "../shim.mjs";
import { isShard, serveSite } from "../site.mjs";
import { CRASH } from "../steps.mjs";

const QUESTION = "Tell me everything about the sea.";
const TOY = { model: "models/toy", greedy: 1, max_tokens: 60, context: 512 };
const PLAN = [{ at: "token", n: 5 }, { at: "token", n: 30 }, { at: "token", n: 40 }];

/** 120 s without an adapter, and time for a busy machine. */
const PATIENCE_MILLIS = 10 * 60_000;

const server = await serveSite();
const browser = await launch({ limitCrashes: true });
try {
  const shim = await Shim.install(server, browser);
  const chat = await ChatPage.open(browser, server.url, TOY);
  chat.watcher.expect(CRASH);
  chat.watcher.expect(/No available adapters/);
  await chat.ask(QUESTION);
  const undisturbed = await chat.finished();
  await chat.newChat.click();
  const shards = server.count(isShard);
  let loads = 0;
  chat.page.on("load", () => (loads += 1));
  shim.plan(PLAN);
  const worker = chat.page.workers().find((candidate) => candidate.url().endsWith("worker_loader.js"));
  await worker.evaluate((plan) => ((self.shim.tokens = 0), void (self.shim.plan = plan)), PLAN);
  const began = Date.now();
  await chat.ask(QUESTION);
  const lines = new Set();
  while (!(await chat.answer()).done) {
    const line = await chat.status.innerText();
    lines.add(line);
    if (/Trying again in/.test(line)) assert.ok((await chat.questions.count()) > 0, "the chat can't be read");
    const told = async () => `${[...lines].join("\n")}\n${await chat.page.evaluate(() => window.__tern.flight)}`;
    if (Date.now() - began > PATIENCE_MILLIS) assert.fail(`no end of the answer\n${await told()}`);
    await new Promise((resolve) => setTimeout(resolve, 500));
  }
  const answer = await chat.answer();
  console.log([...lines].join("\n"));
  console.log(await chat.page.evaluate(() => window.__tern.flight));
  assert.deepEqual(answer.ids, undisturbed.ids);
  assert.deepEqual([answer.text, answer.finish], [undisturbed.text, undisturbed.finish]);
  assert.ok([...lines].some((line) => /Trying again in [12]:/.test(line)), "no countdown was shown");
  assert.equal(loads, 0, "the page was loaded again");
  assert.equal(server.count(isShard), shards, "weights came over the network");
  console.log(`the answer was completed ${Math.round((Date.now() - began) / 1000)} s after it was asked for, identical`);
  await chat.close();
} finally {
  await browser.close();
  await server.close();
}
