/** The figures of one part as they come in, and the section of docs/scaling.md they become. */
import { rounded } from "../bench/sheet.ts";

export class Figures {
  readonly #columns: string[] = [];
  readonly #rows = new Map<string, Map<string, number>>();
  readonly #notes: string[] = [];
  readonly #others: number[] = [];

  /** @param what the row, with its unit: "Login, CPU ms" */
  put(what: string, column: string, value: number): void {
    if (!this.#columns.includes(column)) this.#columns.push(column);
    const row = this.#rows.get(what) ?? new Map<string, number>();
    row.set(column, value);
    this.#rows.set(what, row);
    process.stderr.write(`  ${column}: ${what}: ${rounded(value)}\n`);
  }

  /** The rows "<what>, p50 ms" and so on. */
  putTimes(what: string, column: string, sortedMs: Float64Array, parts: readonly number[]): void {
    for (const part of parts) {
      const at = Math.min(sortedMs.length - 1, Math.floor(sortedMs.length * part));
      const value = sortedMs[at];
      const name = part === 1 ? "the last" : `p${part * 100}`;
      if (value !== undefined) this.put(`${what}, ${name}, ms`, column, value);
    }
  }

  note(text: string): void {
    if (!this.#notes.includes(text)) this.#notes.push(text);
    process.stderr.write(`  note: ${text}\n`);
  }

  /** The share of the machine that other work used during one measurement. */
  seeOthers(share: number): void {
    this.#others.push(Math.max(0, share));
  }

  /** @param command what was run, and when */
  section(command: string): string {
    const line = (cells: readonly string[]) => `| ${cells.join(" | ")} |`;
    const rows = [...this.#rows].map(([what, values]) =>
      line([what, ...this.#columns.map((name) => rounded(values.get(name) ?? Number.NaN))]),
    );
    const shares = this.#others.map((share) => Math.round(share * 100));
    const others =
      shares.length === 0
        ? []
        : [`Other work used ${Math.min(...shares)} to ${Math.max(...shares)} % of the machine.`];
    return [
      ...[`Measured by ${command}.`, ...others, ""],
      line(["what", ...this.#columns]),
      line(["---", ...this.#columns.map(() => "---:")]),
      ...rows,
      ...(this.#notes.length === 0 ? [] : ["", ...this.#notes.map((note) => `- ${note}`)]),
    ].join("\n");
  }
}

/** The page with one part's section replaced. @throws Error when the page has no place for it */
export function withSection(page: string, part: string, section: string): string {
  const [first, last] = [`<!-- figures of ${part} -->\n`, `<!-- end of ${part} -->`];
  const [from, to] = [page.indexOf(first), page.indexOf(last)];
  if (from === -1 || to < from) throw new Error(`Cannot write ${part}: the page lacks ${first}`);
  return `${page.slice(0, from)}${first}${section}\n${page.slice(to)}`;
}
