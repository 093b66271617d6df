// The servers that a person has allowed, as the app keeps them (app/src/platform/hosts.rs).

/** Runs in a page of the app's origin: writes the list, whatever is in it. */
async function write([folder, list]) {
  const cache = await caches.open(`tern-hosts ${folder}`);
  await cache.put(new URL("allowed-hosts", new URL(folder, location.origin)).href, new Response(JSON.stringify(list)));
}

/** Lets a context's visits to the app at `url` fetch from these origins, as if the person had allowed them before. */
export async function allowHosts(context, url, origins) {
  const page = await context.newPage();
  await page.goto(`${url}/icon.svg`);
  await writeHosts(page, origins);
  await page.close();
}

/** Writes the list from a page of the app. */
export async function writeHosts(page, list, folder = "/") {
  await page.evaluate(write, [folder, list]);
}

/** The same as an expression, for a page that playwright does not drive. */
export function writingHosts(origins) {
  return `(${write})(${JSON.stringify(["/", origins])})`;
}

/** The sources that the worker's policy allows, as the page is served it now. */
export async function workerSources(page) {
  const policy = await page.evaluate(async () => {
    const response = await fetch("worker_loader.js");
    return response.headers.get("Content-Security-Policy") ?? "";
  });
  const connect = policy.split(";").find((directive) => directive.trim().startsWith("connect-src ")) ?? "";
  return { policy, sources: connect.trim().split(/\s+/).slice(1) };
}
