/** saxes as a second opinion for tests: what a slice means to another parser, or that it is bad. */
import { isUtf8 } from "node:buffer";
import { SaxesParser } from "saxes";
import { NC_NAME } from "./characters.ts";
import type { Scope } from "./contract.ts";
import { Element } from "./element.ts";
import { ns, XML_NS } from "./names.ts";

/** A tree without prefixes: names are "{namespace}local". */
export interface Node {
  readonly name: string;
  readonly attributes: Readonly<Record<string, string>>;
  readonly children: (Node | string)[];
}

/** What saxes reads in the slice within a stream of that scope; undefined when it is refused. */
export function oracle(bytes: Buffer, scope: Scope): Node | undefined {
  if (!isUtf8(bytes)) return undefined;
  const top: Node = { name: "", attributes: {}, children: [] };
  const open: Node[] = [];
  let isRestricted = false;
  const refuse = () => {
    isRestricted = true;
  };
  const append = (text: string) => {
    const children = open.at(-1)?.children ?? [];
    const last = children.length - 1;
    if (typeof children[last] === "string") children[last] += text;
    else if (text !== "") children.push(text);
  };
  const parser = new SaxesParser({ xmlns: true });
  parser.on("comment", refuse);
  parser.on("processinginstruction", refuse);
  parser.on("doctype", refuse);
  parser.on("text", append);
  parser.on("cdata", append);
  parser.on("opentag", ({ uri, local, attributes }) => {
    const node: Node = { name: `{${uri}}${local}`, attributes: Object.create(null), children: [] };
    const values = node.attributes as Record<string, string>;
    // Two things that saxes does not check: "p:-a", and whitespace, which it trims.
    if (!NC_NAME.test(local)) refuse();
    for (const each of Object.values(attributes)) {
      if (!NC_NAME.test(each.local)) refuse();
      const isDeclaration = each.name === "xmlns" || each.prefix === "xmlns";
      if (isDeclaration) {
        if (/\s/.test(each.value)) refuse();
        continue;
      }
      values[`{${each.prefix === "" ? "" : each.uri}}${each.local}`] = each.value;
    }
    (open.at(-1) ?? top).children.push(node);
    open.push(node);
  });
  parser.on("closetag", () => void open.pop());
  try {
    parser.write(rootTag(scope));
    parser.write(bytes.toString("utf8"));
    const isClosed = open.length === 1;
    parser.write("</root>").close();
    const root = top.children[0] as Node;
    const found = root.children[0];
    const isSlice = isClosed && root.children.length === 1 && typeof found === "object";
    return isSlice && !isRestricted ? found : undefined;
  } catch {
    return undefined;
  }
}

function rootTag(scope: Scope): string {
  const declarations = Array.from(scope, ([prefix, name]) =>
    prefix === "" ? ` xmlns='${name}'` : ` xmlns:${prefix}='${name}'`,
  );
  return `<root${declarations.join("")}>`;
}

/** The same form of our own tree. */
export function plain(element: Element): Node {
  const attributes: Record<string, string> = Object.create(null);
  for (const [name, value] of Object.entries(element.attrs as Record<string, string>)) {
    const colon = name.indexOf(":");
    const prefix = name.slice(0, Math.max(colon, 0));
    if (name === "xmlns" || prefix === "xmlns") continue;
    attributes[`{${attributeNs(element, prefix)}}${name.slice(colon + 1)}`] = value;
  }
  return {
    name: `{${ns(element)}}${element.name.slice(element.name.indexOf(":") + 1)}`,
    attributes,
    children: element.children.map((child) =>
      child instanceof Element ? plain(child) : String(child),
    ),
  };
}

function attributeNs(element: Element, prefix: string): string {
  if (prefix === "") return "";
  if (prefix === "xml") return XML_NS;
  for (let at: Element | null = element; at !== null; at = at.parent) {
    const name: unknown = at.attrs[`xmlns:${prefix}`];
    if (typeof name === "string") return name;
  }
  throw new Error("Cannot compare trees: a prefix is not declared");
}
