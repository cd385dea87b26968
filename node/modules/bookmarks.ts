/**
 * XEP-0402 bookmarks are the bookmarks: what older clients keep as one list (XEP-0048), in private
 * storage (XEP-0049) or at a node of their own, is made of them and taken apart into them.
 */
import { Jid } from "../stanza/jid.ts";
import type { Element } from "../xml/element.ts";
import { el } from "../xml/element.ts";
import { child, children, localName, text } from "../xml/names.ts";
import type { PepChange, PepService } from "./contract.ts";
import { defineModule, disco } from "./contract.ts";

const NODE = "urn:xmpp:bookmarks:1";
const OLD = "storage:bookmarks";

/** A room that is bookmarked, as both forms can say it. */
interface Bookmark {
  readonly name: string | undefined;
  readonly autojoin: boolean;
  readonly nick: string | undefined;
  readonly password: string | undefined;
}

const isTrue = (value: unknown): boolean => value === "1" || value === "true";
const textOf = (element: Element, name: string, ns: string): string | undefined => {
  const found = child(element, name, ns);
  return found === undefined ? undefined : text(found);
};

const read = (conference: Element, ns: string): Bookmark => ({
  name: typeof conference.attrs.name === "string" ? conference.attrs.name : undefined,
  autojoin: isTrue(conference.attrs.autojoin),
  nick: textOf(conference, "nick", ns),
  password: textOf(conference, "password", ns),
});

const contentOf = ({ nick, password }: Bookmark): Element[] => [
  ...(nick === undefined ? [] : [el("nick", {}, nick)]),
  ...(password === undefined ? [] : [el("password", {}, password)]),
];

const isSame = (one: Bookmark, other: Bookmark): boolean =>
  JSON.stringify(one) === JSON.stringify(other);

/** The rooms of an old list by address. The address of an item is what tells items apart. */
function roomsOf(storage: Element): ReadonlyMap<string, Bookmark> {
  const rooms = new Map<string, Bookmark>();
  for (const conference of children(storage, "conference", OLD)) {
    const room = addressOf(conference.attrs.jid);
    if (room !== undefined) rooms.set(room, read(conference, OLD));
  }
  return rooms;
}

const addressOf = (jid: unknown): string | undefined => Jid.parseOrNone(String(jid))?.bare;

/** Whether two old lists bookmark the same rooms in the same way. */
function areSame(one: Element, other: Element): boolean {
  const [rooms, others] = [roomsOf(one), roomsOf(other)];
  return (
    rooms.size === others.size &&
    [...rooms].every(([room, bookmark]) => {
      const found = others.get(room);
      return found !== undefined && isSame(found, bookmark);
    })
  );
}

class Bookmarks {
  readonly #pep: PepService;

  constructor(pep: PepService) {
    this.#pep = pep;
  }

  /** The old list of a user's bookmarks; undefined for a user who has none in the new form. */
  async list(user: string, others: readonly Element[]): Promise<Element | undefined> {
    const items = await this.#pep.items(user, NODE);
    if (items === undefined) return undefined;
    const conferences = items.flatMap(({ id, payload }) => {
      if (payload === undefined) return [];
      const bookmark = read(payload, NODE);
      const { name, autojoin } = bookmark;
      const attributes = { jid: id, name, autojoin: autojoin ? "true" : "false" };
      return [el("conference", attributes, contentOf(bookmark))];
    });
    return el("storage", { xmlns: OLD }, conferences, others);
  }

  /**
   * Makes the bookmarks what an old list says. What they say beyond it stays, and so does what was
   * not in the list that its client has read (`before`): whoever has seen no list removes nothing.
   */
  async take(user: string, storage: Element, before: Element | undefined): Promise<void> {
    const rooms = roomsOf(storage);
    const found = (await this.#pep.items(user, NODE)) ?? [];
    const items = new Map(found.map((item) => [addressOf(item.id) ?? item.id, item]));
    for (const [room, bookmark] of rooms) {
      const known = items.get(room);
      if (known?.payload !== undefined && isSame(read(known.payload, NODE), bookmark)) continue;
      const payload = conferenceOf(bookmark, known?.payload);
      await this.#pep.publish(user, NODE, { id: known?.id ?? room, payload });
    }
    const seen = before === undefined ? [] : [...roomsOf(before).keys()];
    const gone = seen.filter((room) => !rooms.has(room)).flatMap((room) => items.get(room) ?? []);
    if (gone.length === 0) return;
    await this.#pep.retract(
      user,
      NODE,
      gone.map(({ id }) => id),
    );
  }

  /** Bookmarks changed: the node with the old list, which is made if need be, says the same. */
  async changed(user: string): Promise<void> {
    const kept = (await this.#pep.items(user, OLD))?.at(-1)?.payload;
    const payload = await this.list(user, kept === undefined ? [] : urlsOf(kept));
    if (payload === undefined || (kept !== undefined && areSame(payload, kept))) return;
    await this.#pep.publish(user, OLD, { id: "current", payload });
  }

  /** A client published the old list at its node. */
  async oldPublished({ user, published, before }: PepChange): Promise<void> {
    if (published?.payload === undefined) return;
    await this.take(user, published.payload, before?.payload);
    await this.changed(user);
  }
}

/** The payload of an item of XEP-0402: what `known` has besides is kept. */
function conferenceOf(bookmark: Bookmark, known: Element | undefined): Element {
  const { name, autojoin } = bookmark;
  const besides = (known === undefined ? [] : children(known)).filter(
    (one) => localName(one) !== "nick" && localName(one) !== "password",
  );
  const attributes = { xmlns: NODE, name, autojoin: autojoin ? "true" : "false" };
  return el("conference", attributes, contentOf(bookmark), besides);
}

/** Bookmarked web pages, for which XEP-0402 has no place. */
const urlsOf = (storage: Element): Element[] => children(storage, "url", OLD);

export const bookmarks = defineModule({
  name: "bookmarks",
  about: "Bookmarks of rooms, the same for clients of every age.",
  needs: ["pep", "private"],
  implements: [
    { xep: 48, version: "1.2" },
    { xep: 402, version: "1.1.3" },
  ],
  setup({ pep, private: storage }) {
    const kept = new Bookmarks(pep);
    pep.watchTold(NODE, ({ user }) => kept.changed(user));
    pep.watchTold(OLD, (change) => kept.oldPublished(change));
    storage.keepElsewhere("storage", OLD, {
      // Without bookmarks in the new form, what was kept before there were any is the list.
      read: async (user, stored) =>
        (await kept.list(user, stored === undefined ? [] : urlsOf(stored))) ?? stored,
      async write(user, element) {
        await kept.take(user, element, await kept.list(user, []));
        await kept.changed(user);
        return el("storage", { xmlns: OLD }, urlsOf(element));
      },
    });
    // Section 5.3: one says it of private storage, the other of the node.
    return [disco("account", { features: [`${NODE}#compat`, `${NODE}#compat-pep`] })];
  },
});
