// What goes wrong with what is kept: a database that fails or hangs, records that go bad or go missing. Chats lie in
// a database of their own, and none of this may touch them.
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { after, afterEach, before, describe, test } from "node:test";
import { GPU, launch, required } from "../browser.mjs";
import { assertStored, beginDownload, pressDownload, refusal } from "../downloads.mjs";
import { inFake, replaceWorker } from "../fake.mjs";
import { ChatPage } from "../pages/chat.mjs";
import { SMALL_MODEL, TOY, isShard, serveSite } from "../site.mjs";
import { flipBits, loseEverything, loseRecords, stored } from "../stored.mjs";
import { makePackage } from "../toy.mjs";

const TIMEOUT = { timeout: 10 * 60_000 };
const OF_TOY = { model: "models/toy", greedy: 1, max_tokens: 8, context: 1024 };
/** The small model in hundreds of shards. */
const CRUMBS = join(required("TERN_WORK"), "models/crumbs");
const OF_CRUMBS = { ...OF_TOY, model: "models/crumbs" };
const QUESTION = "Are you still there?";

/** The worker with this code in front of its own. */
function workerAfter(code) {
  return `import init from "./worker.js";\n(${code})();\nawait init({ module_or_path: "./worker_bg.wasm" });\n`;
}

/** The fifth write ends its transaction as a browser does that lost its database. */
const LOSES_A_WRITE = `() => {
  const put = IDBObjectStore.prototype.put;
  let puts = 0;
  IDBObjectStore.prototype.put = function (...given) {
    const request = put.apply(this, given);
    puts += 1;
    if (puts === 5) {
      self.hasFailed = true;
      this.transaction.abort();
    }
    return request;
  };
}`;
/** The fifth write stays without an answer for longer than anybody waits. */
const HANGS = `() => {
  const put = IDBObjectStore.prototype.put;
  let puts = 0;
  IDBObjectStore.prototype.put = function (...given) {
    const request = put.apply(this, given);
    puts += 1;
    if (puts === 5) {
      self.hasFailed = true;
      // A transaction stays open as long as its requests are followed by others.
      const end = performance.now() + 18_000;
      const again = () => {
        if (performance.now() < end) this.get("nothing").onsuccess = again;
      };
      again();
    }
    return request;
  };
}`;

describe(`keeping models on ${GPU}`, () => {
  let server, browser, crumbs;
  before(async () => {
    server = await serveSite();
    crumbs = await makePackage(SMALL_MODEL, CRUMBS, { name: "crumbs", context: 2048, shardBytes: 2048, pieceBytes: 2048 });
    server.mount("/models/crumbs/", CRUMBS);
    browser = await launch();
  }, TIMEOUT);
  afterEach(() => {
    replaceWorker(server, undefined);
  });
  after(async () => {
    await browser?.close();
    await server?.close();
  });

  /** Shards that were asked for since, by name. */
  const fetchedSince = (from) => server.requests.slice(from).map(({ path }) => path).filter(isShard).map((path) => path.split("/").at(-1)).sort();

  /** Somebody who has the model and has asked something. */
  async function owner(parameters) {
    const chat = await beginDownload(await browser.newContext(), server, parameters);
    await chat.ask(QUESTION);
    await chat.finished();
    return chat;
  }

  /** The chat of {@link owner} is there and can be read. */
  async function assertChat(chat) {
    await chat.sidebar.open();
    await chat.sidebar.chat(QUESTION).click();
    await chat.questions.waitFor();
    assert.equal((await chat.dialogue())[0], QUESTION);
  }

  /** What the app itself takes of its origin's room, once it can be opened offline. */
  async function bytesOfTheApp() {
    const context = await browser.newContext();
    const chat = await ChatPage.visit(context, server.url, OF_TOY);
    await chat.waitFor("offer");
    await chat.page.evaluate(() => navigator.serviceWorker.ready.then(() => undefined));
    const { usage } = await chat.page.evaluate(() => navigator.storage.estimate());
    await chat.close();
    return usage;
  }

  /** Leaves the app for a page of its origin in which nothing runs. */
  const leave = (chat) => chat.page.goto(`${server.url}/manifest.webmanifest`);

  test("50 records gone bad and 50 gone missing are fetched, and nothing else (5, 24)", TIMEOUT, async () => {
    assert.ok(crumbs.shards.length >= 110, String(crumbs.shards.length));
    const chat = await owner(OF_CRUMBS);
    await assertStored(chat, crumbs.shards);
    const { files } = await stored(chat.page);
    const shards = files.filter(({ file }) => file.endsWith(".bin"));
    // Two shards with the same contents are one record.
    const hashes = [...new Set(shards.map(({ sha256 }) => sha256))];
    const every = Math.floor(hashes.length / 100);
    const [bad, missing] = [0, 1].map((odd) => hashes.filter((_, index) => index % every === 0).filter((_, index) => index % 2 === odd).slice(0, 50));
    assert.deepEqual([bad.length, missing.length], [50, 50]);
    await leave(chat);
    await flipBits(chat.page, bad);
    await loseRecords(chat.page, missing);
    const from = server.requests.length;
    await chat.go(OF_CRUMBS);
    await chat.waitFor("ready");
    const spoiled = new Set([...bad, ...missing]);
    assert.deepEqual(fetchedSince(from), shards.filter(({ sha256 }) => spoiled.has(sha256)).map(({ file }) => file).sort());
    await assertStored(chat, crumbs.shards);
    await assertChat(chat);
    await chat.close();
  });

  test("a model that the browser threw away is offered again, and the chats are there (24)", TIMEOUT, async () => {
    const chat = await owner(OF_TOY);
    await leave(chat);
    await loseEverything(chat.page);
    const from = server.requests.length;
    await chat.go(OF_TOY);
    await pressDownload(chat);
    await chat.waitFor("ready");
    assert.deepEqual(fetchedSince(from), [...TOY.shards].sort());
    await assertStored(chat, TOY.shards);
    await assertChat(chat);
    await chat.close();
  });

  test("a quota that ends at 60 % is told in MB, and once there is as much room the rest comes (3)", TIMEOUT, async () => {
    const origin = server.url;
    const { shards, text } = JSON.parse(await readFile(join(required("TERN_DEFAULT_MODEL"), "manifest.json"), "utf8"));
    const size = [...shards, text.tokenizer].reduce((sum, { bytes }) => sum + bytes, 0);
    const allowed = (await bytesOfTheApp()) + Math.floor(0.6 * size);
    const context = await browser.newContext();
    const chat = new ChatPage(context, server.url);
    chat.attach(await context.newPage());
    const session = await context.newCDPSession(chat.page);
    const allow = (quotaSize) => session.send("Storage.overrideQuotaForOrigin", { origin, quotaSize });
    // Before anything is stored: Chromium believes for half a minute in the room that it has seen.
    await allow(allowed);
    await chat.go({ greedy: 1, max_tokens: 8, context: 1024 });
    await pressDownload(chat);
    const words = await refusal(chat);
    const megabytes = Number(/Free (\d+) MB/.exec(words)?.[1]);
    // What is missing, and what is there of files that are not whole, one for each connection.
    assert.ok(megabytes >= 0.4 * size / 1e6 - 1 && megabytes <= 0.4 * size / 1e6 + 18, words);
    const kept = await stored(chat.page);
    assert.deepEqual(kept.files.filter(({ isWhole }) => !isWhole), []);
    assert.deepEqual(kept.strays, []);
    await allow(allowed + megabytes * 1e6);
    const from = server.requests.length;
    await chat.retry.click();
    await chat.waitForState("ready");
    const names = shards.map(({ file }) => file);
    const missing = names.filter((name) => !kept.files.some(({ file }) => file === name));
    assert.ok(missing.length > 0 && missing.length < names.length, `${missing}`);
    assert.deepEqual([...new Set(fetchedSince(from))], missing);
    await assertStored(chat, names);
    await chat.close();
  });

  for (const [what, code] of [["loses a write", LOSES_A_WRITE], ["hangs", HANGS]]) {
    test(`a database that ${what} is opened anew, and nothing is lost (13)`, TIMEOUT, async () => {
      replaceWorker(server, workerAfter(code));
      const chat = await beginDownload(await browser.newContext(), server, OF_TOY);
      await chat.ask("Hello");
      await chat.finished();
      assert.ok(await inFake(chat.page, () => self.hasFailed), "the database was never disturbed");
      assert.equal((await chat.model()).cached, true);
      await assertStored(chat, TOY.shards);
      await chat.close();
    });
  }
});
