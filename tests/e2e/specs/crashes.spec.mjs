// Real crashes of Chromium's GPU process at exact points of the work: each answer is the undisturbed one, token for token.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { GPU } from "../browser.mjs";
import { ChatPage } from "../pages/chat.mjs";
import { Shim } from "../shim.mjs";
import { TOY as PACKAGE, isShard, serveSite } from "../site.mjs";
import { CRASH, inWorker, setUp } from "../steps.mjs";

const TIMEOUT = { timeout: 10 * 60_000 };
const QUESTION = "Tell me everything about the sea, the wind and the birds that cross both.";
const TOY = { model: "models/toy", max_tokens: 60, context: 512 };
const MODES = { greedy: { greedy: 1 }, sampled: { temperature: 0.9, seed: 7 } };
const SHARDS = PACKAGE.shards.map((name) => `/models/toy/${name}`);
/** What the status line may say from the crash to the end of the answer. */
const QUIET = ["GPU restarted, continuing…", "Answering…", "toy is ready"];
/** What it says instead when nothing was asked yet, and then. */
const IDLE = ["Restarting the model…", "toy is ready"];

const CASES = [
  { name: "while the weights are uploaded", plan: [{ at: "write", n: 2 }], duringLoad: true },
  { name: "between two chunks of the prompt", plan: [{ at: "prefill", n: 2 }] },
  { name: "at token 1", plan: [{ at: "token", n: 1 }] },
  { name: "at token 5", plan: [{ at: "token", n: 5 }] },
  { name: "at token 40", plan: [{ at: "token", n: 40 }] },
  { name: "while idle", plan: [], idle: true },
  { name: "twice within one answer", plan: [{ at: "token", n: 5 }, { at: "token", n: 30 }] },
  { name: "during recovery itself", plan: [{ at: "token", n: 5 }, { at: "write", n: 2 }], recoveries: 1 },
];

describe(`crashes at exact points on ${GPU}`, () => {
  let server, browser, shim;
  const undisturbed = {};
  setUp(serveSite, async (here) => {
    ({ server, browser } = here);
    shim = await Shim.install(server, browser);
    for (const [mode, parameters] of Object.entries(MODES)) {
      const chat = await ChatPage.open(browser, server.url, { ...TOY, ...parameters });
      await chat.ask(QUESTION);
      undisturbed[mode] = await chat.finished();
      await chat.close();
    }
  });

  test("the answers that are disturbed are long, and differ", () => {
    for (const mode of Object.keys(MODES)) assert.ok(undisturbed[mode].ids.length >= 50, `${mode}: ${undisturbed[mode].ids.length}`);
    assert.notDeepEqual(undisturbed.greedy.ids, undisturbed.sampled.ids);
  });

  for (const { name, plan, duringLoad = false, idle = false, recoveries = plan.length } of CASES) {
    for (const mode of Object.keys(MODES)) {
      test(`${name}, ${mode}`, TIMEOUT, async () => {
        shim.plan(duringLoad ? plan : []);
        const from = server.requests.length;
        const context = await browser.newContext();
        await context.addInitScript(watchStatus);
        const chat = await ChatPage.visit(context, server.url, { start: 1, ...TOY, ...MODES[mode] });
        chat.watcher.expect(CRASH);
        let loads = 0;
        chat.page.on("load", () => (loads += 1));
        await chat.waitFor("ready");
        if (idle) {
          await browser.crashGpuProcess();
          await chat.page.waitForFunction(() => window.__tern.flight.includes("lost while idle"));
        } else if (!duringLoad) {
          shim.plan(plan);
          await inWorker(chat.page, (points) => void (self.shim.plan = points), plan);
        }
        await chat.ask(QUESTION);
        const answer = await chat.finished();

        const expected = undisturbed[mode];
        assert.deepEqual(answer.ids, expected.ids);
        assert.deepEqual([answer.text, answer.shown, answer.finish], [expected.text, expected.shown, expected.finish]);
        assert.equal(shim.left, 0, "every point was reached");
        const fetched = server.requests.slice(from).map(({ path }) => path).filter(isShard);
        assert.deepEqual(fetched.sort(), SHARDS, "each shard comes over the network once, whatever is lost");
        assert.equal(loads, 0, "the page was loaded again");
        const said = await chat.page.evaluate(() => window.statuses);
        const flight = await chat.page.evaluate(() => window.__tern.flight);
        if (duringLoad || idle) {
          const first = said.indexOf(IDLE[0]);
          assert.deepEqual(said.slice(first, first + 2), IDLE, said.join("\n"));
          assert.deepEqual(said.filter((line) => line === IDLE[0] || line === QUIET[0]), [IDLE[0]], "one quiet line");
        } else {
          assert.equal(answer.recoveries, recoveries, flight);
          const first = said.indexOf(QUIET[0]);
          assert.ok(first >= 0, said.join("\n"));
          assert.deepEqual(said.slice(first).filter((line) => !QUIET.includes(line)), [], "one quiet line");
          assert.match(flight, /the answer goes on, \d+ ms behind the loss/);
        }
        assert.equal(flight.match(/ lost /g)?.length, Math.max(plan.length, 1), flight);
        assert.match(flight, /another device in the same worker/);
        assert.match(flight, /model loaded in \d+ ms: device \d+, read \d+, upload \d+, prepare \d+/);
        await chat.close();
      });
    }
  }
});

/** Notes every text of the status line. */
function watchStatus() {
  window.statuses = [];
  new MutationObserver(() => {
    const text = document.querySelector("[data-testid=status]")?.textContent;
    if (text && window.statuses.at(-1) !== text) window.statuses.push(text);
  }).observe(document, { childList: true, characterData: true, subtree: true });
}
