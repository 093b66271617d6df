// How fast answers come: a device that becomes slow is told of once, and only while it is; saving energy holds its rate. On the
// small model, whose tokens take a software adapter a few milliseconds.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { GPU } from "../browser.mjs";
import { ChatPage } from "../pages/chat.mjs";
import { Shim } from "../shim.mjs";
import { serveSite } from "../site.mjs";
import { inWorker, setUp, until } from "../steps.mjs";

const TIMEOUT = { timeout: 10 * 60_000 };
const TOY = { model: "models/toy", greedy: 1, context: 2048 };
const QUESTION = "Tell me everything about the sea.";
const SLOWED = "This device has slowed down, probably to stay cool. Answers take longer.";
const ANSWERING = "Answering…";
/** Milliseconds of a token of the device as it usually is, and when it is slow. */
const [USUAL, SLOW] = [40, 250];
/** Tokens a second while energy is saved: `SAVING_TOKENS_PER_SECOND` of crate app. */
const SAVING = 10;

/** Notes every text of the status line. Runs in the page. */
function watchStatus() {
  const line = document.querySelector("[data-testid=status]");
  window.statuses = [];
  new MutationObserver(() => window.statuses.push(line.textContent)).observe(line, { childList: true, characterData: true, subtree: true });
}

const slow = (chat, millis) => inWorker(chat.page, (value) => (self.shim.slowMillis = value), millis);
const tokens = async (chat) => (await chat.answer()).ids.length;

describe(`the rate of answers on ${GPU}`, () => {
  let server, browser;
  setUp(serveSite, (here) => ({ server, browser } = here));

  test("a slowdown is told once, in the status line, and goes away with it", TIMEOUT, async () => {
    const shim = await Shim.install(server, browser);
    const chat = await ChatPage.open(browser, server.url, { ...TOY, max_tokens: 1800 });
    await chat.waitFor("ready");
    await slow(chat, USUAL);
    await chat.page.evaluate(watchStatus);
    await chat.ask(QUESTION);
    await chat.waitForTokens(160);
    await slow(chat, SLOW);
    const [from, began] = [await tokens(chat), Date.now()];
    await until(async () => (await chat.status.innerText()) === SLOWED);
    const seconds = (Date.now() - began) / 1000;
    const rate = ((await tokens(chat)) - from) / seconds;
    console.log(`told after ${seconds.toFixed(1)} s at ${rate.toFixed(1)} tokens/s`);
    assert.ok(seconds >= 9, "a moment is no slowdown");
    assert.ok(rate > 1 && rate < 1.3 * (1000 / SLOW), `${rate} tokens/s`);
    await slow(chat, USUAL);
    await until(async () => (await chat.status.innerText()) === ANSWERING);
    // It becomes slow again, and the answer ends.
    await slow(chat, SLOW);
    await until(async () => (await chat.status.innerText()) === SLOWED);
    await chat.stop.click();
    await chat.waitFor("ready");
    const told = await chat.page.evaluate(() => window.statuses);
    const after = told.slice(told.indexOf(ANSWERING));
    assert.deepEqual(after, [ANSWERING, SLOWED, ANSWERING, SLOWED, "toy is ready"]);
    await chat.page.evaluate(() => (location.hash = "#diagnose"));
    await chat.diagnostics.flight.getByText("the device is slow:").first().waitFor();
    shim.remove();
    chat.assertNoErrors();
    await chat.close();
  });

  test("saving energy holds its rate within 5 %, at once, and changes no token", TIMEOUT, async () => {
    const parameters = { ...TOY, max_tokens: 100 };
    let chat = await ChatPage.open(browser, server.url, parameters);
    await chat.ask(QUESTION);
    const full = await chat.finished();
    console.log(`${full.usage.tokens_per_second.toFixed(1)} tokens/s at full speed`);
    assert.ok(full.usage.tokens_per_second > 2 * SAVING, "it does not need to be held back");
    await chat.close();

    chat = await ChatPage.open(browser, server.url, parameters);
    await chat.waitFor("ready");
    await chat.settings.open();
    await chat.settings.answers("Save energy").check();
    await chat.settings.done.click();
    await chat.ask(QUESTION);
    const saving = await chat.finished();
    console.log(`${saving.usage.tokens_per_second.toFixed(2)} tokens/s saving energy`);
    assert.ok(Math.abs(saving.usage.tokens_per_second / SAVING - 1) < 0.05, `${saving.usage.tokens_per_second} tokens/s`);
    assert.deepEqual(saving.ids, full.ids);

    // It is kept, and can be ended in the middle of an answer.
    await chat.reload();
    await chat.ask(QUESTION);
    await chat.waitForTokens(20);
    const began = Date.now();
    await chat.waitForTokens(50);
    assert.ok(Date.now() - began > 2_500, "30 tokens take three seconds");
    await chat.settings.open();
    await chat.settings.answers("Full speed").check();
    const freed = Date.now();
    await chat.settings.done.click();
    await chat.finished();
    assert.ok(Date.now() - freed < 3_000, "the rest takes no five seconds");
    chat.assertNoErrors();
    await chat.close();
  });
});
