// Drivers that compute nonsense or refuse a kernel, by code that changes kernels before they are compiled: another variant takes
// over, and when there is none nobody gets to read the nonsense.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { GPU } from "../browser.mjs";
import { ChatPage } from "../pages/chat.mjs";
import { Shim } from "../shim.mjs";
import { serveSite } from "../site.mjs";
import { setUp } from "../steps.mjs";

const TIMEOUT = { timeout: 10 * 60_000 };
const QUESTION = "Tell me everything about the sea.";
const TOY = { model: "models/toy", max_tokens: 24, context: 512, greedy: 1 };

/** Changes the text of kernels. */
const change = (code) => `
  shim.wrap(GPUDevice.prototype, "createShaderModule", (old, _, [descriptor]) => {
    let { code } = descriptor;
    ${code}
    return old({ ...descriptor, code });
  });`;

describe(`self-test on ${GPU}`, () => {
  let server, browser, sound;
  setUp(serveSite, async (here) => {
    ({ server, browser } = here);
    const chat = await ChatPage.open(browser, server.url, TOY);
    await chat.ask(QUESTION);
    sound = { ...(await chat.finished()), model: await chat.model(), variant: (await chat.report()).variant };
    await chat.close();
  });

  async function open(code) {
    const shim = await Shim.install(server, browser, change(code));
    const chat = await ChatPage.open(browser, server.url, TOY);
    chat.watcher.expect(/is dropped|shader|Shader|Error while parsing|Failed to load resource|WGSL/);
    return { chat, shim };
  }

  test("a sound device is used as it is", () => {
    assert.deepEqual(sound.model.self_test.dropped, []);
    assert.equal(sound.model.self_test.inexact, null);
    assert.equal(sound.model.self_test.variant, sound.variant);
  });

  for (const [name, code] of [
    ["a variant that computes nonsense", `code = code.replace("dot4I8Packed(codes & mask", "1 + dot4I8Packed(codes & mask");`],
    ["a variant that does not compile", `if (code.includes("dot4I8Packed")) code += "\\nnonsense";`],
  ]) {
    test(`${name} is dropped for one that passes, with the same answer`, TIMEOUT, async () => {
      const { chat, shim } = await open(code);
      await chat.ask(QUESTION);
      const answer = await chat.finished();
      assert.deepEqual(answer.ids, sound.ids);
      const { self_test } = await chat.model();
      assert.ok(self_test.dropped.length >= 1 && self_test.dropped.every(({ variant }) => variant.includes("packed")), JSON.stringify(self_test));
      assert.match(self_test.variant, /scalar/);
      assert.match(await chat.page.evaluate(() => window.__tern.flight), /not used any more: packed/);
      await chat.close();
      shim.remove();
    });
  }

  test("nonsense in every variant is never shown", TIMEOUT, async () => {
    const { chat, shim } = await open(`code = code.replace(/logits\\[(.*?)\\] = /g, "logits[$1] = 0.5 * ");`);
    await chat.waitForState("failed");
    await chat.fault.getByText("can't be trusted").waitFor();
    assert.equal(await chat.answers.count(), 0);
    await chat.close();
    shim.remove();
  });
});
