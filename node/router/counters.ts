/** Plain counters of the router; observe/ reads them when metrics are collected. */
export interface Counters {
  /** Stanzas that clients of this node sent. */
  stanzasIn: number;
  /** Stanzas handed to sessions of this node. */
  stanzasHandedOver: number;
  /** Copies of messages handed to other resources of this node. */
  copiesHandedOver: number;
  /** Messages of which other resources got no copy, because etcd or a node did not answer. */
  copiesFailed: number;
  /** Frames sent to other nodes to deliver stanzas. */
  framesOut: number;
  /** Frames from other nodes that deliver stanzas. */
  framesIn: number;
  /** Repeated deliveries that were cut. */
  repeatsCut: number;
  /** Deliveries for which routes had to be read again. */
  routesReread: number;
  /** Stanzas that came back to their senders as errors. */
  bounced: number;
  /** Stanzas refused because too many of the same pair were waiting. */
  shed: number;
  /** Messages of ended sessions that went on to somebody else or the store. */
  rerouted: number;
  /** Messages that there was no room for while a session might have asked for them. */
  passedOverLost: number;
  /** Failures that were not expected; each is logged. */
  failures: number;
}

export const newCounters = (): Counters => ({
  stanzasIn: 0,
  stanzasHandedOver: 0,
  copiesHandedOver: 0,
  copiesFailed: 0,
  framesOut: 0,
  framesIn: 0,
  repeatsCut: 0,
  routesReread: 0,
  bounced: 0,
  shed: 0,
  rerouted: 0,
  passedOverLost: 0,
  failures: 0,
});
