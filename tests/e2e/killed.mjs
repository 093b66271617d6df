// A download whose browser is killed again and again. The short form is a spec, the long one is `cargo xtask download-soak`.
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { Profile } from "./browser.mjs";
import { pressDownload } from "./downloads.mjs";
import { ChatPage } from "./pages/chat.mjs";
import { isShard, packageHashes, serveSite } from "./site.mjs";
import { until } from "./steps.mjs";
import { stored } from "./stored.mjs";

/** Most requests at a time. */
const CONNECTIONS = 2;
/** What a kill may cost of each connection: what had not been stored yet, and what lay in buffers of the system. */
const LOST_BYTES = 512 * 1024;
/** Little in buffers, so that what was sent has arrived. */
const BUFFER = { sendBufferBytes: 32 * 1024 };
const PARAMETERS = { model: "models/killed", greedy: 1, max_tokens: 4, context: 512 };

/** Repeatable numbers from 0 to 1. */
function* randoms(seed) {
  for (let state = seed; ; ) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    yield state / 2 ** 32;
  }
}

/**
 * Downloads a package at this rate, kills the browser at so many points of it, lets it finish, and asserts that the server sent
 * little more than the package and that what is stored is the package.
 *
 * @param {{folder: string, kills: number, seed: number, bytesPerSecond: number, log?: Function}} options
 */
export async function killedDownload({ folder, kills, seed, bytesPerSecond, log = () => undefined }) {
  const server = await serveSite(({ path }) => (isShard(path) ? BUFFER : undefined));
  server.mount("/models/killed/", folder);
  const profile = await Profile.create();
  const shards = () => server.requests.filter(({ path }) => isShard(path));
  const sent = () => shards().reduce((sum, { bytes }) => sum + (bytes ?? 0), 0);
  // A kill shows where it was when its requests have ended, and another one begins where it was.
  const quiet = () => until(() => shards().every(({ bytes }) => bytes !== undefined));
  const random = randoms(seed);
  const points = Array.from({ length: kills }, () => 0.95 * random.next().value).sort((a, b) => a - b);
  log(`seed ${seed}, killed at ${points.map((point) => `${(100 * point).toFixed(1)} %`).join(", ")}`);
  try {
    server.throttle(bytesPerSecond);
    for (const [index, point] of points.entries()) {
      const chat = await ChatPage.visit(await profile.open(), server.url, PARAMETERS);
      await pressDownload(chat);
      await until(async () => (await chat.firstRun.done().catch(() => 0)) > point);
      await profile.kill();
      await quiet();
      log(`kill ${index + 1}: ${sent()} bytes were sent so far`);
    }
    const chat = await ChatPage.visit(await profile.open(), server.url, PARAMETERS);
    await chat.waitFor("offer");
    assert.equal(await chat.firstRun.download.innerText(), "Continue download");
    await pressDownload(chat);
    server.throttle(undefined);
    await chat.waitFor("ready");
    const { files, parts, strays } = await stored(chat.page);
    assert.deepEqual([files.filter(({ isWhole }) => !isWhole), parts, strays], [[], [], []]);
    // Each record has the hash that the journal says; that is the one of the package's file.
    const hashes = await packageHashes(folder);
    assert.deepEqual(Object.fromEntries(files.map(({ file, sha256 }) => [file, sha256])), hashes);
    const manifest = JSON.parse(await readFile(join(folder, "manifest.json"), "utf8"));
    const total = manifest.shards.reduce((sum, { bytes }) => sum + bytes, 0);
    await quiet();
    const most = total + kills * CONNECTIONS * LOST_BYTES;
    const each = ((sent() - total) / kills / 1024).toFixed(0);
    console.log(`${sent()} bytes were sent for ${total}, at most ${most}: ${each} KiB a kill (${kills} kills, seed ${seed})`);
    assert.ok(sent() >= total && sent() <= most);
    await chat.ask("Hello");
    assert.notEqual((await chat.finished()).ids.length, 0);
    chat.assertNoErrors();
  } finally {
    await profile.remove();
    await server.close();
  }
}
