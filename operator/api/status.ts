/** What the operator reports of an XmppCluster. The CRD's schema is generated from it. */
import { z } from "zod";

export const PHASES = ["Pending", "Ready", "Updating", "Draining", "Degraded"] as const;
export const NODE_PHASES = ["Starting", "Serving", "NotReady", "Terminating"] as const;
export const CONDITIONS = ["Ready", "Progressing", "VersionConsistent", "Stalled"] as const;
/** More nodes than this are not listed: the object must stay small. */
export const NODES_LISTED_MAX = 100;

const name = (about: string) => z.string().max(253).describe(about);
const revision = (about: string) => z.string().max(63).optional().describe(about);
const version = (about: string) => z.string().max(63).describe(about);
const count = (about: string) => z.int().min(0).describe(about);
const time = (about: string) => z.string().max(64).describe(about).meta({ format: "date-time" });

const condition = z.strictObject({
  type: z.enum(CONDITIONS).describe("What is told."),
  status: z.enum(["True", "False", "Unknown"]).describe("Whether it holds."),
  observedGeneration: count("The generation of the spec it was found for."),
  lastTransitionTime: time("When status last changed."),
  reason: z
    .string()
    .min(1)
    .max(128)
    .regex(/^[A-Za-z][A-Za-z0-9]*$/)
    .describe("One word for machines."),
  message: z.string().max(4096).describe("A sentence for people."),
});

const node = z.strictObject({
  name: name("The pod's name, which is the node's."),
  version: version("The version it runs."),
  phase: z.enum(NODE_PHASES).describe("What it does now."),
});

const rollout = z
  .strictObject({
    id: name("Generation and revision it began with."),
    from: version("The version before.").optional(),
    to: version("The version it brings."),
    startedAt: time("When it began."),
    progressedAt: time("When a node last became ready or was replaced."),
    updated: count("Nodes of the new revision that are ready."),
    outdated: count("Nodes of other revisions that are still wanted."),
    total: count("Nodes there will be."),
    blockedBy: z
      .strictObject({
        predicate: z.string().max(64).describe("What it waits for, in one word."),
        node: name("The node that is waited for.").optional(),
        message: z.string().max(1024).describe("The same for people."),
      })
      .optional()
      .describe("Why the next step is not taken yet."),
  })
  .optional()
  .describe("The update under way; absent when there is none.");

export const statusSchema = z
  .strictObject({
    observedGeneration: count("The generation of the spec this status is about.").optional(),
    phase: z.enum(PHASES).optional().describe("Everything in one word, for people."),
    version: version("The version that all nodes ran when they were last alike.").optional(),
    replicas: count("Nodes there are, without those that stop.").optional(),
    readyReplicas: count("Nodes that serve.").optional(),
    selector: z.string().max(512).optional().describe("Selects the nodes; for autoscalers."),
    currentRevision: revision("The revision that status.version belongs to."),
    updateRevision: revision("The revision that spec asks for."),
    rollout,
    nodes: z
      .array(node)
      .max(NODES_LISTED_MAX)
      .optional()
      .describe("The nodes, at most 100.")
      .meta({ "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"] }),
    conditions: z
      .array(condition)
      .max(16)
      .optional()
      .describe("What holds at present.")
      .meta({ "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["type"] }),
  })
  .describe("What runs.");

export type ClusterStatus = z.output<typeof statusSchema>;
export type Condition = z.output<typeof condition>;
export type ConditionType = Condition["type"];
export type NodeStatus = z.output<typeof node>;
export type Rollout = NonNullable<z.output<typeof rollout>>;
