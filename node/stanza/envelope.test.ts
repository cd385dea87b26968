import { describe, expect, it, test } from "vitest";
import { el } from "../xml/element.ts";
import { plain } from "../xml/oracle.fixture.ts";
import { parseStanza } from "../xml/parser.ts";
import { fromElement, kept, makeEnvelope } from "./envelope.ts";
import { Jid, JidError } from "./jid.ts";

const SCOPE = new Map([["", "jabber:client"]]);
const FROM = Jid.parse("romeo@montague.example/orchard");
const TO = Jid.parse("juliet@capulet.example");
const stamp = { from: FROM, to: TO, receivedMs: 5 };
const ADDRESSES = `from='${FROM.full}' to='${TO.full}'`;

const make = (text: string, lang?: string) =>
  makeEnvelope(parseStanza(Buffer.from(text), SCOPE), { ...stamp, lang });

describe("makeEnvelope", () => {
  it("stamps from and to, whatever the stanza said", () => {
    const envelope = make("<message id='1' from='a@b' type='chat'><body>x</body></message>");
    expect(envelope).toMatchObject({ kind: "message", type: "chat", id: "1", ...stamp });
    expect(envelope.children).toEqual([{ name: "body", ns: "jabber:client" }]);
    expect(envelope.bytes.toString()).toBe(
      `<message id='1' type='chat' xmlns='jabber:client' ${ADDRESSES}><body>x</body></message>`,
    );
  });

  it("gives a tree that says the same as the bytes", () => {
    for (const name of ["message", "presence", "iq"]) {
      const envelope = make(`<${name} from='x' type='set'><q xmlns='u'>é</q></${name}>`, "de");
      const read = parseStanza(envelope.bytes, new Map()).element();
      expect(plain(envelope.element())).toEqual(plain(read));
      expect(envelope.element().attrs.from).toBe(FROM.full);
    }
  });

  it("knows the defaults of type", () => {
    expect(make("<message/>").type).toBe("normal");
    expect(make("<message type='unheard-of'/>").type).toBe("normal");
    expect(make("<message type='error'/>").type).toBe("error");
    expect(make("<presence/>").type).toBe("available");
    expect(make("<presence type='probe'/>").type).toBe("probe");
    expect(make("<iq/>").type).toBe("");
    expect(make("<iq/>").id).toBe("");
  });

  it("adds the stream's language to a stanza without one", () => {
    expect(make("<presence/>", "de").bytes.toString()).toContain(" xml:lang='de'");
    expect(make("<presence xml:lang='en'/>", "de").bytes.toString()).not.toContain("de'");
    expect(make("<presence/>").bytes.toString()).not.toContain("xml:lang");
  });

  it("refuses what is not a stanza", () => {
    expect(() => make("<auth/>")).toThrow(TypeError);
  });
});

describe("fromElement", () => {
  it("makes bytes and children of a tree", () => {
    const envelope = fromElement(
      el(
        "iq",
        { type: "result", id: "1", from: TO.full, to: FROM.full },
        el("q", { xmlns: "u" }),
        el("x"),
      ),
      7,
    );
    expect(envelope).toMatchObject({ kind: "iq", type: "result", id: "1", receivedMs: 7 });
    expect(envelope.from.equals(TO)).toBe(true);
    expect(envelope.children).toEqual([
      { name: "q", ns: "u" },
      { name: "x", ns: "jabber:client" },
    ]);
    expect(envelope.bytes.toString()).toContain("xmlns='jabber:client'");
  });

  it("refuses addresses that are none, and what is not a stanza", () => {
    expect(() => fromElement(el("presence", { to: TO.full }), 0)).toThrow(JidError);
    expect(() => fromElement(el("presence", { from: "@", to: TO.full }), 0)).toThrow(JidError);
    expect(() => fromElement(el("x", { from: TO.full, to: TO.full }), 0)).toThrow(TypeError);
  });
});

test("an envelope that is kept long says the same, from memory of its own", () => {
  const envelope = make("<presence><show>away</show></presence>");
  const before = envelope.bytes;
  expect(kept(envelope)).toBe(envelope);
  expect(envelope.bytes).toEqual(before);
  expect(envelope.bytes.buffer.byteLength).toBe(before.length);
  expect(plain(envelope.element())).toEqual(plain(make(before.toString()).element()));
});
