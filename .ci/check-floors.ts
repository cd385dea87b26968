/** Imports go downward only: the table of docs/architecture.md, "Floors", held by a script. */
import path from "node:path";
import { listSources, report, type Source } from "./sources.ts";

/** Room -> floor. A file may import its own room, or a room on a lower floor. */
const NODE_FLOORS: Readonly<Record<string, number>> = {
  base: 0,
  xml: 1,
  stanza: 2,
  config: 3,
  sockets: 3,
  observe: 4,
  guard: 4,
  stores: 4,
  routes: 4,
  mesh: 4,
  shadow: 4,
  http: 4,
  stream: 5,
  auth: 5,
  session: 6,
  components: 6,
  router: 7,
  modules: 8,
};

const OPERATOR_FLOORS: Readonly<Record<string, number>> = {
  loop: 0,
  kube: 1,
  api: 2,
  build: 3,
  status: 4,
  reconcile: 5,
};

/** What only these may import: they touch the outside world. */
const OUTSIDE: readonly { readonly modules: RegExp; readonly allowed: RegExp }[] = [
  {
    modules: /^(node:(net|tls|http|https|dgram|dns)|undici)$/,
    // stanza/domain.ts only asks node:net whether a text is an IP address.
    allowed:
      /^(node\/stanza\/domain\.ts$|node\/(sockets|stores|routes|mesh|stream|http|observe)\/|operator\/(kube|main|health))/,
  },
  { modules: /^node:sqlite$/, allowed: /^node\/stores\/sqlite\// },
  { modules: /^cassandra-driver$/, allowed: /^node\/stores\/cassandra\// },
  { modules: /^etcd3$/, allowed: /^node\/routes\// },
  { modules: /^@kubernetes\//, allowed: /^operator\/(kube|main)/ },
];

const IMPORT =
  /^\s*(?:import\s[^;"'()]*?\bfrom\s*|import\s*|export\s[\w\s{},*]*?\bfrom\s*)["'](?<target>[^"']+)["']/gm;
const DYNAMIC = /\bimport\(\s*["'](?<target>[^"']+)["']\s*\)/g;

/** What a file imports, as written. */
function importsOf(text: string): readonly string[] {
  return [...text.matchAll(IMPORT), ...text.matchAll(DYNAMIC)].map(
    ({ groups }) => (groups as { target: string }).target,
  );
}

/** The room of a path: "node/router/x.ts" -> "router"; undefined for a composition root. */
const roomOf = (file: string): string | undefined => {
  const parts = file.split("/");
  return parts.length > 2 && parts[1] !== "commands" ? parts[1] : undefined;
};

function faultOf(source: Source, target: string): string | undefined {
  const [program] = source.path.split("/") as [string];
  const [targetProgram] = target.split("/") as [string];
  const targetRoom = roomOf(target);
  const where = `${source.path} imports ${target}`;
  if (program !== targetProgram) {
    const isAllowed = program === "operator" && target.startsWith("node/config/");
    return isAllowed ? undefined : `${where}: ${program}/ may not know ${targetProgram}/`;
  }
  const room = roomOf(source.path);
  if (room === undefined) return undefined; // A composition root knows every room.
  if (targetRoom === undefined) return `${where}: only composition roots stand above the rooms`;
  if (room === targetRoom) return undefined;
  const floors = program === "node" ? NODE_FLOORS : OPERATOR_FLOORS;
  const [floor, targetFloor] = [floors[room], floors[targetRoom]];
  if (floor === undefined) return `${source.path}: room ${room} has no floor; add it to the table`;
  if (targetFloor === undefined) return `${where}: room ${targetRoom} has no floor`;
  if (targetFloor < floor) return undefined;
  return `${where}: floor ${floor} may not import floor ${targetFloor}`;
}

/** What modules may share besides the stores: how they are declared, loaded and opened. */
const SHARED_BY_MODULES = new Set(["contract", "registry", "index", "account", "open"]);

/** "node/modules/roster/item.ts" and "node/modules/roster-x.ts" -> "roster" */
const featureOf = (file: string): string | undefined =>
  file.match(/^node\/modules\/([a-z0-9]+)/)?.[1];

/** Modules meet at stages, in stores and through services; they never import each other. */
function moduleFaultOf(source: Source, target: string): string | undefined {
  const own = featureOf(source.path);
  const other = featureOf(target);
  if (own === undefined || other === undefined || own === other) return undefined;
  if (SHARED_BY_MODULES.has(own) || SHARED_BY_MODULES.has(other)) return undefined;
  return `${source.path} imports ${target}: modules never import each other`;
}

function checkFloors(sources: readonly Source[]): readonly string[] {
  const faults: string[] = [];
  for (const source of sources) {
    if (source.isTest) continue;
    for (const target of importsOf(source.text)) {
      if (!target.startsWith(".")) {
        const rule = OUTSIDE.find(({ modules }) => modules.test(target));
        if (rule !== undefined && !rule.allowed.test(source.path)) {
          faults.push(
            `${source.path} imports ${target}: this room may not touch the outside world`,
          );
        }
        continue;
      }
      const resolved = path.posix.join(path.posix.dirname(source.path), target);
      const fault = faultOf(source, resolved) ?? moduleFaultOf(source, resolved);
      if (fault !== undefined) faults.push(fault);
    }
  }
  return faults;
}

if (import.meta.main) report("floors", checkFloors(listSources("node", "operator")));
