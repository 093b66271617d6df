// What native validation cannot prove: the browser's own compiler takes every kernel variant, and the results are exact there.
import assert from "node:assert/strict";
import { readdirSync } from "node:fs";
import { describe, test } from "node:test";
import { GPU } from "../browser.mjs";
import { ChatPage } from "../pages/chat.mjs";
import { serveSite } from "../site.mjs";
import { setUp } from "../steps.mjs";

const TIMEOUT = { timeout: 20 * 60_000 };
/** Every one, plain and again behind the cut where it is longer. */
const LENGTHS = Array.from({ length: 300 }, (_, index) => index + 1);
const BORDERS = [1, 2, 17, 18, 63, 64, 65, 127, 128, 129, 192, 193, 256, 257, 300];
const TRUNCATE = 17;

describe(`kernels in the browser on ${GPU}`, () => {
  let server, browser;
  setUp(serveSite, (here) => ({ server, browser } = here));

  test("every variant compiles", TIMEOUT, async () => {
    const chat = await ChatPage.open(browser, server.url, { model: "models/g256" });
    await chat.waitFor("ready");
    const { results } = await chat.check("variants");
    const refused = results.filter(({ error }) => error !== null);
    assert.deepEqual(refused.map(({ kernel, variant, error }) => `${kernel} ${variant}: ${error}`), []);

    const kernels = new Set(results.map(({ kernel }) => kernel));
    const shaders = readdirSync(new URL("../../../shaders", import.meta.url)).filter((name) => name.endsWith(".wgsl"));
    assert.deepEqual([...kernels].sort(), shaders.map((name) => name.replace(".wgsl", "")).sort());
    if (GPU === "lavapipe") {
      // Its adapter has every feature, so every way to multiply, to reduce and to store must have been compiled.
      const names = results.map(({ variant }) => variant).join(" ");
      for (const dot of ["packed", "scalar"]) {
        for (const reduce of ["subgroup", "shared"]) assert.ok(names.includes(`${dot}-${reduce}`), `${dot}-${reduce}: ${names}`);
      }
      for (const store of ["kv F32", "kv F16", "kv I8", "rows F16", "rows Q8", "rows Q6", "rows Q4"]) assert.ok(names.includes(store), `${store}: ${names}`);
    }
    chat.assertNoErrors();
    await chat.close();
  });

  // A cache of plain floats rounds nothing, so it says less than these two. How bytes are packed does not depend on how many
  // there are, so the borders of chunks and a few between suffice for them.
  for (const [kv, lengths] of [["f16", LENGTHS], ["i8", BORDERS]]) {
    test(`prefill equals decode bit for bit over ${lengths.length} lengths to 300 tokens and after a cut, ${kv} cache`, TIMEOUT, async () => {
      const chat = await ChatPage.open(browser, server.url, { model: "models/g256-long", context: 320, kv });
      await chat.waitFor("ready");
      const { results } = await chat.check("prefill", { lengths, truncate: TRUNCATE });
      const cut = lengths.filter((length) => length > TRUNCATE);
      const seen = (truncated) => results.filter((result) => result.truncated === truncated).map(({ n_tokens }) => n_tokens);
      assert.deepEqual(seen(false), lengths);
      assert.deepEqual(seen(true), cut);
      assert.deepEqual(results.filter(({ difference }) => difference !== null), []);
      chat.assertNoErrors();
      await chat.close();
    });
  }
});
