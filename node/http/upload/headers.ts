/** What is said about a file that anybody may have uploaded: it must not act as a page of ours. */

/** Shown in place; everything else is offered for saving. */
const SHOWN = /^(image\/(avif|gif|jpeg|png|webp)|audio\/[\w.+-]+|video\/[\w.+-]+)$/;
const MEDIA_TYPE = /^[\w!#$&^.+-]{1,100}\/[\w!#$&^.+-]{1,100}$/;

/** Types that are shown, by the ending of a name. */
const ENDINGS: Readonly<Record<string, string>> = {
  avif: "image/avif",
  gif: "image/gif",
  jpeg: "image/jpeg",
  jpg: "image/jpeg",
  m4a: "audio/mp4",
  mp3: "audio/mpeg",
  mp4: "video/mp4",
  oga: "audio/ogg",
  ogg: "audio/ogg",
  opus: "audio/ogg",
  png: "image/png",
  webm: "video/webm",
  webp: "image/webp",
};

/** "" for an ending that is not shown. */
export function typeByEnding(name: string): string {
  const ending = name.slice(name.lastIndexOf(".") + 1).toLowerCase();
  return (Object.hasOwn(ENDINGS, ending) ? ENDINGS[ending] : "") ?? "";
}

/** The type itself, without parameters, in lower case; "" for what is none. */
export function mediaType(said: string): string {
  const [type = ""] = said.split(";", 1);
  const trimmed = type.trim().toLowerCase();
  return MEDIA_TYPE.test(trimmed) ? trimmed : "";
}

/** For every answer: web pages of others may read it, no browser may run it. */
export const COMMON: Readonly<Record<string, string>> = {
  "access-control-allow-origin": "*",
  "access-control-allow-methods": "GET, HEAD, PUT, OPTIONS",
  "access-control-allow-headers": "Content-Type, Range",
  "access-control-expose-headers": "Content-Length, Content-Range",
  "access-control-max-age": "86400",
  "content-security-policy": "default-src 'none'; frame-ancestors 'none'; sandbox",
  "cross-origin-resource-policy": "cross-origin",
  "referrer-policy": "no-referrer",
  "x-content-type-options": "nosniff",
};

export function fileHeaders(type: string): Readonly<Record<string, string>> {
  const isShown = SHOWN.test(type);
  return {
    "content-type": isShown ? type : "application/octet-stream",
    // The name is the last part of the URL.
    "content-disposition": isShown ? "inline" : "attachment",
    "accept-ranges": "bytes",
    "cache-control": "public, max-age=31536000, immutable",
  };
}

export interface Part {
  readonly start: number;
  readonly end: number;
}

/**
 * The part that a Range header asks for, both ends inclusive; undefined for the whole file (several
 * parts, or what is no range, are answered with all of it); "none" where there is nothing.
 */
export function partOf(range: string | undefined, bytes: number): Part | "none" | undefined {
  const said = /^bytes=(\d{0,15})-(\d{0,15})$/.exec(range?.trim() ?? "");
  if (said === null) return undefined;
  const [, first = "", last = ""] = said;
  if (first === "" && last === "") return undefined;
  const start = first === "" ? Math.max(0, bytes - Number(last)) : Number(first);
  const end = first === "" || last === "" ? bytes - 1 : Math.min(Number(last), bytes - 1);
  return start > end || start >= bytes ? "none" : { start, end };
}
