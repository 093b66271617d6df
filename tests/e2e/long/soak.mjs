// `cargo xtask soak`: 200 short requests, the GPU process crashed at every tenth.
import { soak } from "../soak.mjs";

const requests = Number(process.env.TERN_REQUESTS ?? 200);
const began = Date.now();
const result = await soak({ requests, crashEvery: 10, settled: 20, log: (...words) => console.log(...words) });
console.log(`after request 20: ${JSON.stringify(result.settled)}`);
console.log(`at the end:       ${JSON.stringify(result.end)}`);
console.log(`${result.answers} answers, ${result.crashes} crashes, none lost or altered, ${Math.round((Date.now() - began) / 1000)} s`);
