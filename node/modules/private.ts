/** XEP-0049 Private XML Storage: elements that clients keep for themselves, by name and namespace. */
import { integer } from "../config/options.ts";
import { StanzaError } from "../stanza/error.ts";
import { detachedBytes } from "../xml/detached.ts";
import type { Element } from "../xml/element.ts";
import { el } from "../xml/element.ts";
import { children, localName, ns } from "../xml/names.ts";
import { parseElement } from "../xml/parser.ts";
import type { PrivateKeeper, PrivateStorageService, Request } from "./contract.ts";
import { defineModule, iq, service } from "./contract.ts";

const NS = "jabber:iq:private";

/** Part of what is stored. */
const keyOf = (element: Element): string => `${ns(element)} ${localName(element)}`;

/** What is asked for or to be kept. @throws StanzaError as the text before table 2 says */
function elementsOf(query: Element): readonly Element[] {
  const elements = children(query);
  if (elements.length === 0) {
    throw new StanzaError("not-acceptable", "Cannot use private storage: no element given");
  }
  for (const element of elements) {
    const namespace = ns(element);
    if (namespace === NS || namespace === "") {
      throw new StanzaError("not-acceptable", "Cannot use private storage: no own namespace");
    }
  }
  return elements;
}

export const privateStorage = defineModule({
  name: "private",
  about: "Clients keep elements of their own on the server.",
  features: [NS],
  implements: [{ xep: 49, version: "1.2" }],
  options: {
    bytesMax: integer({
      about: "Bytes kept for one user, all elements together.",
      default: 1_048_576,
      min: 1_024,
      max: 67_108_864,
    }),
  },
  provides: ["private"],
  setup({ documents }, { bytesMax }) {
    const keepers = new Map<string, PrivateKeeper>();
    async function get({ from, payload }: Request) {
      const [asked, ...others] = elementsOf(payload);
      if (asked === undefined || others.length > 0) {
        throw new StanzaError("not-acceptable", "Cannot read private storage: one at a time");
      }
      const kept = await documents.get(from.bare, "private", keyOf(asked));
      const stored = kept === undefined ? undefined : parseElement(kept);
      const keeper = keepers.get(keyOf(asked));
      const found = keeper === undefined ? stored : await keeper.read(from.bare, stored);
      return el("query", { xmlns: NS }, found ?? el(localName(asked), { xmlns: ns(asked) }));
    }
    async function set({ from, payload }: Request) {
      const changes = new Map<string, Buffer>();
      for (const element of elementsOf(payload)) {
        const key = keyOf(element);
        if (changes.has(key)) {
          throw new StanzaError("not-acceptable", "Cannot keep elements: one is given twice");
        }
        changes.set(key, detachedBytes(element));
      }
      await checkRoom(from.bare, changes);
      for (const element of elementsOf(payload)) {
        const keeper = keepers.get(keyOf(element));
        if (keeper === undefined) continue;
        changes.set(keyOf(element), detachedBytes(await keeper.write(from.bare, element)));
      }
      await documents.change(from.bare, "private", changes);
      return undefined;
    }
    async function checkRoom(user: string, changes: ReadonlyMap<string, Buffer>) {
      const kept = await documents.list(user, "private");
      const all = new Map([...kept.map(({ key, value }) => [key, value] as const), ...changes]);
      let bytes = 0;
      for (const [key, value] of all) bytes += Buffer.byteLength(key) + value.length;
      if (bytes <= bytesMax) return;
      throw new StanzaError(
        "resource-constraint",
        `Cannot keep elements: more than ${bytesMax} bytes`,
      );
    }
    const refuse = () => {
      throw new StanzaError("forbidden"); // Nobody else's.
    };
    const storage: PrivateStorageService = {
      keepElsewhere: (name, namespace, keeper) => keepers.set(`${namespace} ${name}`, keeper),
    };
    return [
      service("private", storage),
      iq.get("self", NS, "query", get),
      iq.set("self", NS, "query", set),
      iq.get("another", NS, "query", refuse),
      iq.set("another", NS, "query", refuse),
    ];
  },
});
