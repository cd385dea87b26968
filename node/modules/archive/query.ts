/** XEP-0313, section 4: what a client asks its archive for. Pure. */
import { StanzaError } from "../../stanza/error.ts";
import type { FilledForm } from "../../stanza/form.ts";
import { formElement, formIn } from "../../stanza/form.ts";
import { Jid, JidError } from "../../stanza/jid.ts";
import { RSM_NS, readPageRequest } from "../../stanza/rsm.ts";
import { idFrom } from "../../stores/archive-id.ts";
import type { Element } from "../../xml/element.ts";
import { el } from "../../xml/element.ts";
import { child } from "../../xml/names.ts";
import { MAM_NS } from "./rules.ts";

export interface ArchiveQuery {
  readonly queryId: string | undefined;
  /** Bounds by time, as ids: from the first on, up to and without the second. */
  readonly from: string | undefined;
  readonly before: string | undefined;
  readonly with: Jid | undefined;
  /** Messages that must be in the archive, and that the answer lies between. */
  readonly afterIds: readonly string[];
  readonly beforeIds: readonly string[];
  /** Only these, which must be in the archive; undefined: any. */
  readonly ids: readonly string[] | undefined;
  readonly max: number | undefined;
  /** Of what matches, the page at this end. */
  readonly end: "first" | "last";
  readonly isFlipped: boolean;
}

/** XEP-0082, section 3.2; a leap second is the moment after it. */
const DATE_TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)$/;

const TYPES: Readonly<Record<string, string>> = {
  with: "jid-single",
  start: "text-single",
  end: "text-single",
  "before-id": "text-single",
  "after-id": "text-single",
  ids: "list-multi",
  "include-groupchat": "boolean",
};

/** The form of all that can be asked for (4.1.5). */
export function queryForm(): Element {
  const fields = Object.entries(TYPES).map(([name, type]) => ({ name, type, values: [] }));
  const form = formElement("form", MAM_NS, fields);
  const ids = form.getChildElements().find(({ attrs }) => attrs.var === "ids");
  // Any id may be named, and none is listed.
  ids?.cnode(
    el(
      "validate",
      { xmlns: "http://jabber.org/protocol/xdata-validate", datatype: "xs:string" },
      el("open"),
    ),
  );
  return el("query", { xmlns: MAM_NS }, form);
}

/** @throws StanzaError `bad-request`, `jid-malformed` or `feature-not-implemented` */
export function readQuery(query: Element): ArchiveQuery {
  if (query.attrs.node !== undefined) {
    // XEP-0442, 2: the archive of a node. The user's own is no answer to that.
    throw new StanzaError("feature-not-implemented", "Nodes have no archives");
  }
  const fields = fieldsOf(query);
  const one = (name: string): string | undefined => {
    const values = fields.get(name) ?? [];
    if (values.length > 1) throw new StanzaError("bad-request", `${name} has several values`);
    return values[0];
  };
  const [start, end, peer] = [one("start"), one("end"), one("with")];
  checkBoolean(one("include-groupchat"));
  const set = child(query, "set", RSM_NS);
  const page = set === undefined ? undefined : readPageRequest(set);
  if (page?.index !== undefined) {
    throw new StanzaError("feature-not-implemented", "Pages are asked for by id, not by index");
  }
  const { after, before, max } = page ?? {};
  if (after !== undefined && before !== undefined && before !== "") {
    throw new StanzaError("bad-request", "A page is either before or after a message");
  }
  return {
    queryId: typeof query.attrs.queryid === "string" ? query.attrs.queryid : undefined,
    from: start === undefined ? undefined : idFrom(timeIn("start", start)),
    before: end === undefined ? undefined : idFrom(Math.floor(timeIn("end", end)) + 1),
    with: peer === undefined ? undefined : addressIn(peer),
    afterIds: present(one("after-id"), after),
    beforeIds: present(one("before-id"), before === "" ? undefined : before),
    ids: idsIn(fields),
    max,
    end: before === undefined ? "first" : "last",
    isFlipped: child(query, "flip-page", MAM_NS) !== undefined,
  };
}

/** A field that was sent back as it was offered, without a value, asks for nothing. */
function idsIn(fields: FilledForm["fields"]): readonly string[] | undefined {
  const ids = fields.get("ids");
  return ids?.length === 0 ? undefined : ids;
}

const present = (...ids: readonly (string | undefined)[]): readonly string[] =>
  ids.filter((id) => id !== undefined);

function fieldsOf(query: Element): FilledForm["fields"] {
  const form = formIn(query);
  if (form === undefined) return new Map();
  if (form.type !== "submit" || form.formType !== MAM_NS) {
    throw new StanzaError("bad-request", `The form must be a submitted one of ${MAM_NS}`);
  }
  for (const name of form.fields.keys()) {
    if (!Object.hasOwn(TYPES, name)) {
      throw new StanzaError("feature-not-implemented", `The field ${name} is not known`);
    }
  }
  return form.fields;
}

function timeIn(name: string, said: string): number {
  const ms = DATE_TIME.test(said) ? Date.parse(said.replace(/:60(?=[.Z+-])/, ":59")) : Number.NaN;
  if (Number.isNaN(ms)) throw new StanzaError("bad-request", `${name} is no date and time`);
  return ms;
}

function checkBoolean(said: string | undefined): void {
  if (said === undefined || ["0", "1", "false", "true"].includes(said)) return;
  throw new StanzaError("bad-request", "include-groupchat must be true or false");
}

function addressIn(said: string): Jid {
  try {
    return Jid.parse(said);
  } catch (error) {
    if (error instanceof JidError) throw new StanzaError("jid-malformed", error.message);
    throw error;
  }
}
