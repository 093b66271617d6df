// What the world around the page does: a clock that jumps by years, a page that is frozen for longer than a worker may be silent,
// a disk without room. No answer is lost, none is altered, and nobody is blamed.
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { describe, test } from "node:test";
import { GPU } from "../browser.mjs";
import { ChatPage, PATIENCE } from "../pages/chat.mjs";
import { serveSite } from "../site.mjs";
import { CRASH, setUp, sleep } from "../steps.mjs";

const TIMEOUT = { timeout: 10 * 60_000 };
const QUESTION = "Tell me everything about the sea.";
/** Long enough to be disturbed several times. */
const LONG = { model: "models/toy", greedy: 1, max_tokens: 400 };
const TEN_YEARS_MILLIS = 10 * 365 * 86_400_000;
/** Longer than a worker may be silent (30 s). */
const FREEZE_MILLIS = 40_000;

/** In the page: `window.clockError` is added to what the wall clock says. */
function breakClock() {
  const RealDate = Date;
  const wrong = () => RealDate.now() + (window.clockError ?? 0);
  window.Date = class extends RealDate {
    constructor(...parameters) {
      super(...(parameters.length > 0 ? parameters : [wrong()]));
    }
    static now() {
      return wrong();
    }
  };
}

/**
 * In the page: its database refuses to write while `window.diskIsFull`. Storage.overrideQuotaForOrigin does not keep Chromium from
 * writing as little as a chat.
 */
function limitDisk() {
  const { put } = IDBObjectStore.prototype;
  IDBObjectStore.prototype.put = function refused(...parameters) {
    if (window.diskIsFull) throw new DOMException("no room", "QuotaExceededError");
    return put.apply(this, parameters);
  };
}

describe(`the world around the page on ${GPU}`, () => {
  let server, browser, undisturbed;
  setUp(serveSite, async (here) => {
    ({ server, browser } = here);
    const chat = await ChatPage.open(browser, server.url, LONG);
    await chat.ask(QUESTION);
    undisturbed = await chat.finished();
    await chat.close();
    assert.ok(undisturbed.ids.length >= 200, `only ${undisturbed.ids.length} tokens`);
  });

  const assertUndisturbed = (answer, told) => {
    assert.deepEqual(answer.ids, undisturbed.ids, told);
    assert.deepEqual([answer.text, answer.finish], [undisturbed.text, undisturbed.finish]);
  };
  const flight = (chat) => chat.page.evaluate(() => window.__tern.flight);

  test("a wall clock that jumps by ten years both ways changes neither answers nor waits nor their order", TIMEOUT, async () => {
    const began = Date.now();
    const context = await browser.newContext();
    await context.addInitScript(breakClock);
    const chat = await ChatPage.visit(context, server.url, { start: 1, ...LONG });
    chat.watcher.expect(CRASH);
    for (const [count, error] of [[1, TEN_YEARS_MILLIS], [2, -TEN_YEARS_MILLIS]]) {
      await chat.ask(count === 1 ? QUESTION : "And the wind?");
      await chat.waitForTokens(20);
      await chat.page.evaluate((millis) => (window.clockError = millis), error);
      if (count === 1) await browser.crashGpuProcess();
      const answer = await chat.finished();
      if (count === 1) assertUndisturbed(answer, await flight(chat));
      assert.equal(answer.recoveries, count === 1 ? 1 : 0, await flight(chat));
    }
    const told = await flight(chat);
    const millis = Number(/the answer goes on, (\d+) ms behind the loss/.exec(told)?.[1]);
    assert.ok(millis > 0 && millis < Date.now() - began, told);
    assert.doesNotMatch(told, /said nothing/);
    const questions = async () => (await chat.dialogue()).filter((_, index) => index % 2 === 0);
    const asked = await questions();
    assert.deepEqual(asked, [QUESTION, "And the wind?"]);
    // Stored with times of three decades, and read again in the order in which they were asked.
    await chat.reload();
    await chat.waitFor("ready");
    await chat.sidebar.open();
    await chat.sidebar.chat(QUESTION).click();
    await chat.questions.nth(1).waitFor();
    assert.deepEqual(await questions(), asked);
    await chat.close();
  });

  test("a page that is frozen for longer than a worker may be silent blames nobody, and goes on", TIMEOUT, async () => {
    const chat = await ChatPage.open(browser, server.url, LONG);
    await chat.ask(QUESTION);
    await chat.waitForTokens(20);
    const session = await chat.context.newCDPSession(chat.page);
    await session.send("Page.setWebLifecycleState", { state: "frozen" });
    await sleep(FREEZE_MILLIS);
    await session.send("Page.setWebLifecycleState", { state: "active" });
    const answer = await chat.finished();
    const told = await flight(chat);
    assertUndisturbed(answer, told);
    assert.equal(answer.recoveries, 0, told);
    assert.doesNotMatch(told, / lost |said nothing|worker 2 is started/);
    await chat.close();
  });

  test("without room on the disk the chat goes on, says so, can be exported, and is stored once there is room", TIMEOUT, async () => {
    const context = await browser.newContext();
    await context.addInitScript(limitDisk);
    const chat = await ChatPage.visit(context, server.url, { start: 1, ...LONG, max_tokens: 40 });
    await chat.waitFor("ready");
    const setFull = (full) => chat.page.evaluate((value) => (window.diskIsFull = value), full);
    const isDatabase = (name) =>
      chat.page.waitForFunction((wanted) => window.__tern.chats.database === wanted, name, { timeout: PATIENCE });
    await setFull(true);
    await chat.ask(QUESTION);
    const answer = await chat.finished();
    assert.deepEqual(answer.ids, undisturbed.ids.slice(0, 40));
    await isDatabase("full");
    const banner = chat.page.getByRole("alert").filter({ hasText: "The device is out of room: new messages are not saved yet." });
    await banner.waitFor();
    const [file] = await Promise.all([
      chat.page.waitForEvent("download"),
      banner.getByRole("button", { name: "Export all chats", exact: true }).click(),
    ]);
    const exported = await readFile(await file.path(), "utf8");
    for (const text of [QUESTION, answer.text]) assert.ok(exported.includes(JSON.stringify(text)), exported);

    await setFull(false);
    await isDatabase("open");
    await banner.waitFor({ state: "detached" });
    await chat.reload();
    await chat.waitFor("ready");
    await chat.sidebar.open();
    await chat.sidebar.chat(QUESTION).click();
    await chat.questions.first().waitFor();
    assert.deepEqual((await chat.answer()).ids, answer.ids);
    await chat.close();
  });
});
