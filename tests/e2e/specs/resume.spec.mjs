// What is interrupted goes on: a download behind the shards that are stored, an answer behind its last second.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { GPU } from "../browser.mjs";
import { ChatPage } from "../pages/chat.mjs";
import { PORTAL } from "../server.mjs";
import { TOY, isShard, serveSite } from "../site.mjs";
import { setUp, sleep, until } from "../steps.mjs";

const TIMEOUT = { timeout: 20 * 60_000 };
const SHARDS = TOY.shards.map((name) => `/models/toy/${name}`);
const QUESTION = "Tell me everything about the sea.";
/** Long enough to be disturbed several times, and for seconds where 400 tokens take one. */
const LONG = { model: "models/toy", greedy: 1, max_tokens: 1800 };

describe(`interruptions on ${GPU}`, () => {
  let server, browser;
  setUp(serveSite, (here) => ({ server, browser } = here));

  test("there are enough shards to see resuming", () => assert.ok(SHARDS.length >= 5, String(SHARDS.length)));

  test("a reload in the middle of the download keeps the shards that are stored", TIMEOUT, async () => {
    const context = await browser.newContext();
    const from = server.requests.length;
    // The fourth shard and those behind it don't come: their connections, two at a time, stall in the middle.
    server.plan(({ path, count }) => (SHARDS.indexOf(path) >= 3 && count === 0 ? { stallAt: 20_000 } : undefined));
    try {
      const chat = await ChatPage.visit(context, server.url, { model: "models/toy", greedy: 1, max_tokens: 8 });
      await chat.waitFor("offer");
      await chat.firstRun.download.click();
      await until(() => server.count((path) => path === SHARDS[4]) === 1);
      await chat.firstRun.progress.waitFor();
      server.plan(undefined);
      await chat.reload();
      await chat.waitFor("offer");
      await chat.page.getByRole("button", { name: "Continue download" }).click();
      await chat.ask("Hello");
      await chat.finished();
      const fetched = server.requests.slice(from).map(({ path }) => path).filter(isShard);
      // Two come at a time, so neighbours may change places.
      assert.deepEqual(fetched.sort(), [...SHARDS.slice(0, 5), ...SHARDS.slice(3)].sort(), "exactly the stored shards are kept");
      await chat.close();
    } finally {
      server.plan(undefined);
    }
  });

  test("cut, damaged and refused files are fetched again by themselves", TIMEOUT, async () => {
    const plans = new Map([
      [SHARDS[0], { cutAt: 10_000 }],
      [SHARDS[1], { flipAt: 100 }],
      [SHARDS[2], { status: 503, headers: { "Retry-After": "1" } }],
      [SHARDS[3], PORTAL],
    ]);
    const seen = new Map(SHARDS.map((path) => [path, server.count((other) => other === path)]));
    server.plan(({ path, count }) => (count === seen.get(path) ? plans.get(path) : undefined));
    try {
      const chat = await ChatPage.open(browser, server.url, { model: "models/toy", greedy: 1, max_tokens: 8 });
      chat.watcher.expect(/Failed to load resource/);
      await chat.waitFor("ready");
      for (const path of plans.keys()) {
        assert.equal(server.count((other) => other === path) - seen.get(path), 2, path);
      }
      await chat.close();
    } finally {
      server.plan(undefined);
    }
  });

  for (const [how, end] of [["closed", closeTab], ["crashed", crashTab]]) {
    test(`a tab that is ${how} in the middle of an answer loses a second at most, and the answer goes on`, TIMEOUT, async () => {
      const undisturbed = await undisturbedAnswer();
      const context = await browser.newContext();
      const chat = await ChatPage.visit(context, server.url, { start: 1, ...LONG });
      chat.watcher.expect(/crashed/);
      await chat.ask(QUESTION);
      const seen = await watchAnswer(chat, undisturbed.ids.length / 4);
      const left = Date.now();
      await end(chat.page);

      const page = await context.newPage();
      chat.attach(page);
      await chat.go(LONG);
      await chat.waitFor("ready");
      await chat.sidebar.open();
      await chat.sidebar.chat(QUESTION).click();
      await chat.goOn.waitFor();
      const kept = await chat.answer();
      assert.equal(kept.finish, "Interrupted");
      assert.deepEqual(kept.ids, undisturbed.ids.slice(0, kept.ids.length));
      const aSecondBefore = seen.filter(({ at }) => at <= left - 1000).at(-1)?.count ?? 0;
      assert.ok(kept.ids.length >= aSecondBefore, `${kept.ids.length} tokens kept, ${aSecondBefore} were there a second before`);
      assert.ok(kept.ids.length < undisturbed.ids.length, "the tab was left too late");

      await chat.goOn.click();
      await chat.page.waitForFunction(() => window.__tern.state === "busy");
      const whole = await chat.finished();
      assert.deepEqual(whole.ids, undisturbed.ids);
      assert.equal(whole.text, undisturbed.text);
      assert.equal(whole.finish, undisturbed.finish);
      await chat.close();
    });
  }

  test("a hidden page pauses and saves, and goes on with the same tokens", TIMEOUT, async () => {
    const undisturbed = await undisturbedAnswer();
    const chat = await ChatPage.open(browser, server.url, LONG);
    await chat.ask(QUESTION);
    await chat.waitForTokens(40);
    await chat.setHidden(true);
    await chat.page.waitForFunction(() => window.__tern.state === "paused");
    const paused = await chat.answer();
    await sleep(1500);
    assert.deepEqual((await chat.answer()).ids, paused.ids, "a hidden page goes on");
    assert.ok(paused.ids.length < undisturbed.ids.length, "hidden too late to disturb anything");
    await chat.setHidden(false);
    const answer = await chat.finished();
    assert.deepEqual(answer.ids, undisturbed.ids);
    assert.equal(answer.text, undisturbed.text);
    assert.equal(answer.finish, undisturbed.finish);
    await chat.close();
  });

  let undisturbed;
  async function undisturbedAnswer() {
    if (undisturbed) return undisturbed;
    const chat = await ChatPage.open(browser, server.url, LONG);
    await chat.ask(QUESTION);
    undisturbed = await chat.finished();
    await chat.close();
    assert.ok(undisturbed.ids.length >= 200, `only ${undisturbed.ids.length} tokens`);
    return undisturbed;
  }
});

/** Looks at the growing answer until it has `least` tokens and has been growing for more than a second. */
async function watchAnswer(chat, least) {
  const seen = [];
  for (;;) {
    const at = Date.now();
    const count = await chat.page.evaluate(() => window.__tern.lastAnswer?.ids.length ?? 0);
    seen.push({ at, count });
    const first = seen.find((sample) => sample.count > 0);
    if (count >= least && first && at - first.at > 1500) return seen;
    await sleep(50);
  }
}

function closeTab(page) {
  return page.close({ runBeforeUnload: false });
}

async function crashTab(page) {
  const session = await page.context().newCDPSession(page);
  const crashed = page.waitForEvent("crash");
  session.send("Page.crash").catch(() => undefined);
  await crashed;
  await page.close();
}
