/** XEP-0077 before login: making an account on the stream that will log in to it. */
import { hash } from "node:crypto";
import { userOf } from "../auth/lookup.ts";
import { Unavailable } from "../base/errors.ts";
import type { Challenge } from "../guard/captcha.ts";
import type { Field } from "../stanza/form.ts";
import { formElement, formIn } from "../stanza/form.ts";
import { NS_REGISTER } from "../stream/namespaces.ts";
import type { ParsedStanza } from "../xml/contract.ts";
import { el } from "../xml/element.ts";
import { child, text } from "../xml/names.ts";
import { serialize } from "../xml/write.ts";
import type { Registration } from "./door-context.ts";
import { iqError, iqResult, isRequest } from "./replies.ts";

const FORM =
  `<query xmlns='${NS_REGISTER}'><instructions>Choose a username and a password.</instructions>` +
  "<username/><password/></query>";

const CHALLENGE_HEADING = {
  title: "Create an account",
  instructions: "Choose a username and a password, and type the letters of the picture.",
};

/** Whether it is a request this file answers. */
export const isRegistration = (stanza: ParsedStanza): boolean =>
  isRequest(stanza, "any", NS_REGISTER, "query");

/** XEP-0158: the form with a picture in it, which comes along (XEP-0221, XEP-0231). */
function challengeForm({ id, image, width, height }: Challenge): string {
  const cid = `sha1+${hash("sha1", image)}@bob.xmpp.org`;
  const asked = (name: string, type: string, label: string): Field => ({
    ...{ name, type, label, values: [], isRequired: true },
  });
  const fields: Field[] = [
    asked("username", "text-single", "Username"),
    asked("password", "text-private", "Password"),
    { name: "challenge", type: "hidden", values: [id] },
    asked("ocr", "text-single", "The letters of the picture"),
  ];
  const form = formElement("form", NS_REGISTER, fields, CHALLENGE_HEADING);
  const uri = el("uri", { type: "image/png" }, `cid:${cid}`);
  const size = { width: String(width), height: String(height) };
  const [ocr] = form.getChildrenByAttr("var", "ocr");
  ocr?.cnode(el("media", { xmlns: "urn:xmpp:media-element", ...size }, uri));
  const data = el(
    "data",
    { xmlns: "urn:xmpp:bob", cid, type: "image/png", "max-age": "0" },
    image.toString("base64"),
  );
  const instructions = el("instructions", {}, CHALLENGE_HEADING.instructions);
  return serialize(el("query", { xmlns: NS_REGISTER }, instructions, form, data));
}

/** What the client filled in: a data form, or the fields of old. */
function filledIn(stanza: ParsedStanza): (name: string) => string | undefined {
  const query = child(stanza.element(), "query", NS_REGISTER);
  const form = query === undefined ? undefined : formIn(query);
  if (form !== undefined) return (name) => form.fields.get(name)?.[0];
  return (name) => {
    const found = query === undefined ? undefined : child(query, name, NS_REGISTER);
    return found === undefined ? undefined : text(found);
  };
}

/** The store may be away, which is no reason to lose the connection. */
async function registered(
  registration: Registration,
  ...account: Parameters<Registration["register"]>
) {
  try {
    return await registration.register(...account);
  } catch (error) {
    if (error instanceof Unavailable) return "unavailable";
    throw error;
  }
}

/**
 * The answer to a registration request.
 * @param domain the stream's domain, prepared
 * @param address the client's network address, for limits
 */
export async function answerRegistration(
  registration: Registration,
  stanza: ParsedStanza,
  domain: string,
  address: string,
): Promise<Buffer> {
  const { to, type } = stanza.attributes;
  if (to !== undefined && to.toLowerCase() !== domain) {
    return iqError(stanza, "cancel", "service-unavailable");
  }
  const { captchas } = registration;
  if (type === "get") {
    if (captchas === undefined) return iqResult(stanza, FORM);
    const challenge = captchas.make(address);
    if (challenge === undefined) return iqError(stanza, "wait", "resource-constraint");
    return iqResult(stanza, challengeForm(challenge));
  }
  const given = filledIn(stanza);
  const [username, password] = [given("username"), given("password")];
  // XEP-0077, 3.1.1: what is required and missing, or cannot be, is "not acceptable".
  const user = username === undefined ? undefined : userOf(username, domain);
  if (user === undefined || !password) return iqError(stanza, "modify", "not-acceptable");
  // Last of all, since an answer is good for one attempt only.
  const isSolved = captchas?.solve(given("challenge") ?? "", given("ocr") ?? "") ?? true;
  if (!isSolved) return iqError(stanza, "modify", "not-acceptable");
  const outcome = await registered(registration, user.bare, password, address);
  switch (outcome) {
    case "unavailable":
      return iqError(stanza, "wait", "resource-constraint");
    case "created":
      return iqResult(stanza);
    case "exists":
      return iqError(stanza, "cancel", "conflict");
    case "refused":
      return iqError(stanza, "auth", "not-allowed");
    default:
      return outcome satisfies never;
  }
}
