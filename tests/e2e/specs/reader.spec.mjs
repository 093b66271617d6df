// The worker's own worker, which reads shards beside it, and what happens where there is none.
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { after, afterEach, before, describe, test } from "node:test";
import { GPU, launch, required } from "../browser.mjs";
import { assertStored, beginDownload } from "../downloads.mjs";
import { isShard, serveSite } from "../site.mjs";
import { flipBits, loseRecords, stored } from "../stored.mjs";

const TIMEOUT = { timeout: 10 * 60_000 };
const MODEL = { greedy: 1, max_tokens: 4, context: 1024 };
const isReader = (path) => path.endsWith("/reader.js");

describe(`reading shards beside the worker on ${GPU}`, () => {
  let server, browser, chat, names;
  before(async () => {
    server = await serveSite();
    browser = await launch();
    const { shards } = JSON.parse(await readFile(join(required("TERN_DEFAULT_MODEL"), "manifest.json"), "utf8"));
    names = shards.map(({ file }) => file);
    // The service worker would answer for what a server does wrong here.
    chat = await beginDownload(await browser.newContext({ serviceWorkers: "block" }), server, MODEL);
    await chat.waitFor("ready");
  }, TIMEOUT);
  afterEach(() => {
    server.plan(undefined);
    server.replace("/reader.js", undefined);
  });
  after(async () => {
    await browser?.close();
    await server?.close();
  });

  /**
   * Loads the stored model once more. The reader may be started twice: it ends when a slow device has nothing read for long.
   *
   * @returns {Promise<{reader: boolean, shards: string[]}>} what was asked for
   */
  async function again() {
    const from = server.requests.length;
    await chat.go(MODEL);
    await chat.waitFor("ready");
    const paths = server.requests.slice(from).map(({ path }) => path);
    return { reader: paths.some(isReader), shards: paths.filter(isShard).map((path) => path.split("/").at(-1)).sort() };
  }

  test("a stored model is read by it, and what has gone bad or missing is fetched alone", TIMEOUT, async () => {
    await assertStored(chat, names);
    assert.deepEqual(await again(), { reader: true, shards: [] });
    const { files } = await stored(chat.page);
    const shards = files.filter(({ file, bytes }) => file.endsWith(".bin") && bytes >= 1 << 20);
    assert.ok(shards.length >= 3, `${shards.length}`);
    await chat.page.goto(`${server.url}/manifest.webmanifest`);
    await flipBits(chat.page, [shards[0].sha256]);
    await loseRecords(chat.page, [shards[2].sha256]);
    assert.deepEqual(await again(), { reader: true, shards: [shards[0].file, shards[2].file].sort() });
    await assertStored(chat, names);
  });

  test("a host without its script, and one that never answers, cost nothing but time", TIMEOUT, async () => {
    server.plan(({ path }) => (isReader(path) ? { status: 404 } : undefined));
    assert.deepEqual(await again(), { reader: true, shards: [] });
    server.plan(undefined);
    server.replace("/reader.js", "self.onmessage = () => undefined;\n");
    const began = Date.now();
    assert.deepEqual(await again(), { reader: true, shards: [] });
    // It was believed in until the store's patience ended.
    assert.ok(Date.now() - began > 14_000);
  });

  test("a database that fails there is opened anew", TIMEOUT, async () => {
    const own = await readFile(join(required("TERN_DIST"), "reader.js"), "utf8");
    const fails = "let asked = 0;\nconst get = IDBObjectStore.prototype.get;\nIDBObjectStore.prototype.get = function (...given) {\n  asked += 1;\n  if (asked === 2) throw new DOMException('gone', 'InvalidStateError');\n  return get.apply(this, given);\n};\n";
    let isFirst = true;
    server.plan(({ path }) => {
      if (!isReader(path) || !isFirst) return undefined;
      isFirst = false;
      return { status: 200, headers: { "Content-Type": "text/javascript" }, body: fails + own };
    });
    const from = server.requests.length;
    assert.deepEqual(await again(), { reader: true, shards: [] });
    assert.ok(server.requests.slice(from).filter(({ path }) => isReader(path)).length >= 2);
  });
});
