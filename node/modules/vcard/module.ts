/**
 * XEP-0054 vcard-temp: what users say about themselves, for everybody to read. The hash of the
 * picture is kept beside the card, so that presence needs no picture.
 */
import { integer } from "../../config/options.ts";
import { StanzaError } from "../../stanza/error.ts";
import { detachedBytes } from "../../xml/detached.ts";
import type { Element } from "../../xml/element.ts";
import { el } from "../../xml/element.ts";
import { parseElement } from "../../xml/parser.ts";
import type { Host, Photo, Request, VcardService } from "../contract.ts";
import { defineModule, iq, service } from "../contract.ts";
import { photoOf, VCARD_NS } from "./photo.ts";

const CARD = "card";
const PHOTO_HASH = "photo-hash";

type Watcher = (user: string, photo: Photo | undefined) => void | Promise<void>;

class Vcards implements VcardService {
  readonly #documents: Host["documents"];
  readonly #bytesMax: number;
  readonly #watchers: Watcher[] = [];

  constructor(documents: Host["documents"], bytesMax: number) {
    this.#documents = documents;
    this.#bytesMax = bytesMax;
  }

  async read(user: string): Promise<Element | undefined> {
    const kept = await this.#documents.get(user, "vcard", CARD);
    return kept === undefined ? undefined : parseElement(kept);
  }

  async photoHash(user: string): Promise<string> {
    return (await this.#documents.get(user, "vcard", PHOTO_HASH))?.toString() ?? "";
  }

  async write(user: string, vcard: Element): Promise<void> {
    const bytes = detachedBytes(vcard);
    if (bytes.length > this.#bytesMax) {
      const why = `more than ${this.#bytesMax} bytes`;
      throw new StanzaError("resource-constraint", `Cannot keep the vCard: ${why}`, {
        type: "modify",
      });
    }
    const photo = photoOf(vcard);
    const before = await this.photoHash(user);
    const changes = new Map([
      [CARD, bytes],
      [PHOTO_HASH, Buffer.from(photo?.hash ?? "")],
    ]);
    await this.#documents.change(user, "vcard", changes);
    if (before === (photo?.hash ?? "")) return;
    for (const watcher of this.#watchers) await watcher(user, photo);
  }

  watch(watcher: Watcher): void {
    this.#watchers.push(watcher);
  }
}

export const vcard = defineModule({
  name: "vcard",
  about: "What users say about themselves, with a picture.",
  provides: ["vcard"],
  features: [VCARD_NS],
  implements: [{ xep: 54, version: "1.3" }],
  options: {
    bytesMax: integer({
      about: "Size of one vCard.",
      default: 200_000,
      min: 1_024,
      max: 8_000_000,
    }),
  },
  setup({ documents }, { bytesMax }) {
    const vcards = new Vcards(documents, bytesMax);
    async function own({ from }: Request) {
      return (await vcards.read(from.bare)) ?? el("vCard", { xmlns: VCARD_NS });
    }
    async function another({ to }: Request) {
      const found = await vcards.read(to.bare);
      // 3.3: as for an account that does not exist, so that nobody can find out which do.
      if (found === undefined) throw new StanzaError("service-unavailable");
      return found;
    }
    async function set({ from, payload }: Request) {
      await vcards.write(from.bare, payload);
      return undefined;
    }
    const refuse = () => {
      throw new StanzaError("forbidden"); // 3.2: nobody else's.
    };
    return [
      service("vcard", vcards),
      iq.get("self", VCARD_NS, "vCard", own),
      iq.get("account", VCARD_NS, "vCard", another),
      iq.set("self", VCARD_NS, "vCard", set),
      iq.set("another", VCARD_NS, "vCard", refuse),
    ];
  },
});
