// Downloads that two tabs want: one fetches, the other waits, and goes on with what has come.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { GPU, launch } from "../browser.mjs";
import { assertStored, beginDownload, until } from "../downloads.mjs";
import { ChatPage } from "../pages/chat.mjs";
import { TOY, isShard, serveSite } from "../site.mjs";
import { stored } from "../stored.mjs";

const TIMEOUT = { timeout: 10 * 60_000 };
const OF_TOY = { model: "models/toy", greedy: 1, max_tokens: 8, context: 1024 };

describe(`two tabs and one download, on ${GPU}`, () => {
  let server, browser;
  before(async () => {
    server = await serveSite();
    browser = await launch();
  }, TIMEOUT);
  after(async () => {
    await browser?.close();
    await server?.close();
  });

  /** A first tab whose download stands before its fourth shard, and a second one that came later. */
  async function twoTabs() {
    const from = server.requests.length;
    let release;
    const held = new Promise((resolve) => (release = resolve));
    server.plan(({ path }) => (path.endsWith(`/${TOY.shards[3]}`) ? { until: held } : undefined));
    const context = await browser.newContext();
    const first = await beginDownload(context, server, OF_TOY);
    const fetched = () => server.requests.slice(from).map(({ path }) => path).filter(isShard);
    await until(() => fetched().some((path) => path.endsWith(`/${TOY.shards[3]}`)));
    const second = new ChatPage(context, server.url);
    second.watcher.expect(/Failed to load resource/);
    second.attach(await context.newPage());
    await second.go({ start: 1, ...OF_TOY });
    await second.page.getByRole("button", { name: "Use here" }).waitFor();
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
