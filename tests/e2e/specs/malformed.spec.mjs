// Packages that are not what they should be, as a broken or hostile server sends them: refused with the field's name, again
// and without a loop when the app is opened again, and other models work beside them.
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { cp, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import { GPU, required } from "../browser.mjs";
import { refusal } from "../downloads.mjs";
import { ChatPage } from "../pages/chat.mjs";
import { TOY, serveSite } from "../site.mjs";
import { setUp, sleep } from "../steps.mjs";
import { stored } from "../stored.mjs";

const TIMEOUT = { timeout: 10 * 60_000 };
const OF_TOY = { model: "models/toy", greedy: 1, max_tokens: 8, context: 1024 };
const OF_BROKEN = { ...OF_TOY, model: "models/broken", start: 1 };
const BROKEN = join(required("TERN_WORK"), "models/broken");

/** Changes the manifest's text. */
const manifest = (change) => async () => {
  const path = join(BROKEN, "manifest.json");
  await writeFile(path, change(await readFile(path, "utf8")));
};

/** Changes the tokenizer's text, with the hash that the manifest states for it. */
const tokenizer = (change) => async () => {
  const path = join(BROKEN, "manifest.json");
  const whole = JSON.parse(await readFile(path, "utf8"));
  const file = whole.text.tokenizer;
  const bytes = Buffer.from(change(await readFile(join(BROKEN, file.file), "utf8")));
  await writeFile(join(BROKEN, file.file), bytes);
  file.bytes = bytes.length;
  file.sha256 = createHash("sha256").update(bytes).digest("hex");
  await writeFile(path, JSON.stringify(whole));
};

const CASES = [
  ["a manifest that ends early", manifest((text) => text.slice(0, text.length / 2)), /manifest\.json/],
  ["a width of 2^63", manifest((text) => text.replace(/"hidden":\s*\d+/, '"hidden": 9223372036854775808')), /9223372036854775808/],
  ["a piece behind its shard", manifest((text) => text.replace(/"offset":\s*\d+/, '"offset": 9223372036854775792')), /embed|piece|offset/],
  ["a shard outside of its folder", manifest((text) => text.replace("weights-00000.bin", "../weights-00000.bin")), /weights-00000/],
  ["a tokenizer that ends early", tokenizer((text) => text.slice(0, text.length / 2)), /tokenizer/],
  ["a tokenizer with more tokens than the model", tokenizer((text) => {
    const whole = JSON.parse(text);
    for (let id = 0; id < 64; id += 1) whole.model.vocab[`extra${id}`] = 100_000 + id;
    return JSON.stringify(whole);
  }), /tokenizer|vocab/],
];

describe(`malformed packages on ${GPU} (29)`, () => {
  let server, browser;
  setUp(serveSite, (here) => {
    ({ server, browser } = here);
    server.mount("/models/broken/", BROKEN);
  });
  after(() => rm(BROKEN, { recursive: true, force: true }));

  for (const [what, spoil, named] of CASES) {
    test(`${what}: refused by name, again after a reload, and another model works`, TIMEOUT, async () => {
      await rm(BROKEN, { recursive: true, force: true });
      await cp(TOY.folder, BROKEN, { recursive: true });
      await spoil();
      const chat = await ChatPage.visit(await browser.newContext(), server.url, OF_BROKEN);
      const words = await refusal(chat);
      assert.match(words, /can't be (used|read)/);
      assert.match(await chat.fault.locator("pre").textContent(), named);
      let loads = 0;
      chat.page.on("framenavigated", () => (loads += 1));
      await chat.reload();
      assert.equal(await refusal(chat), words);
      await sleep(1000);
      assert.equal(loads, 1, "the page loads itself again");
      await chat.go({ ...OF_TOY, start: 1 });
      await chat.ask("Hello");
      await chat.finished();
      assert.ok((await stored(chat.page)).files.every(({ isWhole }) => isWhole));
      await chat.close();
    });
  }
});
