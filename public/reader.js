// Takes records out of the database for the app's worker (worker/src/web/reader.rs), which checks and uploads meanwhile: a browser
// makes the value of a record on the thread that asks for it, and that takes as long as all the rest of loading.
//
// Asked with {id, database, entry: [store, key], record: [store, key], nudgeBytes} it answers {id, value}, where `value` is the record
// if the entry is there too, or {id, error} with the name and the words of what the database says.

/** The database by its name, while it is open. */
const databases = new Map();

self.onmessage = async ({ data }) => {
  const { id } = data;
  try {
    const value = await read(data);
    self.postMessage({ id, value }, value instanceof ArrayBuffer ? [value] : []);
  } catch (error) {
    // Another connection may work.
    databases.delete(data.database);
    self.postMessage({ id, error: `${error?.name}: ${error?.message}` });
  }
};

async function read({ database, entry, record, nudgeBytes }) {
  if (!databases.has(database)) databases.set(database, open(database));
  const opened = await databases.get(database);
  nudge(nudgeBytes);
  const reading = opened.transaction([entry[0], record[0]]);
  // Both are asked for before one is waited for: nearly always both are there.
  const [known, value] = await Promise.all([
    result(reading.objectStore(entry[0]).getKey(entry[1])),
    result(reading.objectStore(record[0]).get(record[1])),
  ]);
  return known === undefined ? undefined : value;
}

async function open(name) {
  const request = indexedDB.open(name);
  // To make it is the other worker's business.
  request.onupgradeneeded = () => request.transaction.abort();
  const database = await result(request);
  database.onversionchange = () => {
    database.close();
    databases.delete(name);
  };
  return database;
}

function result(request) {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}

/** Has the browser collect its garbage: see worker/src/web/bytes.rs. */
function nudge(bytes) {
  if (bytes > 0) new ArrayBuffer(bytes).transfer?.(0);
}
