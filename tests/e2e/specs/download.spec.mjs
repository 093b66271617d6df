// What goes wrong with a download on its way: each fault once, with what the person sees and what is stored. The numbers behind
// the names are those of docs/RECOVERY.md.
import assert from "node:assert/strict";
import { join } from "node:path";
import { after, afterEach, before, describe, test } from "node:test";
import { GPU, launch, required } from "../browser.mjs";
import { assertStored, beginDownload, planInOrder, pressDownload, refusal, statuses } from "../downloads.mjs";
import { ChatPage } from "../pages/chat.mjs";
import { PORTAL } from "../server.mjs";
import { SMALL_MODEL, TOY, isShard, serveSite } from "../site.mjs";
import { sleep, until } from "../steps.mjs";
import { stored } from "../stored.mjs";
import { makePackage } from "../toy.mjs";

const TIMEOUT = { timeout: 10 * 60_000 };
const PARAMETERS = { model: "models/toy", greedy: 1, max_tokens: 8, context: 1024 };
const SHARDS = TOY.shards.map((name) => `/models/toy/${name}`);
/** Somewhere inside a shard, behind as many bytes as let a failure count as progress. */
const AT = 40_000;
/** Cut there, slowly: with the end of a connection a browser throws away what has come and was not read yet. */
const CUT = { cutAt: AT, pieceBytes: 8192, paceMillis: 100 };

describe(`downloads on ${GPU}`, () => {
  let server, browser;
  before(async () => {
    server = await serveSite();
    browser = await launch();
  }, TIMEOUT);
  afterEach(() => {
    server.plan(undefined);
    server.throttle(undefined);
  });
  after(async () => {
    await browser?.close();
    await server?.close();
  });

  const begin = async () => beginDownload(await browser.newContext(), server, PARAMETERS);

  /** Downloads under these faults, which must be overcome, and asserts that everything is there. */
  async function overcome(faults, words) {
    const asked = planInOrder(server, faults);
    const chat = await begin();
    await chat.waitFor("ready");
    const seen = await statuses(chat);
    for (const word of words) assert.ok(seen.some((line) => word.test(line)), `${word} is not in ${seen.join(" | ")}`);
    await assertStored(chat, TOY.shards);
    await chat.ask("Hello");
    assert.notEqual((await chat.finished()).ids.length, 0);
    await chat.close();
    return asked;
  }

  /** Asserts that a request asks for what lies behind a part that has come of what was cut at {@link AT}. */
  function assertGoesOn({ range }) {
    const kept = Number(/^bytes=(\d+)-$/.exec(range ?? "")?.[1] ?? 0);
    assert.ok(kept > 0 && kept <= AT, `${range ?? "all"} was asked for`);
  }

  /** What a request asked for and what came of it, for a glance. */
  const brief = (requests) => requests.map(({ range, bytes }) => `${range ?? "all"}: ${bytes}`);

  test("there are enough shards", () => assert.ok(SHARDS.length >= 8, String(SHARDS.length)));

  test("a connection that is cut, or reset, goes on at the byte (1)", TIMEOUT, async () => {
    const asked = await overcome(new Map([
      [SHARDS[1], [CUT]],
      [SHARDS[3], [{ resetAt: AT }]],
    ]), [/connection fails/i]);
    const [first, second, ...more] = asked(SHARDS[1]);
    assert.deepEqual(more, []);
    assert.equal(first.range, undefined);
    assertGoesOn(second);
    const [, behind, ...others] = asked(SHARDS[3]);
    assert.deepEqual(others, []);
    const kept = Number(/^bytes=(\d+)-$/.exec(behind.range)?.[1] ?? 0);
    assert.ok(kept <= AT, behind.range);
    for (const path of SHARDS.filter((path) => path !== SHARDS[1] && path !== SHARDS[3])) {
      assert.equal(asked(path).length, 1, path);
    }
  });

  test("a connection that says nothing any more is given up, and goes on at the byte (2)", TIMEOUT, async () => {
    const asked = await overcome(new Map([[SHARDS[2], [{ stallAt: AT }]]]), [/nothing comes/i]);
    const [first, second, ...more] = asked(SHARDS[2]);
    assert.deepEqual([second.range, more], [`bytes=${AT}-`, []]);
    const seconds = (second.at - first.at) / 1000;
    assert.ok(seconds >= 15 && seconds <= 70, `${seconds} s`);
  });

  test("a slow drip is no stall", TIMEOUT, async () => {
    // Longer altogether than a connection may say nothing.
    const drip = { pieceBytes: 2048, paceMillis: 600, sendBufferBytes: 4096 };
    const began = performance.now();
    const asked = await overcome(new Map([[SHARDS[0], [drip]]]), []);
    assert.equal(asked(SHARDS[0]).length, 1);
    assert.ok(performance.now() - began > 25_000, "it did not drip slowly enough");
  });

  test("without a connection it waits, and goes on as soon as there is one (1)", TIMEOUT, async () => {
    const asked = planInOrder(server, new Map());
    const chat = await ChatPage.visit(await browser.newContext(), server.url, PARAMETERS);
    chat.watcher.expect(/Failed to load resource|net::ERR_/);
    await chat.waitFor("offer");
    // In the middle of it, whenever that is noticed.
    server.plan(({ path }) => (isShard(path) ? { sendBufferBytes: 8192 } : undefined));
    server.throttle(60_000);
    await pressDownload(chat);
    await until(() => asked(SHARDS[2]).length >= 1);
    await chat.context.setOffline(true);
    await chat.page.getByText(/connection fails/i).first().waitFor();
    const before = server.requests.length;
    // As long as several attempts would take.
    await sleep(4000);
    server.throttle(undefined);
    await chat.context.setOffline(false);
    const back = performance.now();
    await until(() => server.requests.length > before);
    assert.ok(server.requests[before].at - back < 8000, "it waited on although the connection was back");
    await chat.waitFor("ready");
    await assertStored(chat, TOY.shards);
    await chat.close();
  });

  test("files of a wrong length never count as whole (4)", TIMEOUT, async () => {
    const asked = await overcome(new Map([
      [SHARDS[0], [{ endAt: AT }]],
      [SHARDS[1], [{ statedLength: 1_000_000 }]],
      [SHARDS[2], [{ extraBytes: 1000 }]],
      [SHARDS[3], [{ endAt: 0 }]],
    ]), []);
    for (const path of [SHARDS[0], SHARDS[2], SHARDS[3]]) assert.equal(asked(path).length, 2, `${path} ${brief(asked(path))}`);
  });

  test("a flipped bit is noticed and the shard fetched anew (5)", TIMEOUT, async () => {
    const asked = await overcome(new Map([[SHARDS[4], [{ flipAt: AT }]]]), [/damaged/i]);
    assert.deepEqual(asked(SHARDS[4]).map(({ range }) => range), [undefined, undefined]);
  });

  test("a shard that always comes damaged is named, and the others are kept (5)", TIMEOUT, async () => {
    const from = server.requests.length;
    server.plan(({ path }) => (path === SHARDS[4] ? { flipAt: AT } : undefined));
    const chat = await begin();
    assert.match(await refusal(chat), /damaged/i);
    assert.match(await chat.fault.locator("pre").textContent(), new RegExp(TOY.shards[4]));
    const tries = server.requests.slice(from).filter(({ path }) => path === SHARDS[4]).length;
    assert.ok(tries >= 2 && tries <= 4, `${tries} tries`);
    const { files } = await stored(chat.page);
    assert.ok(files.every(({ isWhole, file }) => isWhole && file !== TOY.shards[4]));
    await retried(chat, files);
  });

  test("a server that ignores ranges doubles nothing (6)", TIMEOUT, async () => {
    const asked = await overcome(new Map([[SHARDS[5], [CUT, { ignoreRange: true }]]]), []);
    const [, second, ...more] = asked(SHARDS[5]);
    assert.deepEqual(more, []);
    assertGoesOn(second);
  });

  test("a server that answers a range with 416 is asked for the whole (8)", TIMEOUT, async () => {
    const asked = await overcome(new Map([[SHARDS[5], [CUT, { status: 416 }]]]), []);
    const [, second, third, ...more] = asked(SHARDS[5]);
    assert.deepEqual([third.range, more], [undefined, []]);
    assertGoesOn(second);
  });

  test("compressed bodies are unpacked once", TIMEOUT, async () => {
    const asked = await overcome(new Map(SHARDS.slice(0, 3).map((path) => [path, [{ gzip: true }]])), []);
    for (const path of SHARDS.slice(0, 3)) assert.equal(asked(path).length, 1, path);
  });

  test("a busy server is given the time that it asks for (8)", TIMEOUT, async () => {
    const busy = (status, seconds) => ({ status, headers: { "Retry-After": String(seconds) } });
    const asked = await overcome(new Map([
      [SHARDS[0], [busy(503, 2)]],
      [SHARDS[3], [busy(429, 3)]],
    ]), [/server is busy/i]);
    for (const [path, seconds] of [[SHARDS[0], 2], [SHARDS[3], 3]]) {
      const [first, second, ...more] = asked(path);
      assert.deepEqual(more, []);
      // Timers are a little early or late.
      assert.ok(second.at - first.at >= seconds * 1000 - 100, `${path}: ${second.at - first.at} ms`);
    }
  });

  test("a login page is no shard, and is said to be one (8)", TIMEOUT, async () => {
    await overcome(new Map([[SHARDS[2], [PORTAL]]]), [/log in/i]);
  });

  for (const [what, fault, words] of [
    ["missing", { status: 404 }, /not on the server/],
    ["refused", { status: 403 }, /does not give this model to everybody/],
    ["put off for a day", { status: 429, headers: { "Retry-After": "86400" } }, /no time for this download now/],
  ]) {
    test(`a shard that is ${what} ends the download in plain words, and what has come is kept (8)`, TIMEOUT, async () => {
      server.plan(({ path }) => (path === SHARDS[5] ? fault : undefined));
      const chat = await begin();
      assert.match(await refusal(chat), words);
      const { files } = await stored(chat.page);
      assert.ok(files.every(({ isWhole, file }) => isWhole && file !== TOY.shards[5]));
      await retried(chat, files);
    });
  }

  test("a network that answers everything with a login page is named (8)", TIMEOUT, async () => {
    server.plan(({ path }) => (path.startsWith("/models/") ? PORTAL : undefined));
    const chat = await ChatPage.visit(await browser.newContext(), server.url, PARAMETERS);
    assert.match(await refusal(chat), /web page came instead/i);
    await assertStored(chat, []);
    server.plan(undefined);
    await chat.retry.click();
    await pressDownload(chat);
    await chat.waitFor("ready");
    await assertStored(chat, TOY.shards);
    await chat.close();
  });

  test("a package that is replaced under way is taken as a whole or not at all (7)", TIMEOUT, async () => {
    const other = await makePackage(SMALL_MODEL, join(required("TERN_WORK"), "models/toy-next"), { name: "toy-next", context: 2048, shardBytes: 96 * 1024 });
    const from = server.requests.length;
    server.plan(({ path }) => {
      // From the fourth shard on the server has the next version, under another name of its own for each file.
      if (path === SHARDS[3]) server.mount("/models/toy/", other.folder);
      return undefined;
    });
    try {
      const chat = await begin();
      // Whether it notices by itself or has to be told to try again, it must end with the next version.
      await chat.page.waitForFunction(() => ["ready", "failed"].includes(window.__tern.state), undefined, { timeout: TIMEOUT.timeout });
      if ((await chat.state()) === "failed") await chat.retry.click();
      await chat.waitForState("ready");
      assert.equal((await chat.model()).name, "toy-next");
      await assertStored(chat, other.shards);
      const manifests = server.requests.slice(from).filter(({ path }) => path === "/models/toy/manifest.json");
      // Once for the offer, once for the download, and once behind what was found wrong.
      assert.ok(manifests.length >= 3, "the manifest was not asked for again");
      await chat.close();
    } finally {
      server.mount("/models/toy/", TOY.folder);
    }
  });

  test("a pause stops the bytes and keeps them, going on fetches the rest", TIMEOUT, async () => {
    const from = server.requests.length;
    server.plan(({ path }) => (isShard(path) ? { sendBufferBytes: 8192 } : undefined));
    const chat = await ChatPage.visit(await browser.newContext(), server.url, PARAMETERS);
    await chat.waitFor("offer");
    // Now, since the app would be throttled as well.
    server.throttle(60_000);
    await pressDownload(chat);
    await until(() => server.requests.slice(from).filter(({ path }) => isShard(path)).length >= 3);
    await chat.firstRun.pause.click();
    await chat.page.getByText("The download is paused").first().waitFor();
    await sleep(500);
    const paused = server.requests.length;
    await sleep(2500);
    assert.equal(server.requests.length, paused, "it goes on");
    server.throttle(undefined);
    await chat.firstRun.resume.click();
    await chat.waitFor("ready");
    await assertStored(chat, TOY.shards);
    const fetched = server.requests.slice(from).filter(({ path }) => isShard(path));
    const total = (await stored(chat.page)).files.filter(({ file }) => file.endsWith(".bin")).reduce((sum, { bytes }) => sum + bytes, 0);
    await until(() => fetched.every(({ bytes }) => bytes !== undefined));
    const sent = fetched.reduce((sum, { bytes }) => sum + bytes, 0);
    assert.ok(sent >= total && sent <= total + 2 * 64 * 1024, `${sent} bytes were sent for ${total}`);
    await chat.close();
  });

  /** Tries again without the fault: only what is missing is fetched. */
  async function retried(chat, kept) {
    server.plan(undefined);
    const from = server.requests.length;
    await chat.retry.click();
    await chat.waitForState("ready");
    const again = server.requests.slice(from).map(({ path }) => path).filter(isShard);
    const missing = SHARDS.filter((path) => !kept.some(({ file }) => path.endsWith(`/${file}`)));
    assert.deepEqual([...new Set(again)].sort(), missing.sort());
    await assertStored(chat, TOY.shards);
    await chat.close();
  }
});
