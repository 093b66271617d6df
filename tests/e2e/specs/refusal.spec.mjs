// What the page says when it cannot work: plain words and what to do, no blank page, no endless spinner; and what was said
// before can still be read.
import assert from "node:assert/strict";
import { afterEach, describe, test } from "node:test";
import { GPU } from "../browser.mjs";
import { refusal } from "../downloads.mjs";
import { replaceWorker, serveFake } from "../fake.mjs";
import { ChatPage } from "../pages/chat.mjs";
import { isShard, serveSite } from "../site.mjs";
import { setUp } from "../steps.mjs";

const TIMEOUT = { timeout: 10 * 60_000 };
const TOY = { model: "models/toy", greedy: 1, max_tokens: 8 };

/** The real worker behind a line of code that runs in it first: init scripts reach pages only. */
function workerAfter(code) {
  return `import init from "./worker.js";\n(${code})();\nawait init({ module_or_path: "./worker_bg.wasm" });\n`;
}

const NO_ADAPTER_AT_FIRST = `() => {
  const request = GPU.prototype.requestAdapter;
  let asked = 0;
  GPU.prototype.requestAdapter = function (...options) {
    asked += 1;
    return asked <= 3 ? Promise.resolve(null) : request.apply(this, options);
  };
}`;
const NO_WEBGPU = "() => delete WorkerNavigator.prototype.gpu";
const NO_STORAGE = `() => {
  IDBFactory.prototype.open = () => {
    throw new DOMException("The user denied permission to access the database.", "SecurityError");
  };
}`;

describe("browsers that cannot run the model", () => {
  let server, browser;
  setUp(serveSite, (here) => ({ server, browser } = here), { gpu: "none" });
  afterEach(() => {
    replaceWorker(server, undefined);
    server.plan(undefined);
  });

  test("no adapter: said after some tries, with a button to try again", TIMEOUT, async () => {
    const chat = await ChatPage.open(browser, server.url, TOY);
    assert.match(await refusal(chat), /does not give access to a graphics processor/);
    await chat.retry.click();
    await chat.waitForState("loading");
    await chat.close();
  });

  test("a worker whose script does not come is noticed at once, and tried again", TIMEOUT, async () => {
    let isGone = true;
    server.plan(({ path }) => (isGone && path === "/worker.js" ? { status: 404 } : undefined));
    const context = await browser.newContext();
    const chat = new ChatPage(context, server.url);
    chat.watcher.expect(/Failed to load resource|service worker|worker/i);
    chat.attach(await context.newPage());
    await chat.go({ start: 1, ...TOY });
    const isNoted = () => window.__tern.flight.includes("a script of the worker could not be loaded");
    // Without an event it takes the 90 s that a worker has before its greeting.
    await chat.page.waitForFunction(isNoted, undefined, { timeout: 45_000 });
    isGone = false;
    assert.match(await refusal(chat), /does not give access to a graphics processor/);
    await chat.close();
  });

  test("no WebGPU: said at once, with what to do", TIMEOUT, async () => {
    replaceWorker(server, workerAfter(NO_WEBGPU));
    const context = await browser.newContext();
    await context.addInitScript(() => delete Navigator.prototype.gpu);
    const chat = await ChatPage.visit(context, server.url, { start: 1, ...TOY });
    const words = await refusal(chat);
    assert.match(words, /WebGPU/);
    assert.match(words, /iPadOS 26/);
    await chat.close();
  });

  test("no WebGPU any more: old chats can still be read", TIMEOUT, async () => {
    const fake = await serveFake({ answer: "An old answer." });
    const context = await browser.newContext();
    const chat = await ChatPage.visit(context, fake.url);
    await chat.ask("An old question");
    await chat.finished();
    replaceWorker(fake, workerAfter(NO_WEBGPU));
    await chat.go({ start: 1, ...TOY });
    await refusal(chat);
    await chat.sidebar.open();
    await chat.sidebar.chat("An old question").click();
    await chat.questions.waitFor();
    assert.deepEqual(await chat.dialogue(), ["An old question", "An old answer."]);
    await chat.close();
    await fake.close();
  });

  test("a first visit without a network says what is missing, and begins when there is one", TIMEOUT, async () => {
    const context = await browser.newContext();
    const visited = await ChatPage.visit(context, server.url, TOY);
    await visited.waitFor("offer");
    await visited.page.evaluate(() => navigator.serviceWorker.ready);
    await server.stop();
    visited.watcher.expect(/Failed to load|sw\.js|ERR_/);
    await visited.reload();
    await visited.fault.or(visited.page.getByText("There is no connection")).first().waitFor({ timeout: 60_000 });
    const words = await visited.page.locator("main").innerText();
    assert.match(words, /connection/i);
    await server.start();
    if (await visited.retry.isVisible()) await visited.retry.click();
    await visited.waitForState("offer");
    await visited.firstRun.download.waitFor();
    await visited.close();
  });
});

describe(`browsers with a trait, on ${GPU}`, () => {
  let server, browser;
  setUp(serveSite, (here) => ({ server, browser } = here));
  afterEach(() => {
    replaceWorker(server, undefined);
    server.plan(undefined);
  });

  test("an adapter that is missing at first is asked for again", TIMEOUT, async () => {
    replaceWorker(server, workerAfter(NO_ADAPTER_AT_FIRST));
    const chat = await ChatPage.open(browser, server.url, TOY);
    await chat.ask("Hello");
    await chat.finished();
    await chat.close();
  });

  test("storage that is denied: said before the download, and the model runs from memory", TIMEOUT, async () => {
    replaceWorker(server, workerAfter(NO_STORAGE));
    const context = await browser.newContext();
    await context.addInitScript(() => {
      IDBFactory.prototype.open = () => {
        throw new DOMException("The user denied permission to access the database.", "SecurityError");
      };
    });
    const chat = await ChatPage.visit(context, server.url, TOY);
    await chat.waitFor("offer");
    await chat.page.getByText("does not keep data").waitFor();
    await chat.firstRun.download.click();
    await chat.ask("Hello");
    await chat.finished();
    assert.equal((await chat.model()).cached, false);
    await chat.page.getByText("Chats can't be saved right now").waitFor();
    await chat.close();
  });

  test("a second tab leaves the engine where it is, until the person wants it", TIMEOUT, async () => {
    const context = await browser.newContext();
    const first = await ChatPage.visit(context, server.url, { start: 1, ...TOY });
    await first.ask("Hello");
    await first.finished();
    const second = new ChatPage(context, server.url);
    second.attach(await context.newPage());
    await second.go({ start: 1, ...TOY });
    const useHere = second.page.getByRole("button", { name: "Use here" });
    await useHere.waitFor();
    await second.sidebar.open();
    await second.sidebar.chat("Hello").click();
    await second.questions.waitFor();
    await useHere.click();
    await second.ask("And here?");
    await second.finished();
    await first.waitForState("elsewhere");
    await second.page.close();
    await first.waitFor("ready");
    await first.close();
  });

  test("a model that is not there is named", TIMEOUT, async () => {
    const chat = await ChatPage.open(browser, server.url, { model: "models/nowhere" });
    chat.watcher.expect(/404/);
    assert.match(await refusal(chat), /not on the server/);
    await chat.close();
  });

  test("a shard with one wrong bit is refused", TIMEOUT, async () => {
    const from = server.count(isShard);
    server.plan(({ path }) => (isShard(path) ? { flipAt: 100 } : undefined));
    const chat = await ChatPage.open(browser, server.url, TOY);
    assert.match(await refusal(chat), /damaged/);
    assert.ok(server.count(isShard) > from, "no shard was asked for");
    server.plan(undefined);
    await chat.retry.click();
    await chat.waitFor("ready");
    await chat.close();
  });
});
