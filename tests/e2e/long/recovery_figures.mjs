// `cargo xtask recovery-figures`: from the crash of the GPU process to the next token, with the built-in model, and its parts.
import assert from "node:assert/strict";
import { GPU, launch } from "../browser.mjs";
import { ChatPage } from "../pages/chat.mjs";
import { isShard, serveSite } from "../site.mjs";
import { CRASH } from "../steps.mjs";

const RUNS = Number(process.env.TERN_RUNS ?? 20);
const QUESTION = "Write a short story about a bird that crosses the ocean.";
const LOADED = /model loaded in (\d+) ms: device (\d+), read (\d+), upload (\d+), prepare (\d+)/g;
const BACK = /the answer goes on, (\d+) ms behind the loss/g;

const server = await serveSite();
const browser = await launch();
const rows = [];
try {
  for (let run = 0; run < RUNS; run += 1) {
    // A page of its own, so that no back-off is part of the time.
    const chat = await ChatPage.open(browser, server.url, { greedy: 1, max_tokens: 24, context: 1024 });
    chat.watcher.expect(CRASH);
    await chat.ask(QUESTION);
    await chat.waitForTokens(10);
    const shards = server.count(isShard);
    let loads = 0;
    chat.page.on("load", () => (loads += 1));
    await browser.crashGpuProcess();
    assert.equal((await chat.finished()).recoveries, 1, "the crash came too late");
    assert.equal(loads, 0, "the page was loaded again");
    assert.equal(server.count(isShard), shards, "weights came over the network");
    const flight = await chat.page.evaluate(() => window.__tern.flight);
    const [total, device, read, upload, prepare] = [...flight.matchAll(LOADED)].at(-1).slice(1).map(Number);
    const back = Number([...flight.matchAll(BACK)].at(-1)[1]);
    rows.push({ total: back, device, read, upload, prepare, "re-prefill": back - total });
    console.log(`${run + 1}: ${JSON.stringify(rows.at(-1))}`);
    await chat.close();
  }
} finally {
  await browser.close();
  await server.close();
}
const median = (values) => values.sort((a, b) => a - b)[Math.floor(values.length / 2)];
console.log(`crash to next token on ${GPU}, built-in model, median of ${rows.length}, milliseconds:`);
for (const name of Object.keys(rows[0])) console.log(`  ${name.padEnd(12)}${median(rows.map((row) => row[name]))}`);
