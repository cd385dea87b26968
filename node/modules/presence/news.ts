/**
 * Presence that may be known already: whoever knows it is not shown it again. The exit node decides,
 * by what it remembers of each session; clients never get to see the mark.
 */
import { withChildOf, withoutChildrenOf } from "../../router/envelopes.ts";
import { el } from "../../xml/element.ts";
import type { Envelope } from "../contract.ts";

const NS = "urn:zonda:presence:news";
const MARK = el("news", { xmlns: NS });

export const asNews = (presence: Envelope): Envelope => withChildOf(presence, MARK);

export const isNews = ({ children }: Envelope): boolean => children.some(({ ns }) => ns === NS);

export const withoutMark = (presence: Envelope): Envelope =>
  withoutChildrenOf(presence, ({ ns }) => ns === NS);
