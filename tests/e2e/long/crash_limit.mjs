// `cargo xtask crash-limit`: Chromium's own limit in force. After the second crash within two minutes it gives no adapter for
// 120 s: the page says so, counts down, lets the chat be read, and completes the answer.
import assert from "node:assert/strict";
import { launch } from "../browser.mjs";
import { ChatPage } from "../pages/chat.mjs";
import { Shim } from "../shim.mjs";
import { serveSite } from "../site.mjs";

const QUESTION = "Tell me everything about the sea.";
const TOY = { model: "models/toy", greedy: 1, max_tokens: 60, context: 512 };
const PLAN = [{ at: "token", n: 5 }, { at: "token", n: 30 }, { at: "token", n: 40 }];

const server = await serveSite();
const browser = await launch({ limitCrashes: true });
try {
  const shim = await Shim.install(server, browser);
  const chat = await ChatPage.open(browser, server.url, TOY);
  chat.watcher.expect(/./);
  await chat.ask(QUESTION);
  const undisturbed = await chat.finished();
  await chat.newChat.click();
  shim.plan(PLAN);
  const worker = chat.page.workers().find((candidate) => candidate.url().endsWith("worker_loader.js"));
  await worker.evaluate((plan) => ((self.shim.tokens = 0), void (self.shim.plan = plan)), PLAN);
  const began = Date.now();
  await chat.ask(QUESTION);
  const lines = new Set();
  for (;;) {
    const line = await chat.status.innerText();
    lines.add(line);
    if (/Trying again in/.test(line)) assert.ok((await chat.questions.count()) > 0, "the chat can't be read");
    if ((await chat.answer()).done) break;
    await new Promise((resolve) => setTimeout(resolve, 500));
  }
  const answer = await chat.answer();
  console.log([...lines].join("\n"));
  console.log(await chat.page.evaluate(() => window.__tern.flight));
  assert.deepEqual(answer.ids, undisturbed.ids);
  assert.deepEqual([answer.text, answer.finish], [undisturbed.text, undisturbed.finish]);
  assert.ok([...lines].some((line) => /Trying again in [12]:/.test(line)), "no countdown was shown");
  console.log(`the answer was completed ${Math.round((Date.now() - began) / 1000)} s after it was asked for, identical`);
  await chat.context.close();
} finally {
  await browser.close();
  await server.close();
}
