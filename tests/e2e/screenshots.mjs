// Pictures of every screen at the iPad's sizes, light and dark. `cargo xtask screenshots [STATE...]` runs it.
import { mkdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { launch, required } from "./browser.mjs";
import { serveFake } from "./fake.mjs";
import { STATES, reach, resize } from "./states.mjs";

const FOLDER = required("TERN_SCREENSHOTS");
/** Portrait and landscape of the large iPad, the small one, and half a screen in Split View. */
const SIZES = [[1024, 1366], [1366, 1024], [744, 1133], [507, 1366]];

const wanted = process.argv.slice(2);
const states = STATES.filter(({ name }) => wanted.length === 0 || wanted.includes(name));
const unknown = wanted.filter((name) => !STATES.some((state) => state.name === name));
if (unknown.length > 0) throw new Error(`no state ${unknown.join(", ")}: known are ${STATES.map(({ name }) => name).join(", ")}`);

if (wanted.length === 0) await rm(FOLDER, { recursive: true, force: true });
await mkdir(FOLDER, { recursive: true });
const server = await serveFake({});
const browser = await launch({ gpu: "none" });
let failed = 0;
for (const state of states) {
  try {
    await take(state);
  } catch (error) {
    failed += 1;
    console.error(`${state.name}: ${error.message.split("\n", 1)[0]}`);
  }
}
await browser.close();
await server.close();
console.log(`${states.length - failed} of ${states.length} states in ${FOLDER}`);
process.exitCode = failed === 0 ? 0 : 1;

async function take(state) {
  const chat = await reach(browser, server, state, { viewport: { width: 1024, height: 1366 }, reducedMotion: "reduce" });
  for (const [width, height] of SIZES) {
    await resize(chat, state, { width, height });
    for (const colorScheme of ["light", "dark"]) {
      await chat.page.emulateMedia({ colorScheme });
      // Two frames: one that lays out, one that draws.
      await chat.page.evaluate(() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done))));
      await chat.page.screenshot({ path: join(FOLDER, `${state.name}-${width}x${height}-${colorScheme}.png`) });
    }
  }
  await chat.context.close();
}
