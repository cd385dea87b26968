/**
 * The tables of RFC 6121, Appendix A, as dialogues: in each of the nine states romeo says each of the four
 * things. A.2 is what his server makes of it, A.3 what juliet's does, in whose roster the same state stands
 * the other way round.
 */
import type { SubscriptionType } from "../../node/modules/presence/subscription.ts";
import type { State, Table } from "../../node/modules/presence/subscription-tables.fixture.ts";
import {
  ALL,
  INBOUND,
  OUTBOUND,
  STATES,
} from "../../node/modules/presence/subscription-tables.fixture.ts";
import type { Dialogue } from "../harness/dialogue-parser.ts";
import { parseDialogue } from "../harness/dialogue-parser.ts";

type Name = "romeo" | "juliet";

/** How they come there: who says what. Nobody is available meanwhile, so that nobody is told of it. */
const WAYS: Readonly<Record<State, readonly (readonly [Name, SubscriptionType])[]>> = (() => {
  const [asks, isAsked] = [["romeo", "subscribe"] as const, ["juliet", "subscribe"] as const];
  const to = [asks, ["juliet", "subscribed"] as const];
  const from = [isAsked, ["romeo", "subscribed"] as const];
  return {
    None: [],
    "None + Pending Out": [asks],
    "None + Pending In": [isAsked],
    "None + Pending Out+In": [asks, isAsked],
    To: to,
    "To + Pending In": [...to, isAsked],
    From: from,
    "From + Pending Out": [...from, asks],
    Both: [...to, ...from],
  };
})();

/** Romeo's state, as it is in juliet's roster. */
const MIRRORED: Readonly<Record<State, State>> = {
  None: "None",
  "None + Pending Out": "None + Pending In",
  "None + Pending In": "None + Pending Out",
  "None + Pending Out+In": "None + Pending Out+In",
  To: "From",
  "To + Pending In": "From + Pending Out",
  From: "To",
  "From + Pending Out": "To + Pending In",
  Both: "Both",
};

/** What can be seen of a state: subscription and ask in the roster, and the request at a login. */
interface Seen {
  readonly subscription: string;
  readonly isAsking: boolean;
  readonly isAsked: boolean;
}

function seen(state: State): Seen {
  const { to, from, ask, pendingIn } = {
    to: false,
    from: false,
    ask: false,
    pendingIn: false,
    ...STATES[state],
  };
  const subscription = to ? (from ? "both" : "to") : from ? "from" : "none";
  return { subscription, isAsking: ask, isAsked: pendingIn };
}

interface Side {
  readonly before: State;
  readonly after: State;
  /** An approval in advance (RFC 6121, 3.4). */
  readonly isApproved: boolean;
}

const item = (of: Name, { after, isApproved }: Side): string => {
  const { subscription, isAsking } = seen(after);
  const approved = isApproved ? ' approved="true"' : "";
  return `<item jid="{${of}}" subscription="${subscription}" ask="${isAsking ? "subscribe" : "{none}"}"${approved}/>`;
};

/** A request alone is no business of the roster (2.1.2.2). */
function isPushed({ before, after, isApproved }: Side): boolean {
  const [was, is] = [seen(before), seen(after)];
  return isApproved || was.subscription !== is.subscription || was.isAsking !== is.isAsking;
}

const isInRoster = (side: Side): boolean =>
  isPushed(side) || !["None", "None + Pending In"].includes(side.before);

const step = (table: Table, type: SubscriptionType, state: State): readonly [boolean, State] =>
  table[type][ALL.indexOf(state)] as readonly [boolean, State];

const block = (line: string, stanzas: readonly string[]): readonly string[] =>
  stanzas.length === 0 ? [] : [line, ...stanzas.map((stanza) => `    ${stanza}`)];

function readsRoster(client: string, of: Name, side: Side): readonly string[] {
  const found = isInRoster(side) ? item(of, side) : "";
  return [
    ...block(`${client} sends`, ['<iq type="get" id="r"><query xmlns="jabber:iq:roster"/></iq>']),
    ...block(`${client} receives`, [
      `<iq type="result" id="r"><query xmlns="jabber:iq:roster">${found}</query></iq>`,
    ]),
  ];
}

/** XEP-0049: something to write. */
const NOTE = '<query xmlns="jabber:iq:private"><note xmlns="urn:zonda:dialogue:note"/></query>';

function told(type: SubscriptionType, state: State): string {
  const mirrored = MIRRORED[state];
  const [isRouted, after] = step(OUTBOUND, type, state);
  const [isDelivered, afterToo] = isRouted ? step(INBOUND, type, mirrored) : [false, mirrored];
  const isApproved = type === "subscribed" && !isRouted && !("from" in STATES[state]);
  const romeo: Side = { before: state, after, isApproved };
  const juliet: Side = { before: mirrored, after: afterToo, isApproved: false };
  const push = (of: Name, side: Side) =>
    isPushed(side)
      ? [`<iq type="set"><query xmlns="jabber:iq:roster">${item(of, side)}</query></iq>`]
      : [];
  const request = '<presence from="{romeo}" to="{any}" type="subscribe"/>';
  const stanza = `<presence from="{romeo}" to="{any}" type="${type}"/>`;
  return [
    `In the state ${state} somebody says "${type}"`,
    "specification: RFC 6121, sections A.2 and A.3",
    "users: romeo, juliet",
    "",
    ...WAYS[state].flatMap(([who, says], at) => [
      `${who}/${at} logs in`,
      ...block(`${who}/${at} sends`, [
        `<presence to="{${who === "romeo" ? "juliet" : "romeo"}}" type="${says}"/>`,
      ]),
      // It is written for both, one after the other; what is written behind that says that it is done.
      ...["first", "second"].flatMap((id) => [
        ...block(`${who}/${at} sends`, [`<iq type="set" id="${id}">${NOTE}</iq>`]),
        ...block(`${who}/${at} receives`, [`<iq type="{any}" id="${id}">{more}</iq>`]),
      ]),
      `${who}/${at} closes the stream`,
    ]),
    "romeo/orchard logs in",
    "juliet/chamber comes online",
    ...block("juliet/chamber receives", seen(mirrored).isAsked ? [request] : []),
    "romeo/orchard and juliet/chamber fetch the roster",
    ...block("romeo/orchard sends", [`<presence to="{juliet}" type="${type}"/>`]),
    ...block("romeo/orchard receives", push("juliet", romeo)),
    ...block("juliet/chamber receives in any order", [
      ...(isDelivered ? [stanza] : []),
      ...push("romeo", juliet),
    ]),
    "romeo/orchard and juliet/chamber receive nothing",
    ...readsRoster("romeo/orchard", "juliet", romeo),
    ...readsRoster("juliet/chamber", "romeo", juliet),
    "juliet/church comes online",
    ...block("juliet/church receives", seen(afterToo).isAsked ? [request] : []),
    "juliet/church receives nothing",
    "",
  ].join("\n");
}

const fileName = (type: SubscriptionType, state: State): string =>
  `presence/states/${state.toLowerCase().replace(/\W+/g, "-")}/${type}.dialogue`;

/** One for each state and each thing said in it. */
export const subscriptionDialogues: readonly Dialogue[] = ALL.flatMap((state) =>
  (Object.keys(OUTBOUND) as SubscriptionType[]).map((type) =>
    parseDialogue(fileName(type, state), told(type, state)),
  ),
);
