// `cargo xtask download-soak`: a package of 300 MB, its browser killed 20 times while it comes.
import { required } from "../browser.mjs";
import { killedDownload } from "../killed.mjs";

const kills = Number(process.env.TERN_RUNS ?? 20);
const seed = Number(process.env.TERN_SEED ?? Math.floor(Date.now() / 1000) % 1_000_000);
const began = Date.now();
const log = (...words) => console.log(...words);
await killedDownload({ folder: required("TERN_PACKAGE"), kills, seed, bytesPerSecond: 10_000_000, log });
console.log(`${kills} kills, everything is there and right, ${Math.round((Date.now() - began) / 1000)} s`);
