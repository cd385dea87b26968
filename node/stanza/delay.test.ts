import { expect, it } from "vitest";
import { parseStanza } from "../xml/parser.ts";
import { withDelay } from "./delay.ts";
import { makeEnvelope } from "./envelope.ts";
import { Jid } from "./jid.ts";

const SERVER = Jid.parse("example.com");
const DELAY = "<delay xmlns='urn:xmpp:delay' from='example.com' stamp='2026-01-01T00:00:00.123Z'/>";
const stamp = { from: Jid.parse("a@b/c"), to: Jid.parse("d@e"), receivedMs: 0 };

function delayed(text: string): string {
  const parsed = parseStanza(Buffer.from(text), new Map([["", "jabber:client"]]));
  const { bytes } = makeEnvelope(parsed, stamp);
  const result = withDelay(bytes, SERVER, Date.UTC(2026, 0, 1) + 123);
  expect(parseStanza(result, new Map()).children.at(-1)).toEqual({
    name: "delay",
    ns: "urn:xmpp:delay",
  });
  return result.toString();
}

it("adds a delay before the end tag", () => {
  expect(delayed("<message><body>é</body></message >")).toContain(
    `<body>é</body>${DELAY}</message >`,
  );
});

it("is not misled by what looks like an end", () => {
  expect(delayed("<message><body><![CDATA[</message>]]>/</body>/></message>")).toContain(
    `/>${DELAY}</message>`,
  );
});

it("opens an empty stanza", () => {
  expect(delayed("<message id='/>'/>")).toMatch(new RegExp(`to='d@e'>${DELAY}</message>$`));
  expect(delayed("<c:message xmlns:c='jabber:client'/>")).toContain(`>${DELAY}</message>`);
});
