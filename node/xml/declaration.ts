/** The XML declaration that may begin a stream (XML 1.0, 2.8 [23]). */
import { XmlError } from "./errors.ts";

const DECLARATION = new RegExp(
  "^<\\?xml[ \\t\\r\\n]+version[ \\t\\r\\n]*=[ \\t\\r\\n]*(?:'1\\.[0-9]+'|\"1\\.[0-9]+\")" +
    "(?:[ \\t\\r\\n]+encoding[ \\t\\r\\n]*=[ \\t\\r\\n]*" +
    "(?:'([A-Za-z][A-Za-z0-9._-]*)'|\"([A-Za-z][A-Za-z0-9._-]*)\"))?" +
    "(?:[ \\t\\r\\n]+standalone[ \\t\\r\\n]*=[ \\t\\r\\n]*(?:'(?:yes|no)'|\"(?:yes|no)\"))?" +
    "[ \\t\\r\\n]*\\?>$",
);

/**
 * @param bytes from "<?" to "?>"
 * @throws XmlError: unsupported-encoding for any encoding but UTF-8 (RFC 6120, 11.6),
 *   restricted-xml for another processing instruction, not-well-formed otherwise
 */
export function checkDeclaration(bytes: Buffer): void {
  const text = bytes.toString("latin1");
  if (!/^<\?xml[ \t\r\n]/.test(text)) {
    throw new XmlError("restricted-xml", "a processing instruction is not allowed");
  }
  const match = DECLARATION.exec(text);
  if (match === null) throw new XmlError("not-well-formed", "a bad XML declaration");
  const encoding = match[1] ?? match[2];
  if (encoding !== undefined && encoding.toLowerCase() !== "utf-8") {
    throw new XmlError("unsupported-encoding", "the stream is not declared to be in UTF-8");
  }
}
