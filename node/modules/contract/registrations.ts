/** What a module may register besides what the router knows: discovery, commands, features of streams. */
import type { IqRequest as Request } from "../../router/iq.ts";
import type { BoundNote, InlineFeature } from "../../session/contract.ts";
import type { Field, FilledForm, Heading } from "../../stanza/form.ts";
import type { Jid } from "../../stanza/jid.ts";
import type { Element } from "../../xml/element.ts";

/** XEP-0030, 3: what an entity is. */
export interface Identity {
  readonly category: string;
  readonly type: string;
  readonly name?: string;
}

/** What service discovery says of the server or of accounts, besides the modules' `features`. */
export interface DiscoRegistration {
  readonly kind: "disco";
  readonly target: "server" | "account";
  readonly identities?: readonly Identity[];
  /** For this target alone; a module's `features` are for both. */
  readonly features?: readonly string[];
  /** XEP-0128: more about the entity itself. */
  readonly forms?: () => readonly Element[];
  /** What a node says of itself, the children of the answer; undefined: it is not here. */
  readonly info?: (request: Request, node: string) => DiscoAnswer;
  /** The items of a node, or of the entity itself for ""; undefined: it is not here. */
  readonly items?: (request: Request, node: string) => DiscoAnswer;
}

type DiscoAnswer = readonly Element[] | undefined | Promise<readonly Element[] | undefined>;

export const disco = (
  target: DiscoRegistration["target"],
  said: Omit<DiscoRegistration, "kind" | "target">,
): DiscoRegistration => ({ kind: "disco", target, ...said });

/** An element among the features of a stream whose client has logged in. */
export interface AnnounceRegistration {
  readonly kind: "announce";
  /** Asked once, when every module is set up. */
  readonly element: () => Element;
}

export const announce = (element: AnnounceRegistration["element"]): AnnounceRegistration => ({
  kind: "announce",
  element,
});

/** A feature that a client may ask for while its resource is bound (XEP-0386). */
export interface InlineRegistration extends InlineFeature {
  readonly kind: "inline";
}

export const inline = (ns: string, enable: InlineFeature["enable"]): InlineRegistration => ({
  kind: "inline",
  ns,
  enable,
});

/** XEP-0050: something that is done by filling in at most one form. */
export interface CommandRegistration {
  readonly kind: "command";
  /** Its node in service discovery. */
  readonly node: string;
  readonly name: string;
  readonly access: "administrators" | "users";
  /** What is filled in first; a command without is done at once. */
  readonly form?: CommandForm;
  /** @throws StanzaError, which is the answer */
  readonly run: (given: CommandGiven) => CommandDone | Promise<CommandDone>;
}

export interface CommandForm extends Heading {
  readonly formType: string;
  readonly fields: readonly Field[];
}

export interface CommandGiven {
  readonly from: Jid;
  readonly fields: FilledForm["fields"];
}

export interface CommandDone {
  /** For people. */
  readonly note?: string;
  readonly result?: readonly Field[];
}

export const command = (
  node: string,
  declared: Omit<CommandRegistration, "kind" | "node">,
): CommandRegistration => ({ kind: "command", node, ...declared });

/** Told in `<bound/>` to every client whose resource is bound by XEP-0386; undefined: nothing. */
export interface BoundNoteRegistration extends BoundNote {
  readonly kind: "bound-note";
}

export const boundNote = (describe: BoundNote["describe"]): BoundNoteRegistration => ({
  kind: "bound-note",
  describe,
});
