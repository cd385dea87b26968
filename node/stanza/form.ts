/** XEP-0004 Data Forms with the FORM_TYPE of XEP-0068, both ways. */
import type { Element } from "../xml/element.ts";
import { el } from "../xml/element.ts";
import { child, children, text } from "../xml/names.ts";

export const FORM_NS = "jabber:x:data";
const FORM_TYPE = "FORM_TYPE";

/** A form that somebody filled in. */
export interface FilledForm {
  readonly type: string;
  /** "" when it says none. */
  readonly formType: string;
  /** Values by variable, without FORM_TYPE; a field without values is there and empty. */
  readonly fields: ReadonlyMap<string, readonly string[]>;
}

export interface Choice {
  readonly value: string;
  readonly label?: string;
}

/** One field of a form that the server writes. */
export interface Field {
  readonly name: string;
  readonly type?: string;
  readonly label?: string;
  readonly values: readonly string[];
  readonly choices?: readonly Choice[];
  readonly isRequired?: boolean;
}

/** What people read above the fields. */
export interface Heading {
  readonly title: string;
  readonly instructions?: string;
}

/** The first form in an element. */
export function formIn(element: Element): FilledForm | undefined {
  const form = child(element, "x", FORM_NS);
  return form === undefined ? undefined : readForm(form);
}

/** A variable that stands twice keeps its first field: later ones cannot change what was read. */
export function readForm(form: Element): FilledForm {
  const fields = new Map<string, readonly string[]>();
  for (const field of children(form, "field", FORM_NS)) {
    const name: unknown = field.attrs.var;
    if (typeof name !== "string" || fields.has(name)) continue;
    fields.set(name, children(field, "value", FORM_NS).map(text));
  }
  const [formType = ""] = fields.get(FORM_TYPE) ?? [];
  fields.delete(FORM_TYPE);
  const { type } = form.attrs;
  return { type: typeof type === "string" ? type : "", formType, fields };
}

/** A form to fill in, or one that tells (`type` "form", "result"). */
export function formElement(
  type: string,
  formType: string,
  fields: readonly Field[],
  heading?: Heading,
): Element {
  const hidden = { name: FORM_TYPE, type: "hidden", values: [formType] };
  return el("x", { xmlns: FORM_NS, type }, [
    heading && el("title", {}, heading.title),
    heading?.instructions === undefined ? undefined : el("instructions", {}, heading.instructions),
    ...[hidden, ...fields].map(fieldElement),
  ]);
}

const fieldElement = ({
  name,
  type,
  label,
  values,
  choices = [],
  isRequired = false,
}: Field): Element =>
  el("field", { var: name, type, label }, [
    isRequired ? el("required") : undefined,
    ...choices.map(({ value, label: said }) =>
      el("option", { label: said }, el("value", {}, value)),
    ),
    ...values.map((value) => el("value", {}, value)),
  ]);
