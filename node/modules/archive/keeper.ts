/** Both sides of a message: whose archive gets it, and under which name its owner sees it. */
import { Unavailable } from "../../base/errors.ts";
import type { Verdict } from "../../router/stages.ts";
import type { Jid } from "../../stanza/jid.ts";
import type { Origin } from "../../stanza/origin.ts";
import { ArchiveIds } from "../../stores/archive-id.ts";
import type { ClientSession, Envelope, Host } from "../contract.ts";
import { PASS, pass } from "../contract.ts";
import { namesOf } from "./once.ts";
import type { PreferencesOfUsers } from "./preferences.ts";
import { isArchived } from "./rules.ts";
import { withOwnId, withoutOwnIds } from "./stanza-ids.ts";
import type { Writer } from "./writer.ts";

type Answer = Verdict | Promise<Verdict>;

export class Keeper {
  readonly #host: Pick<Host, "router" | "archive" | "clock" | "isGuest">;
  readonly #writer: Writer;
  readonly #preferences: PreferencesOfUsers;
  readonly #ids = new ArchiveIds();

  constructor(
    host: Pick<Host, "router" | "archive" | "clock" | "isGuest">,
    writer: Writer,
    preferences: PreferencesOfUsers,
  ) {
    this.#host = host;
    this.#writer = writer;
    this.#preferences = preferences;
  }

  /** The sender's archive. What a user writes to itself is archived once, when it arrives. */
  outbound(envelope: Envelope, { jid }: ClientSession, origin: Origin): Answer {
    const clean = withoutOwnIds(envelope, jid.bare);
    const unchanged = clean === envelope ? PASS : pass({ envelope: clean });
    if (clean.to.bare === jid.bare) return unchanged;
    return this.#ifWanted(clean, jid, clean.to, unchanged, () =>
      this.#named(jid, clean, origin, (id) => {
        const accepted = this.#write(id, clean, jid, clean.to, origin);
        return pass({ envelope: clean, own: withOwnId(clean, jid.bare, id), accepted });
      }),
    );
  }

  /** The recipient's archive gets it once it is delivered or stored: what is refused is not there. */
  inbound(envelope: Envelope, origin: Origin): Answer {
    const { to } = envelope;
    const clean = withoutOwnIds(envelope, to.bare);
    const unchanged = clean === envelope ? PASS : pass({ envelope: clean });
    return this.#ifWanted(clean, to, clean.from, unchanged, () =>
      this.#named(to, clean, origin, (id) => {
        const taken = () => this.#write(id, clean, to, clean.from, origin);
        return pass({ envelope: withOwnId(clean, to.bare, id), taken });
      }),
    );
  }

  #ifWanted(
    envelope: Envelope,
    owner: Jid,
    peer: Jid,
    unchanged: Verdict,
    archive: () => Answer,
  ): Answer {
    if (!isArchived(envelope) || this.#host.isGuest(owner)) return unchanged;
    const isWanted = this.#preferences.wants(owner.bare, peer);
    if (typeof isWanted === "boolean") return isWanted ? archive() : unchanged;
    return isWanted.then((is) => (is ? archive() : unchanged));
  }

  /** The same message has the same name, be it sent again because a node died. */
  #named(
    { bare }: Jid,
    { receivedMs }: Envelope,
    origin: Origin,
    archive: (id: string) => Verdict,
  ): Answer {
    const { router } = this.#host;
    const id = this.#ids.next(router.nowMs(), `${origin.session} ${origin.count}`);
    if (!router.mayBeTwice(origin, receivedMs)) return archive(id);
    return namesOf(this.#host, bare, id).then(
      ([known = id]) => archive(known),
      (error: unknown) => {
        if (error instanceof Unavailable) return archive(id);
        throw error;
      },
    );
  }

  #write(
    id: string,
    { bytes, receivedMs }: Envelope,
    owner: Jid,
    peer: Jid,
    origin: Origin,
  ): Promise<void> {
    const message = { id, peer: peer.bare, resource: peer.resource, bytes };
    return this.#writer.write({ user: owner.bare, message, origin, receivedMs });
  }
}
