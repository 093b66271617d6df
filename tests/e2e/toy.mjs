// A small model for specs in which the words do not matter: the fixture that `cargo xtask e2e` converted, cut into several
// shards so that resuming shows, with room for a conversation. Its answers are nonsense, but always the same nonsense.
import { createHash } from "node:crypto";
import { cp, mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";

/** Every piece of a package's weights begins at a multiple of this. */
const ALIGNMENT = 16;

/**
 * Writes a package made from another one.
 *
 * @param {string} from folder of a package
 * @param {string} to folder to write; what is there is replaced
 * @param {{name: string, context?: number, shardBytes?: number, pieceBytes?: number, isBase?: boolean}} change `pieceBytes`:
 *   most bytes of a piece of a ternary matrix; `isBase`: without its chat template
 * @returns {Promise<{name: string, folder: string, shards: string[]}>} `shards`: names of the shard files, in order
 */
export async function makePackage(from, to, { name, context, shardBytes = 64 * 1024, pieceBytes, isBase = false }) {
  await rm(to, { recursive: true, force: true });
  await mkdir(dirname(to), { recursive: true });
  const manifest = JSON.parse(await readFile(join(from, "manifest.json"), "utf8"));
  await mkdir(to);
  await cp(join(from, manifest.text.tokenizer.file), join(to, manifest.text.tokenizer.file));
  if (pieceBytes !== undefined) cutPieces(manifest, pieceBytes);
  const old = await Promise.all(manifest.shards.map(({ file }) => readFile(join(from, file))));
  const shards = [];
  for (const piece of manifest.tensors.flatMap(({ pieces }) => pieces)) {
    const bytes = old[piece.shard].subarray(piece.offset, piece.offset + piece.bytes);
    let last = shards.at(-1);
    if (!last || last.length + bytes.length > shardBytes) {
      last = Buffer.alloc(0);
      shards.push(last);
    }
    const start = Math.ceil(last.length / ALIGNMENT) * ALIGNMENT;
    shards[shards.length - 1] = Buffer.concat([last, Buffer.alloc(start - last.length), bytes]);
    piece.shard = shards.length - 1;
    piece.offset = start;
  }
  manifest.shards = shards.map((bytes, index) => ({
    file: `weights-${String(index).padStart(5, "0")}.bin`,
    bytes: bytes.length,
    sha256: createHash("sha256").update(bytes).digest("hex"),
  }));
  manifest.name = name;
  if (isBase) delete manifest.text.chat_template;
  manifest.architecture.context = context ?? manifest.architecture.context;
  for (const [index, { file }] of manifest.shards.entries()) await writeFile(join(to, file), shards[index]);
  await writeFile(join(to, "manifest.json"), JSON.stringify(manifest));
  return { name, folder: to, shards: manifest.shards.map(({ file }) => file) };
}

/** Cuts the pieces of ternary matrices between tiles. Pieces of a tensor put one after the other are the whole tensor's. */
function cutPieces(manifest, pieceBytes) {
  const { rows_per_tile: tileRows } = manifest.ternary;
  for (const tensor of manifest.tensors.filter(({ encoding }) => encoding.kind === "ternary")) {
    tensor.pieces = tensor.pieces.flatMap((piece) => {
      const tiles = Math.ceil(piece.n_rows / tileRows);
      const tileBytes = piece.bytes / tiles;
      const most = Math.max(1, Math.floor(pieceBytes / tileBytes));
      return Array.from({ length: Math.ceil(tiles / most) }, (_, part) => {
        const [first, end] = [part * most, Math.min((part + 1) * most, tiles)];
        return {
          shard: piece.shard,
          offset: piece.offset + first * tileBytes,
          bytes: (end - first) * tileBytes,
          first_row: piece.first_row + first * tileRows,
          n_rows: Math.min(end * tileRows, piece.n_rows) - first * tileRows,
        };
      });
    });
  }
}
