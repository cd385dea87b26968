/** A picture of letters that people read and simple programs do not: a grey PNG, made by hand. */
import { crc32, deflateSync } from "node:zlib";
import type { Random } from "../base/random.ts";

/** Letters that are not taken for each other, on five columns and seven rows. */
const GLYPHS: Readonly<Record<string, readonly string[]>> = {
  A: [".###.", "#...#", "#...#", "#####", "#...#", "#...#", "#...#"],
  C: [".####", "#....", "#....", "#....", "#....", "#....", ".####"],
  E: ["#####", "#....", "#....", "####.", "#....", "#....", "#####"],
  F: ["#####", "#....", "#....", "####.", "#....", "#....", "#...."],
  H: ["#...#", "#...#", "#...#", "#####", "#...#", "#...#", "#...#"],
  K: ["#...#", "#..#.", "#.#..", "##...", "#.#..", "#..#.", "#...#"],
  L: ["#....", "#....", "#....", "#....", "#....", "#....", "#####"],
  M: ["#...#", "##.##", "#.#.#", "#.#.#", "#...#", "#...#", "#...#"],
  N: ["#...#", "##..#", "##..#", "#.#.#", "#..##", "#..##", "#...#"],
  P: ["####.", "#...#", "#...#", "####.", "#....", "#....", "#...."],
  R: ["####.", "#...#", "#...#", "####.", "#.#..", "#..#.", "#...#"],
  T: ["#####", "..#..", "..#..", "..#..", "..#..", "..#..", "..#.."],
  X: ["#...#", "#...#", ".#.#.", "..#..", ".#.#.", "#...#", "#...#"],
  "3": ["####.", "....#", "....#", ".###.", "....#", "....#", "####."],
  "4": ["#..#.", "#..#.", "#..#.", "#####", "...#.", "...#.", "...#."],
  "7": ["#####", "....#", "...#.", "..#..", "..#..", ".#...", ".#..."],
};
export const LETTERS: readonly string[] = Object.keys(GLYPHS);

export const WIDTH = 240;
export const HEIGHT = 80;
const CELL = 36;
const SCALE = 6;
const COLUMNS = 5;
const ROWS = 7;
const MARGIN_X = (WIDTH - 6 * CELL) / 2;
const MARGIN_Y = (HEIGHT - ROWS * SCALE) / 2;
const LINES = 3;
const SPECKLES = 0.06;
const [INK, SPECKLE, PAPER] = [50, 130, 215];
const SIGNATURE = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]);

/** Of at most six letters. */
export function drawLetters(letters: string, random: Random): Buffer {
  const pixels = Buffer.alloc(WIDTH * HEIGHT);
  const shape = newShape(letters.length, random);
  for (let y = 0; y < HEIGHT; y += 1) {
    for (let x = 0; x < WIDTH; x += 1) {
      const isInk = isLetter(letters, shape, x, y);
      // Few and of one shade: what cannot be compressed makes the picture large.
      const isSpeckled = random.fraction() < SPECKLES;
      pixels[y * WIDTH + x] = isSpeckled ? SPECKLE : isInk ? INK : PAPER;
    }
  }
  for (let left = LINES; left > 0; left -= 1) drawLine(pixels, random);
  return toPng(pixels);
}

/** How this picture is bent. */
interface Shape {
  readonly waves: readonly {
    readonly size: number;
    readonly length: number;
    readonly phase: number;
  }[];
  readonly letters: readonly { readonly dx: number; readonly dy: number; readonly slant: number }[];
}

function newShape(count: number, random: Random): Shape {
  const between = (low: number, high: number) => low + random.fraction() * (high - low);
  const wave = () => ({
    size: between(2, 4),
    length: between(18, 34),
    phase: between(0, 2 * Math.PI),
  });
  const letter = () => ({
    dx: between(-3, 3),
    dy: between(-10, 10),
    slant: between(-0.35, 0.35),
  });
  return { waves: [wave(), wave()], letters: Array.from({ length: count }, letter) };
}

/** Whether a point, bent back, is on one of the letters. */
function isLetter(
  letters: string,
  { waves, letters: places }: Shape,
  x: number,
  y: number,
): boolean {
  const [across, down] = waves as [Shape["waves"][0], Shape["waves"][0]];
  const bentX = x + across.size * Math.sin(y / across.length + across.phase);
  const bentY = y + down.size * Math.sin(x / down.length + down.phase);
  for (const [index, { dx, dy, slant }] of places.entries()) {
    const inY = bentY - MARGIN_Y - dy;
    const inX = bentX - MARGIN_X - index * CELL - dx + slant * (inY - (ROWS * SCALE) / 2);
    const [column, row] = [Math.floor(inX / SCALE), Math.floor(inY / SCALE)];
    if (column < 0 || column >= COLUMNS || row < 0 || row >= ROWS) continue;
    if (GLYPHS[letters[index] ?? ""]?.[row]?.[column] === "#") return true;
  }
  return false;
}

function drawLine(pixels: Buffer, random: Random): void {
  const [from, to] = [random.fraction() * HEIGHT, random.fraction() * HEIGHT];
  for (let x = 0; x < WIDTH; x += 1) {
    const y = Math.floor(from + ((to - from) * x) / WIDTH);
    for (const row of [y, y + 1]) if (row < HEIGHT) pixels[row * WIDTH + x] = SPECKLE;
  }
}

function toPng(pixels: Buffer): Buffer {
  const header = Buffer.alloc(13);
  header.writeUInt32BE(WIDTH, 0);
  header.writeUInt32BE(HEIGHT, 4);
  header[8] = 8; // Bits for each pixel; colour type 0 is grey.
  const rows = Buffer.alloc((WIDTH + 1) * HEIGHT); // Each row begins with its filter, 0: none.
  for (let y = 0; y < HEIGHT; y += 1) {
    pixels.copy(rows, y * (WIDTH + 1) + 1, y * WIDTH, (y + 1) * WIDTH);
  }
  const chunks = [chunk("IHDR", header), chunk("IDAT", deflateSync(rows)), chunk("IEND")];
  return Buffer.concat([SIGNATURE, ...chunks]);
}

function chunk(type: string, data: Buffer = Buffer.alloc(0)): Buffer {
  const named = Buffer.concat([Buffer.from(type), data]);
  const framed = Buffer.alloc(named.length + 8);
  framed.writeUInt32BE(data.length, 0);
  named.copy(framed, 4);
  framed.writeUInt32BE(crc32(named), named.length + 4);
  return framed;
}
