/** The picture in a vCard (XEP-0054), and its name in presence (XEP-0153). */
import { hash } from "node:crypto";
import type { Element } from "../../xml/element.ts";
import { child, text } from "../../xml/names.ts";
import type { Photo } from "../contract.ts";

export const VCARD_NS = "vcard-temp";

/** Undefined for a vCard without a picture, or with one elsewhere (EXTVAL). */
export function photoOf(vcard: Element): Photo | undefined {
  const photo = child(vcard, "PHOTO", VCARD_NS);
  const encoded = photo && child(photo, "BINVAL", VCARD_NS);
  if (photo === undefined || encoded === undefined) return undefined;
  const bytes = Buffer.from(text(encoded), "base64"); // Lenient about white space, as it must be.
  if (bytes.length === 0) return undefined;
  const type = child(photo, "TYPE", VCARD_NS);
  return { type: type === undefined ? "" : text(type).trim(), bytes, hash: hash("sha1", bytes) };
}
