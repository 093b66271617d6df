// A worker that runs no model: it speaks the protocol (docs/PROTOCOL.md) as a script tells it. Served in place of
// worker_loader.js; the specs reach it through `fake`.
const script = "__SCRIPT__";
const post = (event) => self.postMessage([event, []]);
const finish = (id, outcome) => post({ Finished: { id, outcome } });
const sleep = (millis) => new Promise((resolve) => setTimeout(resolve, millis));

/** Everything that was begun, by its number. */
const runs = new Map();
const fake = {
  script,
  /** Everything that the page asked for, in order. */
  requests: [],
  post,
  /** The running load or answer: `{id, cancelled, release}`. */
  running: undefined,
  /** Lets a load or an answer that is held go on. */
  release: () => fake.running?.release?.(),
};
self.fake = fake;

self.onmessage = ({ data: [request] }) => {
  fake.requests.push(request);
  // A request without a body is its name alone.
  const [name, body] = typeof request === "string" ? [request] : Object.entries(request)[0];
  handlers[name]?.(body);
};

const handlers = {
  Inspect({ id }) {
    if (script.inspectFault) post({ Failed: { id, fault: script.inspectFault } });
    else finish(id, { Inspected: script.offer });
  },
  async Load({ id }) {
    const run = begin(id);
    const progress = (stage, share) => {
      const total = script.offer.download_bytes;
      const done = Math.round(total * share);
      const shards = { shards_done: Math.floor(6 * share), shards_total: 6 };
      const bytes = { bytes_done: done, bytes_total: total, fetched_bytes: stage === "Download" ? done : total };
      post({ Loading: { id, progress: { stage, ...shards, ...bytes } } });
    };
    if (!script.offer.complete) {
      for (const share of [0, 0.2, 0.43]) {
        progress("Download", share);
        await sleep(script.loadMillis);
      }
    }
    if (script.holdLoad) await run.held();
    if (run.cancelled) return finish(id, "Cancelled");
    const fault = script.loadFaults?.shift() ?? script.loadFault;
    if (fault) return post({ Failed: { id, fault } });
    progress("Upload", 1);
    finish(id, { Loaded: script.model });
  },
  async Generate({ id, job }) {
    const run = begin(id);
    const question = job.messages.at(-1).content;
    if (script.trimmed) post({ Trimmed: { id, messages: script.trimmed } });
    post({ Prefill: { id, done: 20, total: 40 } });
    await sleep(script.paceMillis);
    const pieces = split(script.answers[question] ?? script.answer);
    let sequence = 0;
    for (let index = job.resume?.length ?? 0; index < pieces.length; index += 1) {
      if (index === script.holdAfter) await run.held();
      if (run.cancelled) break;
      if (index === script.failAfter) return post({ Failed: { id, fault: script.answerFault } });
      post({ Tokens: { id, sequence: sequence++, text: pieces[index], ids: [1000 + index] } });
      if (script.paceMillis > 0) await sleep(script.paceMillis);
    }
    const reason = run.cancelled ? "Cancelled" : "Stop";
    const usage = { prompt_tokens: 40, answer_tokens: pieces.length, first_token_millis: 320, tokens_per_second: 23.4, recoveries: 0, context_tokens: 40 + pieces.length };
    finish(id, { Answered: { reason, usage } });
  },
  Cancel({ id }) {
    const run = runs.get(id);
    if (!run) return;
    run.cancelled = true;
    run.release?.();
  },
  Pause: () => post({ Status: "DownloadPaused" }),
  Resume: () => post({ Status: "DownloadResumed" }),
  SelfTest: ({ id }) => finish(id, { Tested: script.selfTest }),
  async Benchmark({ id }) {
    const run = begin(id);
    for (const [step, done, total] of [["WarmUp", 128, 128], ["Prefill", 512, 512], ["Decode", 50, 128]]) {
      post({ Measuring: { id, step, done, total } });
      await sleep(script.paceMillis);
    }
    if (script.holdBenchmark) await run.held();
    finish(id, run.cancelled ? "Cancelled" : { Measured: script.benchmark });
  },
  LoseDevice: () => post({ Status: { DeviceLost: { detail: "Destroyed: on request" } } }),
  DescribeDevice: ({ id }) => (script.deviceFault ? post({ Failed: { id, fault: script.deviceFault } }) : finish(id, { Described: script.device })),
  Storage: ({ id }) => finish(id, { Storage: script.storage }),
  DescribeModel: ({ id }) => finish(id, { ModelDescribed: script.details }),
  async VerifyModel({ id }) {
    const run = begin(id);
    const total = script.offer.download_bytes;
    post({ Loading: { id, progress: { stage: "Verify", shards_done: 2, shards_total: 6, bytes_done: Math.round(total / 3), bytes_total: total, fetched_bytes: 0 } } });
    if (script.holdWork) await run.held();
    finish(id, run.cancelled ? "Cancelled" : { Verified: script.verified });
  },
  async Download({ id, model_url }) {
    const run = begin(id);
    const total = 1_178_562_980;
    post({ Loading: { id, progress: { stage: "Download", shards_done: 1, shards_total: 3, bytes_done: Math.round(total * 0.37), bytes_total: total, fetched_bytes: Math.round(total * 0.37) } } });
    if (script.holdWork) await run.held();
    finish(id, run.cancelled ? "Cancelled" : { Downloaded: { model_url } });
  },
  DeleteModel: ({ id }) => finish(id, { Deleted: { bytes: script.offer.download_bytes } }),
  EraseModels: ({ id }) => finish(id, { Deleted: { bytes: script.offer.download_bytes } }),
};

function begin(id) {
  const run = { id, cancelled: false };
  // A cancel may have come before the place where it holds.
  run.held = () => run.cancelled || new Promise((resolve) => (run.release = resolve));
  runs.set(id, run);
  fake.running = run;
  return run;
}

/** Words with the space behind them, as tokens are. */
function split(text) {
  return text.match(/\S+\s*|\s+/g) ?? [];
}

post({ Hello: script.hello });
if (!script.silent) setInterval(() => post("Beat"), 1000);
