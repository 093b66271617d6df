// Downloads whose browser is ended, and downloads that two tabs want: what has come is kept, one fetches, the other waits.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { GPU } from "../browser.mjs";
import { assertStored, pressDownload } from "../downloads.mjs";
import { killedDownload } from "../killed.mjs";
import { ChatPage } from "../pages/chat.mjs";
import { DEFAULT_MODEL, TOY, isShard, serveSite } from "../site.mjs";
import { setUp, until } from "../steps.mjs";
import { stored } from "../stored.mjs";

const TIMEOUT = { timeout: 10 * 60_000 };
const OF_TOY = { model: "models/toy", greedy: 1, max_tokens: 8, context: 1024 };
const KILLS = 3;

test(`a browser that is killed ${KILLS} times in a download loses next to nothing, on ${GPU} (10)`, { timeout: 20 * 60_000 }, async () => {
  const seed = Number(process.env.TERN_SEED ?? 8);
  await killedDownload({ folder: DEFAULT_MODEL, kills: KILLS, seed, bytesPerSecond: 4_000_000 });
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
