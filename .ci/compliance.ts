/**
 * What XEP-0479 (Compliance Suites 2023) asks of a server, row by row, and the tests that show it.
 * A row is met when every extension it names is declared by the code.
 */

export type Suite = "Core" | "Web" | "IM" | "Mobile" | "A/V Calling";
export type Level = "Core" | "Advanced";

export interface Row {
  readonly suite: Suite;
  readonly level: Level;
  readonly what: string;
  readonly rfcs?: readonly number[];
  readonly xeps?: readonly number[];
  /** Folders or files that show it. */
  readonly tests: readonly string[];
}

/** Spoken by the rooms below the modules; XEPs declare themselves. */
export const RFCS: ReadonlySet<number> = new Set([6120, 6121, 7395, 7590]);

export const ROWS: readonly Row[] = [
  {
    suite: "Core",
    level: "Core",
    what: "Core features",
    rfcs: [6120],
    tests: ["e2e/dialogues/negotiation", "node/session/negotiate.test.ts"],
  },
  {
    suite: "Core",
    level: "Core",
    what: "TLS",
    rfcs: [7590],
    tests: ["e2e/dialogues/negotiation/starttls.dialogue", "node/session/tls.test.ts"],
  },
  {
    suite: "Core",
    level: "Core",
    what: "Feature discovery",
    xeps: [30],
    tests: ["e2e/dialogues/iq/disco-server.dialogue", "e2e/dialogues/iq/disco-account.dialogue"],
  },
  {
    suite: "Core",
    level: "Core",
    what: "Server extensibility",
    xeps: [114],
    tests: ["e2e/interop/components.test.ts"],
  },
  {
    suite: "Core",
    level: "Advanced",
    what: "Direct TLS",
    xeps: [368],
    tests: ["e2e/dialogues/negotiation/direct-tls.dialogue"],
  },
  {
    suite: "Core",
    level: "Advanced",
    what: "Feature broadcasts",
    xeps: [115],
    tests: ["e2e/dialogues/iq/caps.dialogue"],
  },
  {
    suite: "Core",
    level: "Advanced",
    what: "Event publishing",
    xeps: [163],
    tests: ["e2e/dialogues/eventing/publish.dialogue", "node/modules/pubsub/eventing.test.ts"],
  },
  {
    suite: "Web",
    level: "Core",
    what: "Web connection mechanisms",
    rfcs: [7395],
    xeps: [124, 206],
    tests: ["e2e/dialogues/web-dialogues.test.ts"],
  },
  {
    suite: "IM",
    level: "Core",
    what: "Core features",
    rfcs: [6121],
    tests: ["e2e/dialogues/messages", "e2e/dialogues/presence", "e2e/dialogues/roster"],
  },
  {
    suite: "IM",
    level: "Core",
    what: "The vcard-temp protocol",
    xeps: [54],
    tests: ["e2e/dialogues/vcard"],
  },
  {
    suite: "IM",
    level: "Core",
    what: "Outbound message synchronization",
    xeps: [280],
    tests: ["e2e/dialogues/carbons"],
  },
  { suite: "IM", level: "Core", what: "Group chat", xeps: [45, 249], tests: [] },
  {
    suite: "IM",
    level: "Core",
    what: "File upload",
    xeps: [363],
    tests: ["node/modules/upload.test.ts"],
  },
  {
    suite: "IM",
    level: "Advanced",
    what: "User avatar compatibility",
    xeps: [398, 153],
    tests: ["node/modules/avatars.test.ts"],
  },
  {
    suite: "IM",
    level: "Advanced",
    what: "User blocking",
    xeps: [191],
    tests: ["e2e/dialogues/blocking"],
  },
  {
    suite: "IM",
    level: "Advanced",
    what: "Advanced group chat",
    xeps: [48, 313, 402, 410],
    tests: [],
  },
  {
    suite: "IM",
    level: "Advanced",
    what: "Persistent storage of private data via PubSub",
    xeps: [223],
    tests: [
      "e2e/dialogues/eventing/publish-options.dialogue",
      "node/modules/pubsub/access.test.ts",
    ],
  },
  {
    suite: "IM",
    level: "Advanced",
    what: "Private XML storage",
    xeps: [49],
    tests: ["e2e/dialogues/private"],
  },
  {
    suite: "IM",
    level: "Advanced",
    what: "Stream management",
    xeps: [198],
    tests: ["e2e/dialogues/acks"],
  },
  {
    suite: "IM",
    level: "Advanced",
    what: "Message archives",
    xeps: [313],
    tests: ["e2e/dialogues/archive"],
  },
  {
    suite: "Mobile",
    level: "Core",
    what: "Stream management",
    xeps: [198],
    tests: ["e2e/dialogues/acks"],
  },
  {
    suite: "Mobile",
    level: "Core",
    what: "Client state indication",
    xeps: [352],
    tests: ["e2e/dialogues/csi"],
  },
  {
    suite: "Mobile",
    level: "Advanced",
    what: "Push notifications",
    xeps: [357],
    tests: ["e2e/dialogues/push"],
  },
  {
    suite: "A/V Calling",
    level: "Core",
    what: "STUN/TURN server discovery",
    xeps: [215],
    tests: ["node/modules/external-services.test.ts"],
  },
];
