// Runs in the worker before its own code; see shim.mjs.
const shim = {
  /** What is alive on the GPU: buffers and their bytes, devices. */
  buffers: 0,
  bytes: 0,
  devices: 0,
  lostDevices: 0,
  tokens: 0,
  chunks: 0,
  writes: 0,
  plan: JSON.parse(ask("GET", "/__plan") || "[]"),
};
self.shim = shim;
self.addEventListener("unhandledrejection", ({ reason }) => console.error(`unhandled rejection: ${reason}`));

/** Asks the server and stops the whole worker until it has answered: so the world changes at this very point. */
function ask(method, path) {
  const request = new XMLHttpRequest();
  request.open(method, new URL(path, self.location.origin), false);
  request.send();
  return request.responseText;
}

function reach(at, count) {
  if (shim.plan[0]?.at !== at || count < shim.plan[0].n) return;
  shim.plan.shift();
  shim.chunks = 0;
  shim.onPoint ? shim.onPoint() : ask("GET", "/__crash");
}

const post = self.postMessage.bind(self);
self.postMessage = (message, ...rest) => {
  post(message, ...rest);
  const [body] = message;
  if (body?.Tokens) reach("token", (shim.tokens += body.Tokens.ids.length));
  if (body?.Prefill && body.Prefill.done > 0 && body.Prefill.done < body.Prefill.total) reach("prefill", (shim.chunks += 1));
};

/** Replaces a function of a prototype by one that gets the old one, the object and the arguments. */
function wrap(prototype, name, around) {
  const old = prototype[name];
  prototype[name] = function wrapped(...parameters) {
    return around((...given) => old.apply(this, given), this, parameters);
  };
}
shim.wrap = wrap;

/** A device that is slow: milliseconds for each thing that is waited for, one behind the other. May be changed at any time; 0 = as fast as it is. */
shim.slowMillis = 0;
let freeAt = 0;
async function inTurn(done) {
  await done;
  const now = performance.now();
  freeAt = Math.max(now, freeAt) + shim.slowMillis;
  await new Promise((resolve) => setTimeout(resolve, freeAt - now));
}
if (self.GPUDevice) {
  for (const [prototype, name] of [[GPUBuffer.prototype, "mapAsync"], [GPUQueue.prototype, "onSubmittedWorkDone"]]) {
    wrap(prototype, name, (old, _, parameters) => (shim.slowMillis > 0 ? inTurn(old(...parameters)) : old(...parameters)));
  }
}

if (self.GPUDevice) {
  // What each device holds. A buffer goes when it is destroyed, when the browser collects it, or with its device.
  const held = new WeakMap();
  const owners = new WeakMap();
  const release = ({ device, bytes }) => {
    const of = device.deref() && held.get(device.deref());
    if (!of) return;
    of.buffers -= 1;
    of.bytes -= bytes;
    shim.buffers -= 1;
    shim.bytes -= bytes;
  };
  const collected = new FinalizationRegistry(release);
  const end = (device) => {
    const of = held.get(device);
    if (!of) return;
    held.delete(device);
    shim.devices -= 1;
    shim.buffers -= of.buffers;
    shim.bytes -= of.bytes;
  };
  wrap(GPUAdapter.prototype, "requestDevice", async (old, _, [descriptor]) => {
    const device = await old(descriptor);
    shim.devices += 1;
    shim.writes = 0;
    held.set(device, { buffers: 0, bytes: 0 });
    device.lost.then(() => {
      shim.lostDevices += 1;
      end(device);
    });
    return device;
  });
  wrap(GPUDevice.prototype, "createBuffer", (old, device, [descriptor]) => {
    const buffer = old(descriptor);
    const of = held.get(device);
    if (!of) return buffer;
    const entry = { device: new WeakRef(device), bytes: descriptor.size };
    of.buffers += 1;
    of.bytes += descriptor.size;
    shim.buffers += 1;
    shim.bytes += descriptor.size;
    owners.set(buffer, entry);
    collected.register(buffer, entry, buffer);
    return buffer;
  });
  wrap(GPUDevice.prototype, "destroy", (old, device) => {
    old();
    end(device);
  });
  wrap(GPUBuffer.prototype, "destroy", (old, buffer) => {
    old();
    const entry = owners.get(buffer);
    if (!entry) return;
    owners.delete(buffer);
    collected.unregister(buffer);
    release(entry);
  });
  wrap(GPUQueue.prototype, "writeBuffer", (old, _, parameters) => {
    old(...parameters);
    // Small writes are parameters, and the weights of the self-test.
    const bytes = parameters[4] ?? parameters[2]?.byteLength ?? 0;
    if (bytes >= 60_000) reach("write", (shim.writes += 1));
  });
}
