/** Hostile streams for tests: what each must be answered with, after nothing came out. */
import type { XmlCondition } from "./contract.ts";

export interface BadInput {
  readonly name: string;
  /** A whole stream from its first byte; a good stanza follows the bad place. */
  readonly stream: Buffer;
  readonly condition: XmlCondition;
}

export const HEADER =
  "<?xml version='1.0'?><stream:stream xmlns='jabber:client' to='example.com' version='1.0' " +
  "xmlns:stream='http://etherx.jabber.org/streams'>";
const AFTER = "<presence id='after'/></stream:stream>";

type Part = string | readonly number[];

const bytes = (...parts: Part[]) =>
  Buffer.concat(
    parts.map((part) => (typeof part === "string" ? Buffer.from(part) : Buffer.from(part))),
  );

const inStream =
  (condition: XmlCondition) =>
  (name: string, ...parts: Part[]) => ({
    name,
    stream: bytes(HEADER, ...parts, AFTER),
    condition,
  });
const malformed = inStream("not-well-formed");
const restricted = inStream("restricted-xml");
const unbound = inStream("not-well-formed");
const encoding = inStream("unsupported-encoding");
const first = (name: string, condition: XmlCondition, ...parts: Part[]) => ({
  name,
  stream: bytes(...parts),
  condition,
});
const body = (text: string) => `<message><body>${text}</body></message>`;

export const BAD_INPUTS: readonly BadInput[] = [
  malformed("mismatched end tags", "<message><body></message></body>"),
  malformed("an end tag never opened", "</message>"),
  malformed("an unquoted attribute", "<message to=juliet/>"),
  malformed("an attribute without a value", "<message to><body/></message>"),
  malformed("a repeated attribute", "<message to='a' to='b'/>"),
  malformed("one attribute by two prefixes", "<message xmlns:p='u' xmlns:q='u' p:a='' q:a=''/>"),
  malformed("no space between attributes", "<message to='a'from='b'/>"),
  malformed("< in an attribute", "<message to='<'/>"),
  malformed("a bare & in text", body("a & b")),
  malformed("a bare & in an attribute", "<message to='a&b'/>"),
  restricted("an unknown entity", body("&foo;")),
  restricted("an entity of HTML", body("&nbsp;")),
  restricted("an unknown entity in an attribute", "<message to='&foo;'/>"),
  malformed("&#0;", body("&#0;")),
  malformed("&#xD800;", body("&#xD800;")),
  malformed("&#x110000;", body("&#x110000;")),
  malformed("a character reference that overflows", body("&#x1000000000000000000000041;")),
  malformed("junk in a character reference", body("&#65abc;")),
  malformed("an empty character reference", body("&#;")),
  malformed("&#X41;", body("&#X41;")),
  malformed("a reference to U+0001", body("&#1;")),
  malformed("a raw U+0001", body("\u0001")),
  malformed("a raw NUL", body("\0")),
  malformed("a raw U+FFFF", body("\uFFFF")),
  malformed("a raw U+FFFE in CDATA", body("<![CDATA[\uFFFE]]>")),
  malformed("a raw U+000B in an attribute", "<message to='\u000B'/>"),
  encoding("an overlong UTF-8 NUL", "<message><body>", [0xc0, 0x80], "</body></message>"),
  encoding("a surrogate in UTF-8", "<message><body>", [0xed, 0xa0, 0x80], "</body></message>"),
  encoding("0xFF", "<message><body>", [0xff], "</body></message>"),
  encoding("a character cut short", "<message><body>", [0xe2, 0x82], "</body></message>"),
  restricted("a DOCTYPE in the stream", "<!DOCTYPE x>"),
  restricted("a DOCTYPE in a stanza", "<message><!DOCTYPE x></message>"),
  first(
    "a DOCTYPE before the root",
    "restricted-xml",
    "<!DOCTYPE x [<!ENTITY a 'b'>]>",
    HEADER,
    AFTER,
  ),
  restricted("a comment", "<!-- hello -->"),
  restricted("a comment in a stanza", body("<!-- hello -->")),
  restricted("a comment with --", body("<!-- a -- b -->")),
  restricted("a processing instruction", "<?php echo ?>"),
  restricted("a processing instruction in a stanza", body("<?php echo ?>")),
  restricted("an XML declaration in the stream", "<?xml version='1.0'?>"),
  first("a second XML declaration", "restricted-xml", "<?xml version='1.0'?>", HEADER, AFTER),
  first(
    "another instruction before the root",
    "restricted-xml",
    "<?xml-stylesheet href='x'?>",
    HEADER,
  ),
  first("a declaration without a version", "not-well-formed", "<?xml encoding='UTF-8'?>", HEADER),
  malformed("<!x>", body("<!x>")),
  malformed("<![x[", body("<![x[ ]]>")),
  malformed("CDATA between stanzas", "<![CDATA[x]]>"),
  malformed("]]> in text", body("]]>")),
  unbound("an undeclared element prefix", "<p:message/>"),
  unbound("an undeclared attribute prefix", "<message p:a=''/>"),
  unbound("a prefix out of its scope", "<message><p:a xmlns:p='u'/><p:b/></message>"),
  unbound("an undeclared prefix deep inside", body("<a p:b=''/>")),
  malformed("a prefix undeclared again", "<message xmlns:p=''/>"),
  malformed("xml bound to something else", "<message xmlns:xml='u'/>"),
  malformed(
    "another prefix bound to xml",
    "<message xmlns:p='http://www.w3.org/XML/1998/namespace'/>",
  ),
  malformed("xml as default", "<message xmlns='http://www.w3.org/XML/1998/namespace'/>"),
  malformed("a namespace name with whitespace", "<message xmlns:p='urn: p'/>"),
  malformed("xmlns bound", "<message xmlns:xmlns='u'/>"),
  malformed("a prefix bound to xmlns", "<message xmlns:p='http://www.w3.org/2000/xmlns/'/>"),
  malformed("two colons", "<a:b:c xmlns:a='u'/>"),
  malformed("a colon at the end", "<message: xmlns:a='u'/>"),
  malformed("a colon at the beginning", "<:message/>"),
  malformed("a name that begins with a digit", "<1message/>"),
  malformed("a local name that begins with a digit", "<p:1 xmlns:p='u'/>"),
  malformed("a name with U+00D7", "<mess\u00D7age/>"),
  malformed("a name that begins with U+00B7", "<\u00B7a/>"),
  malformed("space after <", "< message/>"),
  malformed("a split />", "<message / >"),
  malformed("/ inside a tag", "<message / to='a'/>"),
  malformed("an end tag with attributes", "<message></message to='a'>"),
  malformed("an empty tag", "<>"),
  malformed("an empty end tag", "<message></></message>"),
  malformed("< inside a tag", "<message <body/>"),
  malformed("text between stanzas", "hello"),
  malformed("a reference between stanzas", "&amp;"),
  malformed("another end tag for the root", "</stream:streams>"),
  malformed("a root end tag with attributes", "</stream:stream a='b'>"),
  malformed("an unquoted value in a namespace", "<message xmlns=jabber:client/>"),
  first("UTF-16, little endian, with BOM", "unsupported-encoding", [0xff, 0xfe, 0x3c, 0, 0x3f, 0]),
  first("UTF-16, big endian, with BOM", "unsupported-encoding", [0xfe, 0xff, 0, 0x3c, 0, 0x3f]),
  first("UTF-16, little endian, without BOM", "unsupported-encoding", [0x3c, 0, 0x3f, 0]),
  first("UTF-16, big endian, without BOM", "unsupported-encoding", [0, 0x3c, 0, 0x3f]),
  first("a UTF-8 BOM", "not-well-formed", [0xef, 0xbb, 0xbf], HEADER, AFTER),
  first(
    "another encoding",
    "unsupported-encoding",
    "<?xml version='1.0' encoding='ISO-8859-1'?>",
    HEADER,
  ),
  first("HTTP", "not-well-formed", "GET / HTTP/1.1\r\nHost: example.com\r\n\r\n"),
  first("TLS", "not-well-formed", [0x16, 0x03, 0x01, 0x02, 0x00, 0x01, 0x00, 0x01, 0xfc]),
  first("an end tag first", "not-well-formed", "</stream:stream>"),
  first("a header with an undeclared prefix", "not-well-formed", "<stream:stream version='1.0'>"),
  first("a header with a bad attribute", "not-well-formed", "<stream to='a' to='b'>"),
  first("a header in bad UTF-8", "unsupported-encoding", "<stream to='", [0xff], "'>"),
];
