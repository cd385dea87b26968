/** RFC 4013 preparation of passwords. Its tables cost 12 MB, so they are loaded on first need. */

const PRINTABLE_ASCII = /^[\x20-\x7e]*$/;
const BYTES_MAX = 1_023;

/**
 * The prepared password, or undefined when it is empty, too long or holds what RFC 4013 forbids.
 */
export async function preparePassword(password: string): Promise<string | undefined> {
  if (password === "" || Buffer.byteLength(password) > BYTES_MAX) return undefined;
  if (PRINTABLE_ASCII.test(password)) return password;
  const { saslprep } = await import("@mongodb-js/saslprep");
  try {
    const prepared = saslprep(password);
    return prepared === "" ? undefined : prepared;
  } catch {
    return undefined; // The library throws a plain Error for each forbidden character.
  }
}
