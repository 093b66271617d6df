// Pages that are ended while the model is being put on the device, as iPadOS ends those that take too much memory: the next page
// knows, takes less after two, and asks after four, instead of being ended for ever.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { GPU } from "../browser.mjs";
import { ChatPage } from "../pages/chat.mjs";
import { Shim } from "../shim.mjs";
import { serveSite } from "../site.mjs";
import { setUp } from "../steps.mjs";

const TIMEOUT = { timeout: 10 * 60_000 };
const TOY = { model: "models/toy", greedy: 1, max_tokens: 8, context: 1024, start: 1 };
/** In the middle of the upload. */
const POINT = { at: "write", n: 2 };

describe(`pages that are ended while the model is loaded, on ${GPU}`, () => {
  let server, browser, shim;
  setUp(serveSite, async (here) => {
    ({ server, browser } = here);
    shim = await Shim.install(server, browser, `shim.onPoint = () => ask("GET", "/__point");`);
  });

  test("after two of them the model is started with half its context, once, and says so", TIMEOUT, async () => {
    const chat = await visitor(browser, server);
    for (let kills = 0; kills < 2; kills += 1) await killWhileUploading(chat, shim);
    await reopen(chat);
    await chat.waitFor("ready");
    const flight = await chat.page.evaluate(() => window.__tern.flight);
    assert.match(flight, /an earlier page ended while the model was being loaded \(1 in a row\)/);
    assert.match(flight, /an earlier page ended while the model was being loaded \(2 in a row\)/);
    assert.match(flight, /starting with a smaller configuration/);
    assert.equal((await chat.model()).context, TOY.context / 2);
    await chat.page.getByText(/the model now remembers less: 512 tokens/).waitFor();
    await chat.ask("Hello");
    assert.notEqual((await chat.finished()).ids.length, 0);
    // It works, so whatever ended the pages is over.
    await reopen(chat);
    await chat.waitFor("ready");
    assert.equal((await chat.model()).context, TOY.context);
    await chat.close();
  });

  test("after four of them nothing is loaded until the person says so", TIMEOUT, async () => {
    const chat = await visitor(browser, server);
    for (let kills = 0; kills < 4; kills += 1) await killWhileUploading(chat, shim);
    await reopen(chat);
    await chat.waitForState("failed");
    await chat.fault.getByText("Tern was closed several times").waitFor();
    const loads = (flight) => flight.match(/model loaded in/g)?.length ?? 0;
    assert.equal(loads(await chat.page.evaluate(() => window.__tern.flight)), 0, "a page ends before its model is there");
    await chat.retry.click();
    await chat.waitFor("ready");
    assert.equal((await chat.model()).context, TOY.context / 2);
    await chat.ask("Hello");
    assert.notEqual((await chat.finished()).ids.length, 0);
    await chat.close();
  });
});

/** Somebody whose pages come and go in one browser. */
async function visitor(browser, server) {
  const chat = new ChatPage(await browser.newContext(), server.url);
  chat.watcher.expect(/crashed|Failed to load resource/);
  return chat;
}

/** Opens a page, and has it ended at the point in the middle of the upload. */
async function killWhileUploading(chat, shim) {
  const page = await chat.context.newPage();
  chat.attach(page);
  const session = await chat.context.newCDPSession(page);
  const crashed = page.waitForEvent("crash", { timeout: TIMEOUT.timeout });
  shim.plan([POINT]);
  shim.atPoint = () => {
    // The page dies before it can answer.
    session.send("Page.crash").catch(() => undefined);
    return crashed;
  };
  // It may die before the page object has seen it start.
  await Promise.all([crashed, chat.go(TOY).catch(() => undefined)]);
  assert.equal(shim.left, 0, "the page was ended elsewhere");
  shim.atPoint = undefined;
  await page.close();
}

/** The app is opened again, and nothing disturbs it. */
async function reopen(chat) {
  const old = chat.page;
  chat.attach(await chat.context.newPage());
  if (!old.isClosed()) await old.close();
  await chat.go(TOY);
}
