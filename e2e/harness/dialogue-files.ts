/** Finds the dialogues in a folder. */
import { readdir, readFile } from "node:fs/promises";
import path from "node:path";
import type { Dialogue } from "./dialogue-parser.ts";
import { parseDialogue } from "./dialogue-parser.ts";

/** All of a folder and those in it, by name. @throws Error for one that cannot be read */
export async function readDialogues(folder: string): Promise<readonly Dialogue[]> {
  const names = await readdir(folder, { recursive: true });
  const files = names.filter((name) => name.endsWith(".dialogue")).sort();
  return Promise.all(
    files.map(async (file) => parseDialogue(file, await readFile(path.join(folder, file), "utf8"))),
  );
}
