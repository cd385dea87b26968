/**
 * XEP-0084 user avatars and the picture of XEP-0054 are one (XEP-0398): what is published in one
 * place appears in the other, and its hash in the presence of every client (XEP-0153).
 */
import type { Logger } from "../base/log.ts";
import { restoreEnvelope } from "../stanza/envelope.ts";
import type { Element } from "../xml/element.ts";
import { el } from "../xml/element.ts";
import { child, children, localName, ns, text } from "../xml/names.ts";
import { toBytes } from "../xml/write.ts";
import type {
  ClientSession,
  Envelope,
  Host,
  PepChange,
  PepService,
  Photo,
  PresenceService,
  VcardService,
} from "./contract.ts";
import { carried, defineModule, disco } from "./contract.ts";

const DATA = "urn:xmpp:avatar:data";
const METADATA = "urn:xmpp:avatar:metadata";
const VCARD = "vcard-temp";
const UPDATE = "vcard-temp:x:update";
/** Of a session: the hash that its presence has, or NONE_SAID; undefined before its first presence. */
const STATE = "avatars";
/** Its client says that there is no picture. */
const NONE_SAID = null;

interface Parts {
  readonly pep: PepService;
  readonly vcard: VcardService;
  readonly presence: PresenceService;
  readonly sessions: Host["sessions"];
  readonly log: Logger;
}

class Avatars {
  readonly #parts: Parts;

  constructor(parts: Parts) {
    this.#parts = parts;
  }

  /** A client published what its user's avatar is, or removed it. */
  async published({ user, published }: PepChange): Promise<void> {
    const { pep, vcard } = this.#parts;
    const metadata = published ?? (await pep.items(user, METADATA))?.at(-1);
    const infos =
      metadata?.payload === undefined ? [] : children(metadata.payload, "info", METADATA);
    const hash = await vcard.photoHash(user);
    if (infos.some(({ attrs }) => attrs.id === hash)) return;
    if (infos.length === 0) {
      if (hash !== "") await this.#setPhoto(user, undefined);
      return;
    }
    const data = (await pep.items(user, DATA)) ?? [];
    for (const { attrs } of infos) {
      // What is somewhere on the web is no picture for a vCard.
      const found = attrs.url === undefined && data.find(({ id }) => id === attrs.id);
      if (!found || found.payload === undefined) continue;
      const [type, encoded] = [String(attrs.type ?? ""), text(found.payload)];
      return await this.#setPhoto(
        user,
        el("PHOTO", {}, el("TYPE", {}, type), el("BINVAL", {}, encoded)),
      );
    }
  }

  async #setPhoto(user: string, photo: Element | undefined): Promise<void> {
    const { vcard } = this.#parts;
    const card = await vcard.read(user);
    const rest = card === undefined ? [] : children(card);
    const others = rest.filter((one) => localName(one) !== "PHOTO" || ns(one) !== VCARD);
    await vcard.write(user, el("vCard", { xmlns: VCARD }, others, photo));
  }

  /** A client changed the picture in its user's vCard. */
  async cardChanged(user: string, photo: Photo | undefined): Promise<void> {
    try {
      await this.#publishPhoto(user, photo);
    } catch (error) {
      this.#parts.log.warn({ err: error }, "cannot publish the picture of a vCard");
    }
    for (const session of this.#parts.sessions().ofUser(user)) this.refresh(session);
  }

  async #publishPhoto(user: string, photo: Photo | undefined): Promise<void> {
    const { pep } = this.#parts;
    const last = (await pep.items(user, METADATA))?.at(-1)?.payload;
    const known = last === undefined ? [] : children(last, "info", METADATA);
    if (photo === undefined) {
      if (known.length === 0) return;
      return await pep.publish(user, METADATA, { id: "none", payload: metadataOf([]) });
    }
    const { hash: id, bytes } = photo;
    if (known.some(({ attrs }) => attrs.id === id)) return;
    const data = el("data", { xmlns: DATA }, bytes.toString("base64"));
    await pep.publish(user, DATA, { id, payload: data });
    const info = el("info", { id, bytes: String(bytes.length), type: typeOf(photo) });
    await pep.publish(user, METADATA, { id, payload: metadataOf([info]) });
  }

  /** The session's user may have another picture: presence says so once. */
  refresh(session: ClientSession): void {
    const known = session.state.get(STATE);
    if (known === undefined || known === NONE_SAID) return;
    const renew = async () => {
      const hash = await this.#parts.vcard.photoHash(session.jid.bare);
      if (session.state.get(STATE) === hash) return;
      session.state.set(STATE, hash);
      await this.#parts.presence.renew(session);
    };
    renew().catch((error: unknown) => {
      this.#parts.log.warn({ err: error }, "cannot tell of a new picture");
    });
  }

  /** XEP-0398, 4: the hash goes into what its client says, unless that is that there is none. */
  decorate(
    session: ClientSession,
    presence: Envelope,
    isAgain: boolean,
  ): Envelope | Promise<Envelope> {
    const isForAll = presence.to.full === session.jid.bare;
    // What is told again is empty because there was no picture.
    if (!isAgain && photosIn(presence).includes("")) {
      if (isForAll) session.state.set(STATE, NONE_SAID);
      return presence;
    }
    const known = session.state.get(STATE);
    if (typeof known === "string") return withPhoto(presence, known);
    return this.#parts.vcard.photoHash(session.jid.bare).then((hash) => {
      if (isForAll || known === undefined) session.state.set(STATE, hash);
      return withPhoto(presence, hash);
    });
  }
}

const metadataOf = (infos: readonly Element[]): Element =>
  el("metadata", { xmlns: METADATA }, infos);

const isUpdate = (one: { name: string; ns: string }) => one.name === "x" && one.ns === UPDATE;

/** What presence says of the picture: "" for none, undefined where it says nothing. */
function photosIn(presence: Envelope): readonly (string | undefined)[] {
  if (!presence.children.some(isUpdate)) return [];
  const photos = children(presence.element(), "x", UPDATE).map((x) => child(x, "photo", UPDATE));
  return photos.map((photo) => photo && text(photo));
}

/** With the hash of the account's picture, whatever the client thinks it is. */
function withPhoto(presence: Envelope, hash: string): Envelope {
  const said = photosIn(presence);
  if (said.length === 0 && hash === "") return presence;
  if (said.length === 1 && said[0] === hash) return presence;
  const element = presence.element();
  const update = el("x", { xmlns: UPDATE }, el("photo", {}, hash));
  const kept = element.children.filter(
    (one) => typeof one === "string" || localName(one) !== "x" || ns(one) !== UPDATE,
  );
  const { name, attrs } = element;
  const { kind, type, id, from, to, receivedMs } = presence;
  return restoreEnvelope({
    ...{ kind, type, id, from, to, receivedMs },
    bytes: toBytes({ name, attrs, children: [...kept, update] }),
    children: [...presence.children.filter((one) => !isUpdate(one)), { name: "x", ns: UPDATE }],
  });
}

/** The media type of a picture that does not say it. */
function typeOf({ type, bytes }: Photo): string {
  if (type !== "") return type;
  if (bytes.subarray(0, 3).equals(Buffer.from([0xff, 0xd8, 0xff]))) return "image/jpeg";
  if (bytes.subarray(0, 4).toString("latin1") === "GIF8") return "image/gif";
  if (bytes.subarray(8, 12).toString("latin1") === "WEBP") return "image/webp";
  return "image/png";
}

export const avatars = defineModule({
  name: "avatars",
  about: "The picture of a user, the same wherever clients look for it.",
  needs: ["pep", "presence", "vcard"],
  implements: [
    { xep: 84, version: "1.1.4" },
    { xep: 153, version: "1.1" },
    { xep: 398, version: "1.0.0" },
  ],
  setup({ pep, presence, vcard, sessions, log }) {
    const pictures = new Avatars({ pep, presence, vcard, sessions, log });
    pep.watch(METADATA, (change) => pictures.published(change));
    pep.watchSessions(METADATA, (session) => pictures.refresh(session));
    vcard.watch((user, photo) => pictures.cardChanged(user, photo));
    presence.decorate((...presented) => pictures.decorate(...presented));
    return [
      disco("account", { features: ["urn:xmpp:pep-vcard-conversion:0"] }),
      carried<unknown>(
        STATE,
        (hash) => hash,
        (hash: unknown) => hash,
      ),
    ];
  },
});
