// Figures of a very long chat: how long the page is blocked while it is opened, written in, answered and read upwards. Run by
// `cargo xtask shell-figures`, with a scripted worker: what a model computes is measured elsewhere.
import { launch } from "../browser.mjs";
import { serveFake } from "../fake.mjs";
import { ChatPage } from "../pages/chat.mjs";

const TURNS = Number(process.env.TERN_TURNS ?? 2000);
const SLOWDOWN = Number(process.env.TERN_SLOWDOWN ?? 4);
/** What the answers of the chat look like, in turn. */
const ANSWERS = [
  "Terns are slender seabirds with long pointed wings. They weigh 90 to 130 g and fly farther than any other animal. ".repeat(5),
  "## Birds\n\n1. The **Arctic** tern\n2. The *common* tern\n\n| Bird | Weight |\n| --- | ---: |\n| Arctic tern | 90 g |\n",
  "```rust\nfn lifetime(years: u32) -> u32 {\n    years * 70_000\n}\n```\n\nRead more at https://example.org/terns.",
];
const NEW_ANSWER = "One word follows the other, and the page has to keep up with all of them. ".repeat(40);

/** Writes a chat as the app stores it (docs/CHATS.md). Runs in the page. */
async function write({ turns, answers }) {
  const database = await new Promise((resolve, reject) => {
    const asked = indexedDB.open("tern-chats");
    asked.onsuccess = () => resolve(asked.result);
    asked.onerror = () => reject(asked.error);
  });
  const writing = database.transaction(["chats", "turns"], "readwrite");
  const id = "00000000000000aa";
  writing.objectStore("chats").put({ id, title: "A long chat", titled: true, created_millis: 1, updated_millis: Date.now() }, id);
  for (let number = 0; number < turns; number += 1) {
    const text = answers[number % answers.length];
    // As many tokens as a model makes of it: four letters each.
    const ids = Array.from({ length: Math.ceil(text.length / 4) }, (_, at) => (at * 7919) % 49152);
    const answer = { text, ids, model: "tern-135m", finish: "Stop", usage: null, recoveries: 0, trimmed: 0 };
    writing.objectStore("turns").put({ chat: id, number, question: `Question ${number}?`, asked_millis: number, seed: number, answer }, `${id}:${String(number).padStart(10, "0")}`);
  }
  await new Promise((resolve, reject) => {
    writing.oncomplete = resolve;
    writing.onabort = () => reject(writing.error);
  });
  database.close();
}

function observe() {
  window.__tasks = [];
  new PerformanceObserver((list) => window.__tasks.push(...list.getEntries().map(({ duration }) => duration))).observe({ type: "longtask", buffered: true });
}

async function measure(slowdown) {
  const server = await serveFake({ answer: NEW_ANSWER, paceMillis: 10 });
  const browser = await launch({ gpu: "none" });
  const rows = [];
  try {
    const chat = await ChatPage.visit(await browser.newContext({ viewport: { width: 1180, height: 820 } }), server.url);
    await chat.waitFor("ready");
    await chat.page.evaluate(write, { turns: TURNS, answers: ANSWERS });
    await chat.page.addInitScript(observe);
    const session = await chat.context.newCDPSession(chat.page);
    await session.send("Emulation.setCPUThrottlingRate", { rate: slowdown });
    const phase = async (name, action) => {
      await chat.page.evaluate(() => window.__tasks?.splice(0));
      const start = Date.now();
      await action();
      const millis = Date.now() - start;
      await chat.page.waitForTimeout(500);
      const tasks = await chat.page.evaluate(() => window.__tasks);
      rows.push({ slowdown, phase: name, millis, "longest task": Math.round(Math.max(0, ...tasks)), "over 50 ms": tasks.length });
    };
    await phase("open", async () => {
      await chat.reload();
      await chat.waitFor("ready");
      await chat.page.waitForFunction(() => !window.__tern.chats.loading && document.querySelectorAll("article").length > 0);
    });
    await phase("type 40 letters", () => chat.message.pressSequentially("A question of forty letters, typed fast."));
    await phase("send, until the first words", async () => {
      await chat.send.click();
      await chat.waitForTokens(1);
    });
    await phase("600 words of an answer", () => chat.page.waitForFunction(() => window.__tern.lastAnswer.done, undefined, { timeout: 120_000 }));
    await phase("scroll up 40 screens", async () => {
      await chat.page.mouse.move(600, 400);
      for (let screen = 0; screen < 40; screen += 1) {
        await chat.page.mouse.wheel(0, -800);
        await chat.page.waitForTimeout(50);
      }
    });
    await phase("open another chat and come back", async () => {
      await chat.newChat.click();
      await chat.sidebar.open();
      await chat.sidebar.chat("A long chat").click();
      await chat.page.waitForFunction(() => !window.__tern.chats.loading && document.querySelectorAll("article").length > 0);
    });
    return rows;
  } finally {
    await browser.close();
    await server.close();
  }
}

const rows = [];
for (const slowdown of [1, SLOWDOWN]) rows.push(...(await measure(slowdown)));
console.log(`a chat of ${TURNS} turns; times in ms`);
console.table(rows);
