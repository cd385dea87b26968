/** XEP-0059 Result Set Management: which page of a list is wanted, and which one it is. */
import type { Element } from "../xml/element.ts";
import { el } from "../xml/element.ts";
import { child, text } from "../xml/names.ts";
import { StanzaError } from "./error.ts";

export const RSM_NS = "http://jabber.org/protocol/rsm";

export interface PageRequest {
  /** Undefined where the client leaves it to us. */
  readonly max: number | undefined;
  readonly after: string | undefined;
  /** "" asks for the last page. */
  readonly before: string | undefined;
  readonly index: number | undefined;
}

/** @throws StanzaError `bad-request` for numbers that are none */
export function readPageRequest(set: Element): PageRequest {
  const said = (name: string) => {
    const found = child(set, name, RSM_NS);
    return found === undefined ? undefined : text(found);
  };
  return {
    max: count(said("max")),
    after: said("after"),
    before: said("before"),
    index: count(said("index")),
  };
}

function count(said: string | undefined): number | undefined {
  if (said === undefined) return undefined;
  if (/^\d{1,9}$/.test(said)) return Number(said);
  throw new StanzaError("bad-request", "Cannot read result set: a count is not a number");
}

export interface Page<T> {
  readonly items: readonly T[];
  /** Place of the first item in the whole list. */
  readonly index: number;
  readonly count: number;
}

/**
 * The page of a list that is at hand as a whole.
 * @param most items in one page, whatever is asked for
 * @throws StanzaError `item-not-found` for an item to go on from that is not there (2.5 and 2.8)
 */
export function pageOf<T>(
  all: readonly T[],
  idOf: (item: T) => string,
  { max = Number.POSITIVE_INFINITY, after, before, index }: PageRequest,
  most: number,
): Page<T> {
  const size = Math.min(max, most);
  const placeOf = (id: string): number => {
    const place = all.findIndex((item) => idOf(item) === id);
    if (place === -1) throw new StanzaError("item-not-found");
    return place;
  };
  let start = index ?? 0;
  let end = all.length;
  if (after !== undefined) start = placeOf(after) + 1;
  if (before !== undefined) {
    if (before !== "") end = placeOf(before);
    start = Math.max(start, end - size);
  }
  const items = all.slice(start, Math.min(end, start + size));
  return { items, index: Math.min(start, all.length), count: all.length };
}

/** What a page says of itself. */
export function setElement<T>(
  { items, index, count }: Page<T>,
  idOf: (item: T) => string,
): Element {
  const [first, last] = [items[0], items.at(-1)];
  return el("set", { xmlns: RSM_NS }, [
    first === undefined ? undefined : el("first", { index: String(index) }, idOf(first)),
    last === undefined ? undefined : el("last", {}, idOf(last)),
    el("count", {}, String(count)),
  ]);
}
