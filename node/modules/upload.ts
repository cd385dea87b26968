/**
 * XEP-0363 HTTP File Upload: slots for files, within the limits of one file and of one user. What is
 * kept for a user is remembered beside the user's other data; the files themselves are in http/upload/.
 */
import { Unavailable } from "../base/errors.ts";
import { Locks } from "../base/locks.ts";
import { SENDING_MS } from "../http/upload/contract.ts";
import { mediaType } from "../http/upload/headers.ts";
import { formatDateTime } from "../stanza/delay.ts";
import { StanzaError } from "../stanza/error.ts";
import { formElement } from "../stanza/form.ts";
import { el } from "../xml/element.ts";
import type { Host, Request, Slot, Uploads } from "./contract.ts";
import { counter, defineModule, disco, iq } from "./contract.ts";

const NS = "urn:xmpp:http:upload:0";
const NAME_BYTES_MAX = 1_023;
/** When to try again a file that fits no empty store either: not soon. */
const FOREVER_MS = 31_536_000_000;

/** A file, or the place for one, as it is remembered. */
interface Kept {
  readonly bytes: number;
  /** It counts until then. */
  readonly untilMs: number;
  /** For a slot that is not used yet: until when the file would count. */
  readonly fileUntilMs?: number;
}

interface Wanted {
  readonly name: string;
  readonly bytes: number;
  readonly type: string;
}

/** A file that is still on its way when its slot is over must be found when it has arrived. */
const forgottenMs = ({ untilMs, fileUntilMs }: Kept): number =>
  fileUntilMs === undefined ? untilMs : untilMs + SENDING_MS;

const encoded = (kept: Kept): Buffer => Buffer.from(JSON.stringify(kept));
const decoded = (value: Buffer): Kept => JSON.parse(value.toString()) as Kept;

/** @throws StanzaError */
function wantedIn({ payload }: Request): Wanted {
  const { filename, size, "content-type": type = "" } = payload.attrs as Record<string, string>;
  if (filename === undefined || filename === "" || size === undefined) {
    throw new StanzaError("bad-request", "Cannot give a slot: no name or size given");
  }
  if (Buffer.byteLength(filename) > NAME_BYTES_MAX) {
    throw new StanzaError("not-acceptable", "Cannot give a slot: the name is too long");
  }
  if (!/^\d{1,15}$/.test(size) || Number(size) === 0) {
    throw new StanzaError("bad-request", "Cannot give a slot: the size is no number of bytes");
  }
  return { name: filename, bytes: Number(size), type: mediaType(type) };
}

class Slots {
  readonly #host: Host;
  readonly #uploads: Uploads;
  /** By user: what is there is read and added to in one go, or clients together get too much. */
  readonly #locks = new Locks();

  constructor(host: Host, uploads: Uploads) {
    this.#host = host;
    this.#uploads = uploads;
    uploads.watch((user, id) => this.#stored(user, id));
  }

  async give(request: Request): Promise<Slot> {
    const { from, to } = request;
    const { domains, isGuest } = this.#host;
    if (!domains.includes(from.domain) || isGuest(from)) throw new StanzaError("not-allowed");
    const wanted = wantedIn(request);
    const { fileBytesMax } = this.#uploads.limits;
    if (wanted.bytes > fileBytesMax) {
      const limit = el("max-file-size", {}, String(fileBytesMax));
      throw new StanzaError("not-acceptable", `Cannot give a slot: ${fileBytesMax} bytes at most`, {
        application: el("file-too-large", { xmlns: NS }, limit),
      });
    }
    return await this.#locks.run(from.bare, () => this.#take(from.bare, to.domain, wanted));
  }

  async #take(user: string, domain: string, wanted: Wanted): Promise<Slot> {
    const over = await this.#makeRoom(user, wanted.bytes);
    const slot = await this.#uploads.slot({ ...wanted, user, domain });
    const { slotUntilMs, fileUntilMs } = slot;
    const { bytes } = wanted;
    const kept = this.#uploads.tellsOfFiles
      ? { bytes, untilMs: slotUntilMs, fileUntilMs }
      : { bytes, untilMs: fileUntilMs };
    const changes = new Map<string, Buffer | undefined>(over.map((id) => [id, undefined]));
    changes.set(slot.id, encoded(kept));
    await this.#host.documents.change(user, "upload", changes);
    return slot;
  }

  /** Names of what does not count any more. @throws StanzaError when there is no room */
  async #makeRoom(user: string, bytes: number): Promise<readonly string[]> {
    const nowMs = this.#host.clock.nowMs();
    const all = (await this.#host.documents.list(user, "upload")).map(({ key, value }) => ({
      ...decoded(value),
      id: key,
    }));
    const counting = all.filter(({ untilMs }) => untilMs > nowMs);
    const sum = counting.reduce((total, kept) => total + kept.bytes, bytes);
    const { userBytesMax, userFilesMax } = this.#uploads.limits;
    if (sum <= userBytesMax && counting.length < userFilesMax) {
      return all.filter((kept) => forgottenMs(kept) <= nowMs).map(({ id }) => id);
    }
    const first = Math.min(nowMs + FOREVER_MS, ...counting.map(({ untilMs }) => untilMs));
    throw new StanzaError("resource-constraint", "Cannot give a slot: no room for more files", {
      application: el("retry", { xmlns: NS, stamp: formatDateTime(first) }),
    });
  }

  /** A slot was used: from now on the file counts. */
  async #stored(user: string, id: string): Promise<void> {
    const { documents, log } = this.#host;
    try {
      const value = await documents.get(user, "upload", id);
      const kept = value === undefined ? undefined : decoded(value);
      if (kept?.fileUntilMs === undefined) return;
      const counts = encoded({ bytes: kept.bytes, untilMs: kept.fileUntilMs });
      await documents.change(user, "upload", new Map([[id, counts]]));
    } catch (error) {
      if (!(error instanceof Unavailable)) throw error;
      log.warn({ err: error }, "cannot count an uploaded file"); // It is there nevertheless.
    }
  }
}

export const upload = defineModule({
  name: "upload",
  about: "Slots for files that users send each other by HTTP; see the section upload.",
  implements: [{ xep: 363, version: "1.1.0" }],
  metrics: {
    slots: counter("Slots for files that were given."),
    refused: counter("Slots for files that were refused."),
  },
  setup({ counts, ...host }) {
    const { uploads } = host;
    if (uploads === undefined) return [];
    const slots = new Slots(host, uploads);
    const limit = { name: "max-file-size", values: [String(uploads.limits.fileBytesMax)] };
    async function give(request: Request) {
      try {
        const { putUrl, putHeaders, getUrl } = await slots.give(request);
        counts.slots += 1;
        const headers = Object.entries(putHeaders).map(([name, value]) =>
          el("header", { name }, value),
        );
        return el("slot", { xmlns: NS }, [
          el("put", { url: putUrl }, headers),
          el("get", { url: getUrl }),
        ]);
      } catch (error) {
        if (error instanceof StanzaError) counts.refused += 1;
        throw error;
      }
    }
    return [
      disco("server", {
        identities: [{ category: "store", type: "file", name: "HTTP File Upload" }],
        features: [NS],
        forms: () => [formElement("result", NS, [limit])],
      }),
      iq.get("server", NS, "request", give),
    ];
  },
});
