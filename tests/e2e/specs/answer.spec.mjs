// The default model answers in the page with the very tokens of the native program, and prefill equals decode.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { GPU } from "../browser.mjs";
import { ChatPage } from "../pages/chat.mjs";
import { DEFAULT_MODEL, nativeIds, serveSite } from "../site.mjs";
import { setUp } from "../steps.mjs";

const QUESTION = "What is the capital of France?";
const ANSWER = "The capital of France is Paris.";
const TIMEOUT = { timeout: 20 * 60_000 };

describe(`default model on ${GPU}`, () => {
  let server, browser, chat;
  setUp(serveSite, async (here) => {
    ({ server, browser } = here);
    chat = await ChatPage.open(browser, server.url, { greedy: 1, context: 512 });
  });

  test("answers, token for token as the native program does", TIMEOUT, async () => {
    await chat.ask(QUESTION);
    const answer = await chat.finished();
    assert.equal(answer.finish, "Stop");
    assert.equal(answer.text, ANSWER);
    assert.equal(answer.shown, ANSWER);
    assert.deepEqual(answer.ids, await nativeIds(DEFAULT_MODEL, QUESTION));
    chat.assertNoErrors();
  });

  test("asked again, it gives the same answer", TIMEOUT, async () => {
    const first = await chat.answer();
    const again = await ChatPage.open(browser, server.url, { greedy: 1, context: 512 });
    await again.ask(QUESTION);
    assert.deepEqual((await again.finished()).ids, first.ids);
    again.assertNoErrors();
    await again.close();
  });

  test("tells what it runs on", async () => {
    const report = await chat.report();
    assert.equal(report.generation, 1);
    if (GPU === "lavapipe") {
      for (const feature of ["shader-f16", "subgroups"]) {
        assert.ok(report.device_features.includes(feature), `the device was not granted ${feature}: ${report.device_features}`);
      }
    }
  });

  test("prefill equals decode bit for bit", TIMEOUT, async () => {
    const report = await chat.check("prefill", { lengths: [1, 5, 66, 300], truncate: 3 });
    assert.equal(report.results.length, 7);
    assert.deepEqual(report.results.filter(({ difference }) => difference !== null), []);
    chat.assertNoErrors();
  });
});
