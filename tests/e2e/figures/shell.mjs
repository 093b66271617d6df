// Figures of the shell: how soon something is drawn, how long the page is blocked, how much is fetched. Run by
// `cargo xtask shell-figures`, which serves dist/ as a good host would (TERN_URL).
import { connect, createServer } from "node:net";
import { launch, required } from "../browser.mjs";

/** A phone or an older iPad beside the machine that this runs on. */
const SLOWDOWN = Number(process.env.TERN_SLOWDOWN ?? 4);
/** A task longer than this is felt. */
const BLOCKING_MILLIS = 50;
/** After the app has opened, the time in which its worker starts and the service worker is installed. */
const SETTLE_MILLIS = 8000;
const REPEATS = Number(process.env.TERN_REPEATS ?? 3);

/** Runs in the page before everything else. */
function observe() {
  window.__figures = { firstPaint: null, tasks: [], shift: 0, violations: [] };
  const watch = (type, note) => new PerformanceObserver((list) => list.getEntries().forEach(note)).observe({ type, buffered: true });
  watch("paint", (entry) => {
    if (entry.name === "first-contentful-paint") window.__figures.firstPaint = entry.startTime;
  });
  watch("longtask", (entry) => window.__figures.tasks.push([entry.startTime, entry.duration]));
  watch("layout-shift", (entry) => (window.__figures.shift += entry.hadRecentInput ? 0 : entry.value));
  document.addEventListener("securitypolicyviolation", (event) => window.__figures.violations.push(event.violatedDirective));
}

/** Passes bytes between the browser and the server, and counts those that the browser gets, whoever in it asked for them. */
async function counter(url) {
  const { hostname, port } = new URL(url);
  const count = { received: 0 };
  const proxy = createServer((browser) => {
    const server = connect(Number(port), hostname);
    server.on("data", (bytes) => (count.received += bytes.length));
    server.pipe(browser).pipe(server);
    for (const end of [browser, server]) end.on("error", () => [browser, server].forEach((both) => both.destroy()));
  });
  await new Promise((resolve) => proxy.listen(0, "127.0.0.1", resolve));
  return { count, url: `http://127.0.0.1:${proxy.address().port}/`, close: () => proxy.close() };
}

/** One load of the page, with what came over the network meanwhile. */
async function visit(page, count, action) {
  const before = count.received;
  const start = Date.now();
  await action();
  await page.waitForFunction(() => window.__tern !== undefined, undefined, { timeout: 120_000 });
  const opened = Date.now() - start;
  await page.waitForTimeout(SETTLE_MILLIS);
  const { firstPaint, tasks, shift, violations } = await page.evaluate(() => window.__figures);
  const over = tasks.map(([, duration]) => duration - BLOCKING_MILLIS).filter((rest) => rest > 0);
  return {
    firstPaint: Math.round(firstPaint),
    opened,
    blocked: Math.round(over.reduce((sum, rest) => sum + rest, 0)),
    longest: Math.round(Math.max(0, ...tasks.map(([, duration]) => duration))),
    shift: Number(shift.toFixed(3)),
    kilobytes: Math.round((count.received - before) / 1000),
    violations: violations.length,
  };
}

async function measure(slowdown) {
  const browser = await launch();
  const network = await counter(required("TERN_URL"));
  try {
    const context = await browser.newContext({ viewport: { width: 1180, height: 820 } });
    const page = await context.newPage();
    await page.addInitScript(observe);
    const session = await context.newCDPSession(page);
    await session.send("Emulation.setCPUThrottlingRate", { rate: slowdown });
    const first = await visit(page, network.count, () => page.goto(network.url, { waitUntil: "commit" }));
    await page.evaluate(() => navigator.serviceWorker.ready);
    const again = await visit(page, network.count, () => page.reload({ waitUntil: "commit" }));
    return { first, again };
  } finally {
    await browser.close();
    network.close();
  }
}

/** The median of each figure. */
function median(runs) {
  const middle = (values) => values.sort((a, b) => a - b)[Math.floor(values.length / 2)];
  return Object.fromEntries(Object.keys(runs[0]).map((name) => [name, middle(runs.map((run) => run[name]))]));
}

const rows = [];
for (const slowdown of [1, SLOWDOWN]) {
  const runs = [];
  for (let run = 0; run < REPEATS; run += 1) runs.push(await measure(slowdown));
  for (const visited of ["first", "again"]) rows.push({ slowdown, visit: visited, ...median(runs.map((run) => run[visited])) });
}
console.log("times in ms, medians of", REPEATS, "runs; opened: until the app's own code has drawn; blocked: total blocking time");
console.table(rows);
if (rows.some((row) => row.violations > 0)) throw new Error("the page violates its policy");
