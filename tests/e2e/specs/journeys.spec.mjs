// Downloads whose browser is ended, and downloads that two tabs want: what has come is kept, one fetches, the other waits.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { GPU, Profile } from "../browser.mjs";
import { assertStored, pressDownload } from "../downloads.mjs";
import { ChatPage } from "../pages/chat.mjs";
import { TOY, isShard, serveSite } from "../site.mjs";
import { setUp, until } from "../steps.mjs";
import { stored } from "../stored.mjs";

const TIMEOUT = { timeout: 10 * 60_000 };
const OF_TOY = { model: "models/toy", greedy: 1, max_tokens: 8, context: 1024 };
const OF_DEFAULT = { greedy: 1, max_tokens: 8, context: 512 };
const KILLS = 3;
/** Most requests at a time. */
const CONNECTIONS = 2;
/** What a kill may cost of each connection: what had not been stored yet, and what lay in buffers of the system. */
const LOST_BYTES = 512 * 1024;
/** Slow enough to be killed in the middle, with little in buffers, so that what was sent has arrived. */
const BYTES_PER_SECOND = 4_000_000;

/** Repeatable numbers from 0 to 1. */
function* randoms(seed) {
  for (let state = seed; ; ) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    yield state / 2 ** 32;
  }
}

test(`a browser that is killed ${KILLS} times in a download loses next to nothing, on ${GPU} (10)`, { timeout: 20 * 60_000 }, async () => {
  const server = await serveSite(({ path }) => (isShard(path) ? { sendBufferBytes: 32 * 1024 } : undefined));
  const profile = await Profile.create();
  const seed = Number(process.env.TERN_SEED ?? 8);
  const random = randoms(seed);
  const shards = () => server.requests.filter(({ path }) => isShard(path));
  const sent = () => shards().reduce((sum, { bytes }) => sum + (bytes ?? 0), 0);
  try {
    server.throttle(BYTES_PER_SECOND);
    let least = 0;
    for (let kill = 0; kill < KILLS; kill += 1) {
      const chat = await ChatPage.visit(await profile.open(), server.url, OF_DEFAULT);
      await pressDownload(chat);
      // Each kill comes behind the point of the one before.
      const point = least + random.next().value * (0.9 - least) * 0.6;
      await until(async () => (await chat.firstRun.done().catch(() => 0)) > point);
      least = point;
      await profile.kill();
      // What is on its way learns that nobody is there.
      await until(() => shards().every(({ bytes }) => bytes !== undefined));
    }
    const chat = await ChatPage.visit(await profile.open(), server.url, OF_DEFAULT);
    await chat.waitFor("offer");
    assert.equal(await chat.firstRun.download.innerText(), "Continue download");
    await pressDownload(chat);
    server.throttle(undefined);
    await chat.waitFor("ready");
    const { files, parts, strays } = await stored(chat.page);
    assert.deepEqual([files.filter(({ isWhole }) => !isWhole), parts, strays], [[], [], []]);
    const total = files.filter(({ file }) => file.endsWith(".bin")).reduce((sum, { bytes }) => sum + bytes, 0);
    await until(() => shards().every(({ bytes }) => bytes !== undefined));
    const most = total + KILLS * CONNECTIONS * LOST_BYTES;
    console.log(`${sent()} bytes were sent for ${total}, at most ${most} (seed ${seed})`);
    assert.ok(sent() >= total && sent() <= most);
    await chat.ask("Hello");
    assert.notEqual((await chat.finished()).ids.length, 0);
    chat.assertNoErrors();
  } finally {
    await profile.remove();
    await server.close();
  }
});

describe(`two tabs and one download, on ${GPU}`, () => {
  let server, browser;
  setUp(serveSite, (here) => ({ server, browser } = here));

  /** A first tab whose download stands before its fourth shard, and a second one that came later. */
  async function twoTabs() {
    const from = server.requests.length;
    let release;
    const held = new Promise((resolve) => (release = resolve));
    server.plan(({ path }) => (path.endsWith(`/${TOY.shards[3]}`) ? { until: held } : undefined));
    const context = await browser.newContext();
    const first = await ChatPage.visit(context, server.url, OF_TOY);
    await first.waitFor("offer");
    const second = new ChatPage(context, server.url);
    for (const chat of [first, second]) chat.watcher.expect(/Failed to load resource/);
    second.attach(await context.newPage());
    await second.go({ start: 1, ...OF_TOY });
    await second.page.getByRole("button", { name: "Use here" }).waitFor();
    await pressDownload(first);
    const fetched = () => server.requests.slice(from).map(({ path }) => path).filter(isShard);
    await until(() => fetched().some((path) => path.endsWith(`/${TOY.shards[3]}`)));
    return { first, second, release, fetched };
  }

  test("the second tab waits, and every byte comes once (11)", TIMEOUT, async () => {
    const { first, second, release, fetched } = await twoTabs();
    release();
    await first.waitFor("ready");
    assert.deepEqual(fetched().length, new Set(fetched()).size, fetched().join());
    assert.equal(await second.state(), "elsewhere");
    await assertStored(first, TOY.shards);
    await first.close();
  });

  test("when the first tab is closed, the second one goes on with what has come (11)", TIMEOUT, async () => {
    const { first, second, release, fetched } = await twoTabs();
    const whole = (await stored(second.page)).files.map(({ file }) => file);
    await first.page.close();
    release();
    await second.waitFor("ready");
    const twice = fetched().filter((path, index, all) => all.indexOf(path) !== index);
    for (const file of whole) assert.ok(!twice.some((path) => path.endsWith(`/${file}`)), `${file} was fetched twice`);
    await assertStored(second, TOY.shards);
    await second.close();
  });
});
