// The short form of `cargo xtask soak`.
import assert from "node:assert/strict";
import { test } from "node:test";
import { soak } from "../soak.mjs";

test("20 requests with 3 crashes lose and alter no answer, and nothing piles up", { timeout: 10 * 60_000 }, async () => {
  const { crashes } = await soak({ requests: 20, crashEvery: 6, settled: 10 });
  assert.equal(crashes, 3);
});
