/**
 * What makes this tree's next release, N + 1: everything that a newer version may add and that this
 * one must read past. A change names a text that must be there once, so that none is lost unseen.
 */
export interface Change {
  /** Below node/. */
  readonly file: string;
  readonly from: string;
  readonly to: string;
}

/** A frame kind that no node of version N knows. */
export const UNKNOWN_KIND = 200;
/** What N + 1 logs when one was answered. */
export const TOLD = "unknown frame answered";

const extension = "Buffer.alloc(37, 0xee)";
const sendUnknown =
  `void link.request(${UNKNOWN_KIND} as FrameKind, Buffer.from("of the next")).catch(` +
  `({ message }: Error) => this.#settings.log.info({ reason: message }, "${TOLD}"));`;

export const CHANGES: readonly Change[] = [
  // It speaks one more version, and says more in its hello.
  { file: "mesh/hello.ts", from: "{ min: 1, max: 1 }", to: "{ min: 1, max: 2 }" },
  {
    file: "mesh/hello.ts",
    from: "Buffer.concat([MAGIC, head, name])",
    to: 'Buffer.concat([MAGIC, head, name, Buffer.from("and more")])',
  },
  // Every record of the router has something in its extension area, every answer a body.
  {
    file: "router/octets.ts",
    from: "return this.u16(0);",
    to: `return this.u16(37).rest(${extension});`,
  },
  { file: "router/arrivals.ts", from: "= Buffer.alloc(0)", to: '= Buffer.from("and more")' },
  // Flags that N does not know are set.
  { file: "router/frames.ts", from: "writer.u8(\n", to: "writer.u8(\n    128 |\n" },
  {
    file: "router/session-wire.ts",
    from: "const flags = ENVELOPE |",
    to: "const flags = 128 | ENVELOPE |",
  },
  { file: "router/task-frames.ts", from: "? IS_BYTES : 0", to: "? 128 | IS_BYTES : 128" },
  // Envelopes have an extension: tag, length, content.
  {
    file: "stanza/wire.ts",
    from: "return encoded;",
    to:
      "encoded.writeUInt32BE(9, 16);" +
      'return Buffer.concat([encoded, Buffer.from([77, 0, 0, 0, 4]), Buffer.from("more")]);',
  },
  // Sessions that move carry what a module of N does not have.
  {
    file: "router/carried.ts",
    from: "return said;",
    to: 'return said.set("of the next", Buffer.from("{}"));',
  },
  // Frames of a kind that N does not know are among the others.
  {
    file: "mesh/mesh.ts",
    from: "return link.request(kind, payload);",
    to: `if (this.#settings.stats.requests % 50 === 0) ${sendUnknown}return link.request(kind, payload);`,
  },
  // Records in etcd have fields that N does not know.
  { file: "routes/keys.ts", from: "m: moves }", to: 'm: moves, x: "more" }' },
  {
    file: "routes/keys.ts",
    from: "JSON.stringify(record)",
    to: "JSON.stringify({ ...record, speaks: { list: [1, 2] } })",
  },
  {
    file: "routes/claim.ts",
    from: "randomId(random)}`",
    to: "randomId(random)}/and/more`",
  },
  { file: "software.ts", from: "version: manifest.version", to: 'version: "99.0.0-next"' },
  // So do credentials in the store, and its schema is newer.
  {
    file: "stores/credentials.ts",
    from: "...(disabled && { disabled }),",
    to: '...(disabled && { disabled }), "SCRAM-NEXT": { salt: "" },',
  },
  {
    file: "stores/cassandra/migrate.ts",
    from: "const KNOWN =",
    to:
      "(MIGRATIONS as CassandraMigration[]).push({ version: MIGRATIONS.length + 1, " +
      "compatibleFrom: MIGRATIONS.length, statements: [" +
      '"CREATE TABLE IF NOT EXISTS of_the_next (user text PRIMARY KEY)"] });\nconst KNOWN =',
  },
  {
    file: "stores/sqlite/migrate.ts",
    from: "const KNOWN =",
    to:
      "(MIGRATIONS as SqliteMigration[]).push({ version: MIGRATIONS.length + 1, " +
      "compatibleFrom: MIGRATIONS.length, statements: [" +
      '"CREATE TABLE of_the_next (user TEXT PRIMARY KEY) STRICT"] });\nconst KNOWN =',
  },
];

/** @throws Error when a change has no place, or more than one */
export function changed(file: string, source: string): string {
  let text = source;
  for (const { from, to } of CHANGES.filter((change) => change.file === file)) {
    const pieces = text.split(from);
    if (pieces.length !== 2) {
      const times = pieces.length - 1;
      throw new Error(
        `Cannot make the next release: ${file} has "${from}" ${times} times, not once`,
      );
    }
    text = pieces.join(to);
  }
  return text;
}
