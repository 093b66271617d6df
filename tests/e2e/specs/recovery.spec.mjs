// A real crash of Chromium's GPU process in the middle of an answer: the answer completes as if nothing had happened.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { GPU } from "../browser.mjs";
import { ChatPage } from "../pages/chat.mjs";
import { serveSite } from "../site.mjs";
import { setUp } from "../steps.mjs";

const QUESTION = "Write a short story about a bird that crosses the ocean.";
/** What wgpu logs by itself when the process that it waits for dies. */
const CRASH = /on_submitted_work_done promise failed/;
const TIMEOUT = { timeout: 20 * 60_000 };
const PARAMETERS = { greedy: 1, max_tokens: 48, context: 512 };

describe(`recovery on ${GPU}`, () => {
  let server, browser, undisturbed;
  setUp(serveSite, async (here) => {
    ({ server, browser } = here);
    const chat = await ChatPage.open(browser, server.url, PARAMETERS);
    await chat.ask(QUESTION);
    undisturbed = await chat.finished();
    chat.assertNoErrors();
    await chat.close();
  });

  test("there is something to disturb", () => {
    assert.equal(undisturbed.recoveries, 0);
    assert.ok(undisturbed.ids.length >= 30, `the answer has only ${undisturbed.ids.length} tokens`);
  });

  test("a crash during an answer changes no token of it", TIMEOUT, async () => {
    const chat = await ChatPage.open(browser, server.url, PARAMETERS);
    await chat.ask(QUESTION);
    await chat.waitForTokens(8);
    chat.watcher.expect(CRASH);
    await browser.crashGpuProcess();
    const before = await chat.answer();
    assert.ok(!before.done, "the crash came too late to disturb anything");
    const answer = await chat.finished();
    assert.ok(answer.recoveries >= 1, "the page noticed no loss");
    assert.equal(answer.finish, undisturbed.finish);
    assert.deepEqual(answer.ids, undisturbed.ids);
    assert.equal(answer.text, undisturbed.text);
    assert.equal(answer.shown, undisturbed.shown);

    // It is not only this answer: the page goes on.
    await chat.waitFor("ready");
    assert.ok((await chat.report()).generation >= 2);
    await chat.newChat.click();
    await chat.ask("What is the capital of France?");
    const next = await chat.finished();
    assert.equal(next.text, "The capital of France is Paris.");
    assert.equal(next.finish, "Stop");
    await chat.close();
  });

  test("a crash while the prompt is read changes nothing either", TIMEOUT, async () => {
    const chat = await ChatPage.open(browser, server.url, PARAMETERS);
    await chat.ask(QUESTION);
    chat.watcher.expect(CRASH);
    await browser.crashGpuProcess();
    const answer = await chat.finished();
    assert.ok(answer.recoveries >= 1, "the page noticed no loss");
    assert.deepEqual(answer.ids, undisturbed.ids);
    await chat.close();
  });
});
