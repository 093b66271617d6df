// What the app keeps of its models (docs/PROTOCOL.md, "The store"), read and spoiled behind its back.

/** Runs in the page: `work(database)`, or undefined if there is no database. */
const WITH_DATABASE = `async (work, argument) => {
  // Opening one that is not there would make it, without its stores.
  const known = await indexedDB.databases();
  if (!known.some(({ name }) => name === "tern-models")) return undefined;
  const result = (request) => new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
  const database = await result(indexedDB.open("tern-models"));
  try {
    return await work(database, result, argument);
  } finally {
    database.close();
  }
}`;

/** @param {{evaluate: Function}} page of the app, or of anything on its origin: playwright's, or one of bare.mjs */
function withDatabase(page, work, argument) {
  return page.evaluate(`(${WITH_DATABASE})(${work}, ${JSON.stringify(argument)})`);
}

/**
 * Everything that counts as stored, and what has come of files that don't yet.
 *
 * @returns {Promise<{files: {package: string, file: string, bytes: number, sha256: string, isWhole: boolean}[], parts: string[],
 *   strays: string[]}>} `isWhole`: the records have the length and the hash that the journal says; `parts`: keys of parts;
 *   `strays`: keys of records that belong to nothing
 */
export async function stored(page) {
  const found = await withDatabase(page, async (database, result) => {
    const reading = database.transaction(["packages", "journal", "records"]);
    const [packages, journal, keys] = await Promise.all([
      result(reading.objectStore("packages").getAllKeys()),
      result(reading.objectStore("journal").getAll()),
      result(reading.objectStore("records").getAllKeys()),
    ]);
    const there = new Set(keys);
    const parts = keys.filter((key) => key.startsWith("part/"));
    const files = [];
    // What is noted of conversions stays for repairs, what is noted of a package's shards for the next load.
    const prints = new Set(packages.map((url) => `fingerprints/${url} `));
    const notes = keys.filter((key) => key.startsWith("repacking/") || prints.has(key));
    const owned = new Set([...parts, ...notes]);
    for (const entry of journal) {
      const own = [];
      for (let number = 0; there.has(`${entry.sha256}/${number}`); number += 1) own.push(`${entry.sha256}/${number}`);
      own.forEach((key) => owned.add(key));
      // One file after the other: all of a large model would be more than fits into a page.
      const records = database.transaction("records").objectStore("records");
      const bytes = await new Blob(await Promise.all(own.map((key) => result(records.get(key))))).arrayBuffer();
      const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
      const sha256 = Array.from(digest, (byte) => byte.toString(16).padStart(2, "0")).join("");
      files.push({ ...entry, isWhole: bytes.byteLength === entry.bytes && sha256 === entry.sha256 });
    }
    return { files, parts, strays: keys.filter((key) => !owned.has(key)) };
  });
  return found ?? { files: [], parts: [], strays: [] };
}

/** Changes one bit of the first record of each of these files (by SHA-256). */
export async function flipBits(page, sha256s) {
  await withDatabase(page, async (database, result, hashes) => {
    const store = database.transaction("records", "readwrite").objectStore("records");
    for (const [index, hash] of hashes.entries()) {
      const bytes = new Uint8Array(await result(store.get(`${hash}/0`)));
      bytes[(index * 7919) % bytes.length] ^= 1 << (index % 8);
      await result(store.put(bytes.buffer, `${hash}/0`));
    }
  }, sha256s);
}

/** Deletes the first record of each of these files, as an eviction of a part would. */
export async function loseRecords(page, sha256s) {
  await withDatabase(page, async (database, result, hashes) => {
    const store = database.transaction("records", "readwrite").objectStore("records");
    for (const hash of hashes) await result(store.delete(`${hash}/0`));
  }, sha256s);
}

/** Deletes all models, as an eviction would. Nobody may have them open. */
export function loseEverything(page) {
  return page.evaluate(() => new Promise((resolve, reject) => {
    const asked = indexedDB.deleteDatabase("tern-models");
    asked.onsuccess = () => resolve();
    asked.onerror = () => reject(asked.error);
    asked.onblocked = () => reject(new Error("somebody has the database open"));
  }));
}
