// The ground that the other specs stand on: the server, and a browser whose WebGPU computes.
import assert from "node:assert/strict";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { GPU, launch } from "../browser.mjs";
import { serve } from "../server.mjs";
import { REPOSITORIES, serveHub } from "../site.mjs";
import { until } from "../steps.mjs";

const BYTES = Uint8Array.from({ length: 1000 }, (_, index) => index % 251);

describe("test server", () => {
  let folder, server;
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), "tern-server-"));
    await writeFile(join(folder, "data.bin"), BYTES);
    server = await serve({ "/files/": folder }, ({ path, count }) => {
      if (path === "/files/data.bin" && count === 3) return { cutAt: 100 };
      if (path === "/files/data.bin" && count === 4) return { flipAt: 7 };
      return path === "/busy" ? { status: 503, headers: { "Retry-After": "1" } } : undefined;
    });
  });
  after(async () => {
    await server.close();
    await rm(folder, { recursive: true });
  });
  const get = (path, headers = {}) => fetch(server.url + path, { headers });
  const bytes = async (response) => new Uint8Array(await response.arrayBuffer());

  test("sends files, ranges and planned faults", async () => {
    assert.deepEqual(await bytes(await get("/files/data.bin")), BYTES);
    const part = await get("/files/data.bin", { Range: "bytes=10-19" });
    assert.equal(part.status, 206);
    assert.equal(part.headers.get("content-range"), "bytes 10-19/1000");
    assert.deepEqual(await bytes(part), BYTES.subarray(10, 20));
    assert.equal((await get("/files/data.bin", { Range: "bytes=1000-" })).status, 416);
    await assert.rejects(async () => bytes(await get("/files/data.bin")), "a cut connection must not look complete");
    const flipped = await bytes(await get("/files/data.bin"));
    assert.equal(flipped.filter((byte, index) => byte !== BYTES[index]).length, 1);
    assert.equal((await get("/busy")).status, 503);
    assert.equal((await get("/files/%2e%2e/secret")).status, 404);
    assert.equal((await get("/elsewhere")).status, 404);
  });

  test("notes what was asked for and how much of it went out", async () => {
    server.plan(({ path, count }) => (path === "/files/noted.bin" && count === 0 ? { cutAt: 100 } : undefined));
    await writeFile(join(folder, "noted.bin"), BYTES);
    await get("/files/noted.bin", { Range: "bytes=10-" }).then(bytes).catch(() => undefined);
    await bytes(await get("/files/noted.bin?x=1", { Range: "bytes=110-" }));
    const noted = server.requests.filter(({ path }) => path === "/files/noted.bin");
    assert.deepEqual(noted.map(({ range, query }) => [range, query]), [["bytes=10-", undefined], ["bytes=110-", "x=1"]]);
    // The note comes behind the bytes.
    await until(() => noted[1].whole !== undefined);
    assert.deepEqual(noted.map(({ bytes, whole }) => [bytes, whole]), [[100, false], [890, true]]);
    assert.equal(server.count((path) => path === "/files/noted.bin"), 2);
  });

  test("serves another folder or a script at once, waits when told to, and can be stopped", async () => {
    const other = await mkdtemp(join(tmpdir(), "tern-server-"));
    await writeFile(join(other, "data.bin"), "other");
    server.mount("/files/", other);
    assert.equal(await (await get("/files/data.bin")).text(), "other");
    server.mount("/files/", folder);
    server.replace("/files/data.bin", "let scripted;");
    const scripted = await get("/files/data.bin");
    assert.deepEqual([scripted.headers.get("content-type"), await scripted.text()], ["text/javascript; charset=utf-8", "let scripted;"]);
    server.replace("/files/data.bin", undefined);
    let release;
    const held = new Promise((resolve) => (release = resolve));
    server.plan(() => ({ until: held }));
    let answered = false;
    const answer = get("/files/data.bin").then(bytes).finally(() => (answered = true));
    await until(() => server.requests.at(-1).path === "/files/data.bin" && server.requests.at(-1).bytes === undefined);
    await new Promise((resolve) => setTimeout(resolve, 100));
    assert.equal(answered, false);
    release();
    assert.deepEqual(await answer, BYTES);
    server.plan(undefined);

    await server.stop();
    // The first goes to a connection that was open, and finds it closed.
    await assert.rejects(get("/files/data.bin"));
    await assert.rejects(get("/files/data.bin"));
    await until(() => server.missed.length > 0);
    assert.equal(server.missed[0], "GET /files/data.bin HTTP/1.1");
    await server.start();
    assert.deepEqual(await bytes(await get("/files/data.bin")), BYTES);
    await rm(other, { recursive: true });
  });
});

// What the hub answers is tested natively (crates/faults/tests/hub); here only that specs can have one.
test("a hub redirects to its store, and its requests are noted and spoiled like others", async () => {
  const name = "terns/packed";
  const hub = await serveHub([name], ({ path, count }) => (path.startsWith("/store/") && count === 0 ? { status: 503 } : undefined));
  const listing = await (await fetch(`${hub.url}/api/models/${name}/revision/main?blobs=true`)).json();
  const { size } = listing.siblings.find(({ rfilename }) => rfilename === "model.safetensors");
  const address = `${hub.url}/${name}/resolve/${listing.sha}/model.safetensors`;
  assert.equal((await fetch(address)).status, 503);
  const answer = await fetch(address);
  assert.equal(new URL(answer.url).origin, hub.storeOrigin);
  const weights = await readFile(join(REPOSITORIES, name, "model.safetensors"));
  assert.deepEqual([Buffer.from(await answer.arrayBuffer()), weights.length], [weights, size]);
  assert.equal(hub.count((path) => path.startsWith(`/store/${name}/${listing.sha}/`)), 2);
  hub.publish(name, { folder: join(REPOSITORIES, "terns/llama-divide") });
  const next = await (await fetch(`${hub.url}/api/models/${name}/revision/main?blobs=true`)).json();
  assert.notEqual(next.sha, listing.sha);
  await hub.close();
});

// Runs in the page: doubles some numbers on the GPU.
async function compute() {
  const adapter = await navigator.gpu?.requestAdapter();
  if (!adapter) return null;
  const device = await adapter.requestDevice();
  const input = Float32Array.from({ length: 64 }, (_, index) => index);
  const usage = GPUBufferUsage;
  const buffer = device.createBuffer({ size: 256, usage: usage.STORAGE | usage.COPY_SRC | usage.COPY_DST });
  const result = device.createBuffer({ size: 256, usage: usage.MAP_READ | usage.COPY_DST });
  device.queue.writeBuffer(buffer, 0, input);
  const code = "@group(0) @binding(0) var<storage, read_write> x: array<f32>;\n"
    + "@compute @workgroup_size(64) fn main(@builtin(local_invocation_index) i: u32) { x[i] = 2.0 * x[i]; }";
  const pipeline = device.createComputePipeline({ layout: "auto", compute: { module: device.createShaderModule({ code }) } });
  const group = device.createBindGroup({ layout: pipeline.getBindGroupLayout(0), entries: [{ binding: 0, resource: { buffer } }] });
  const encoder = device.createCommandEncoder();
  const pass = encoder.beginComputePass();
  pass.setPipeline(pipeline);
  pass.setBindGroup(0, group);
  pass.dispatchWorkgroups(1);
  pass.end();
  encoder.copyBufferToBuffer(buffer, 0, result, 0, 256);
  device.queue.submit([encoder.finish()]);
  await result.mapAsync(GPUMapMode.READ);
  const output = [...new Float32Array(result.getMappedRange())];
  return { output, features: [...adapter.features] };
}

describe("browser", () => {
  let folder, server;
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), "tern-empty-"));
    await writeFile(join(folder, "index.html"), "<!doctype html><title>empty</title>");
    server = await serve({ "/": folder });
  });
  after(async () => {
    await server.close();
    await rm(folder, { recursive: true });
  });

  async function computeIn(gpu) {
    const browser = await launch({ gpu });
    try {
      const page = await browser.newPage();
      await page.goto(`${server.url}/`);
      return await page.evaluate(compute);
    } finally {
      await browser.close();
    }
  }

  for (const gpu of new Set([GPU, GPU === "own" ? "own" : "swiftshader"])) {
    test(`WebGPU computes on ${gpu}`, { timeout: 300_000 }, async () => {
      const found = await computeIn(gpu);
      assert.ok(found, "no adapter");
      assert.deepEqual(found.output, Array.from({ length: 64 }, (_, index) => 2 * index));
      if (gpu === "lavapipe") {
        for (const feature of ["shader-f16", "subgroups"]) assert.ok(found.features.includes(feature), `lacks ${feature}`);
      }
    });
  }

  test("there is a browser without an adapter", { timeout: 300_000 }, async () => {
    assert.equal(await computeIn("none"), null);
  });
});
