/** Both sides of a message: whose archive gets it, and under which name its owner sees it. */
import type { Origin } from "../../router/origin.ts";
import type { Verdict } from "../../router/stages.ts";
import type { Jid } from "../../stanza/jid.ts";
import { ArchiveIds } from "../../stores/archive-id.ts";
import type { ClientSession, Envelope, Host } from "../contract.ts";
import { PASS, pass } from "../contract.ts";
import type { PreferencesOfUsers } from "./preferences.ts";
import { isArchived } from "./rules.ts";
import { withOwnId, withoutOwnIds } from "./stanza-ids.ts";
import type { Writer } from "./writer.ts";

type Answer = Verdict | Promise<Verdict>;

export class Keeper {
  readonly #host: Pick<Host, "router" | "isGuest">;
  readonly #writer: Writer;
  readonly #preferences: PreferencesOfUsers;
  readonly #ids = new ArchiveIds();

  constructor(
    host: Pick<Host, "router" | "isGuest">,
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
    return this.#ifWanted(clean, jid, clean.to, unchanged, () => {
      const id = this.#nameFor(origin);
      const accepted = this.#write(id, clean, jid, clean.to);
      return pass({ envelope: clean, own: withOwnId(clean, jid.bare, id), accepted });
    });
  }

  /** The recipient's archive gets it once it is delivered or stored: what is refused is not there. */
  inbound(envelope: Envelope, origin: Origin): Answer {
    const { to } = envelope;
    const clean = withoutOwnIds(envelope, to.bare);
    const unchanged = clean === envelope ? PASS : pass({ envelope: clean });
    return this.#ifWanted(clean, to, clean.from, unchanged, () => {
      const id = this.#nameFor(origin);
      const taken = () => this.#write(id, clean, to, clean.from);
      return pass({ envelope: withOwnId(clean, to.bare, id), taken });
    });
  }

  #ifWanted(
    envelope: Envelope,
    owner: Jid,
    peer: Jid,
    unchanged: Verdict,
    archive: () => Verdict,
  ): Answer {
    if (!isArchived(envelope) || this.#host.isGuest(owner)) return unchanged;
    const isWanted = this.#preferences.wants(owner.bare, peer);
    if (typeof isWanted === "boolean") return isWanted ? archive() : unchanged;
    return isWanted.then((is) => (is ? archive() : unchanged));
  }

  #nameFor({ session, count }: Origin): string {
    return this.#ids.next(this.#host.router.nowMs(), `${session} ${count}`);
  }

  #write(id: string, { bytes }: Envelope, owner: Jid, peer: Jid): Promise<void> {
    const message = { id, peer: peer.bare, resource: peer.resource, bytes };
    return this.#writer.write(owner.bare, message);
  }
}
