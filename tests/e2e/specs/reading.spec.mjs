// Reading while an answer comes: the end stays in sight, and nobody who reads further up is pulled away from there.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { inFake, serveFake } from "../fake.mjs";
import { ChatPage } from "../pages/chat.mjs";
import { setUp, sleep, until } from "../steps.mjs";

const TIMEOUT = { timeout: 5 * 60_000 };
const PARAGRAPH = "Terns are seabirds that fly from one pole to the other and back again in a single year of their long lives.\n\n";
const PIECES = PARAGRAPH.match(/\S+\s*/g).length;
/** The piece before which the answer waits until the reader has moved. */
const HOLD = 30 * PIECES;

describe("an answer that grows", () => {
  let server, browser, chat;
  const answering = { answer: PARAGRAPH.repeat(60), paceMillis: 2, holdAfter: HOLD };
  setUp(() => serveFake(answering), (here) => ({ server, browser } = here), { gpu: "none" });

  const look = () => chat.page.locator("main").evaluate(({ scrollTop, scrollHeight, clientHeight }) => ({ top: scrollTop, below: scrollHeight - clientHeight - scrollTop }));
  /** Has the answer go on for a while. */
  const grow = async () => {
    const before = await chat.page.evaluate(() => window.__tern.lastAnswer.ids.length);
    await inFake(chat.page, () => self.fake.release());
    await chat.waitForTokens(Math.min(before + 5 * PIECES, 60 * PIECES));
  };
  const wheel = async (pixels) => {
    await chat.page.mouse.move(500, 400);
    await chat.page.mouse.wheel(0, pixels);
  };

  test("keeps its end in sight, leaves a reader where he scrolls to, and follows again from the end", TIMEOUT, async () => {
    chat = await ChatPage.visit(await browser.newContext({ viewport: { width: 1024, height: 768 } }), server.url);
    await chat.ask("Tell me about terns");
    await chat.waitForTokens(HOLD);
    await until(async () => (await look()).below <= 1, "the end is out of sight");
    assert.ok((await look()).top > 500, "the answer is too short to scroll");

    // Less than a line: a move that small must count, too.
    const end = await look();
    await wheel(-20);
    await until(async () => (await look()).top < end.top, "the wheel does nothing");
    await grow();
    const reading = await look();
    assert.ok(Math.abs(reading.top - (end.top - 20)) <= 1, `pulled from ${end.top - 20} to ${reading.top}`);
    assert.ok(reading.below > 60, "the answer did not grow");

    await chat.page.getByRole("button", { name: "Jump to latest" }).click();
    await until(async () => (await look()).below <= 1, "the button does not lead to the end");
    await chat.finished();
    await until(async () => (await look()).below <= 1, "the end is not followed any more");
    await chat.close();
  });

  test("keeps its end in sight on a device that is short of time, where many lines come between two frames", TIMEOUT, async () => {
    chat = await ChatPage.visit(await browser.newContext({ viewport: { width: 1024, height: 768 } }), server.url);
    await chat.ask("Tell me about terns");
    await chat.waitForTokens(HOLD);
    await chat.page.evaluate(() => {
      window.setInterval(() => {
        const end = performance.now() + 120;
        while (performance.now() < end);
      }, 150);
    });
    await inFake(chat.page, () => self.fake.release());
    await chat.finished();
    await until(async () => (await look()).below <= 1, "the end was lost", 10_000);
    await chat.close();
  });
});
