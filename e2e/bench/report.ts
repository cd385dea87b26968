/** The table for people, with the ratio to the better of the two peers, and its JSON. */
import { readFileSync } from "node:fs";
import os from "node:os";
import type { ServerName } from "./servers.ts";
import type { Grown, GrownName, RowName, Sheet } from "./sheet.ts";
import { GROWN, LEVELS, ROWS, rounded } from "./sheet.ts";

const PEERS: readonly ServerName[] = ["ejabberd", "prosody"];
const ORDER: readonly ServerName[] = ["floor", "zonda", "proxied", "ejabberd", "prosody"];
/** Rows where more is better. */
const MORE_IS_BETTER = new Set<RowName>(["ratePlain", "rateTls"]);

function ratio(sheet: Sheet, name: RowName): string {
  const own = sheet.get("zonda", name);
  const peers = PEERS.flatMap((peer) => sheet.get(peer, name) ?? []);
  if (own === undefined || peers.length === 0) return "";
  const best = MORE_IS_BETTER.has(name) ? Math.max(...peers) : Math.min(...peers);
  return rounded(own / best);
}

/** By which power of the size a figure grows: 0 is flat, 1 is in proportion. */
function slope(sheet: Sheet, server: ServerName, rows: readonly RowName[]): string {
  const points = rows.flatMap((name, at) => {
    const value = sheet.get(server, name);
    return value === undefined ? [] : [[at * Math.log(4), Math.log(value)] as const];
  });
  if (points.length < 2) return "";
  const mean = (at: 0 | 1) => points.reduce((sum, point) => sum + point[at], 0) / points.length;
  const [meanX, meanY] = [mean(0), mean(1)];
  const over = points.reduce((sum, [x, y]) => sum + (x - meanX) * (y - meanY), 0);
  const under = points.reduce((sum, [x]) => sum + (x - meanX) ** 2, 0);
  return (over / under).toFixed(2);
}

const line = (cells: readonly string[]): string => `| ${cells.join(" | ")} |`;

export function table(sheet: Sheet): string {
  const servers = ORDER.filter((name) => sheet.figures[name] !== undefined);
  const heads = servers.map((name) => `${name} ${sheet.versions[name] ?? ""}`.trim());
  const names = Object.keys(ROWS) as RowName[];
  const seen = names.filter((name) => servers.some((server) => sheet.get(server, name)));
  const lines = [
    line(["what", "unit", ...heads, "zonda / better peer"]),
    line(["---", "---", ...servers.map(() => "---:"), "---:"]),
  ];
  for (const name of seen) {
    const { title, unit } = ROWS[name];
    const cells = servers.map((server) => rounded(sheet.get(server, name) ?? Number.NaN));
    lines.push(line([title, unit, ...cells, ratio(sheet, name)]));
  }
  for (const [name, { title, by }] of Object.entries(GROWN) as [GrownName, Grown][]) {
    const rows = LEVELS.map((level) => `${name}${level}` as const);
    const cells = servers.map((server) => slope(sheet, server, rows));
    if (cells.every((cell) => cell === "")) continue;
    lines.push(line([`Growth: ${title}, by ${by}`, "power", ...cells, ""]));
  }
  return lines.join("\n");
}

export function machine(): string {
  const [cpu] = os.cpus();
  const memory = Math.round(os.totalmem() / 2 ** 30);
  const system = /^PRETTY_NAME="(.*)"/m.exec(readFileSync("/etc/os-release", "utf8"))?.[1] ?? "";
  return `${os.cpus().length} × ${cpu?.model.trim()}, ${memory} GiB, ${system}, Linux ${os.release()}, Node ${process.version}`;
}

function percents(of: Sheet["others"]): string {
  const parts = ORDER.flatMap((name) => {
    const shares = (of[name] ?? []).map((share) => Math.round(share * 100));
    if (shares.length === 0) return [];
    return [`${name} ${Math.min(...shares)} to ${Math.max(...shares)} %`];
  });
  return parts.join(", ");
}

/** What else ran on the machine: figures of a busy one are to be taken as ratios, with care. */
export const otherWork = ({ others, slow }: Sheet): string =>
  `Share of the machine that other work used during the measurements: ${percents(others)}.
Share of the time before each start in which a processor worked at less than half its speed: ${percents(slow)}.`;

export interface Run {
  readonly command: string;
  readonly date: string;
  readonly minutes: number;
}

interface Written extends Pick<Sheet, "figures" | "versions" | "notes" | "others" | "slow"> {
  readonly machine: string;
  readonly runs: readonly Run[];
}

/** Takes over what an earlier run found on this machine and the sheet lacks. @returns its runs */
export function keepEarlier(sheet: Sheet, text: string): readonly Run[] {
  const earlier = JSON.parse(text) as Written;
  const servers = ORDER.filter((name) => earlier.figures[name] !== undefined);
  const isSame = (name: ServerName) =>
    (sheet.versions[name] ?? earlier.versions[name]) === earlier.versions[name];
  if (earlier.machine !== machine() || !servers.every(isSame)) return [];
  for (const name of servers) {
    sheet.versions[name] ??= earlier.versions[name] as string;
    sheet.figures[name] = { ...earlier.figures[name], ...sheet.figures[name] };
    for (const which of ["others", "slow"] as const) {
      sheet[which][name] = [...(earlier[which]?.[name] ?? []), ...(sheet[which][name] ?? [])];
    }
  }
  sheet.notes.unshift(...earlier.notes);
  return earlier.runs;
}

const told = ({ command, date, minutes }: Run): string =>
  `\`${command}\` on ${date} in ${minutes.toFixed(0)} minutes`;

/** @param runs in the order in which they were made; a later one's figures replace earlier ones */
export function page(sheet: Sheet, runs: readonly Run[]): string {
  const notes = sheet.notes.length === 0 ? "none" : `\n- ${sheet.notes.join("\n- ")}`;
  return `# Benchmarks

Measured by ${runs.map(told).join(", then by ")}.
Machine: ${machine()}.

${table(sheet)}

${EXPLANATION}
${otherWork(sheet)}

Notes of this run: ${notes}
`;
}

export const json = (sheet: Sheet, runs: readonly Run[]): string =>
  `${JSON.stringify({ runs, machine: machine(), ...sheet }, null, 2)}\n`;

const EXPLANATION = `## How to read it
- Every server runs alone, one after another, on loopback, with the same accounts, certificate (P-256)
  and load; with rosters, offline messages, carbons, blocking and stream management, and the archive
  only where a row says so. Each stores in its embedded default: Zonda in SQLite, ejabberd in Mnesia,
  Prosody in files. ejabberd's schedulers are told not to spin while they wait.
- CPU is user and system time of all processes of the *server*, from /proc; memory is proportional
  set size. The load's own use is not in it.
- *floor* is a bare Node process that gives the expected answers without parsing, checking or storing
  anything: what sockets cost in Node. The load is not the bottleneck where the floor, under the same
  load, reaches a multiple of a server's rate.
- *Login* is connect, SCRAM-SHA-1, bind, a roster of 30, presence to 30 contacts who are away, and one
  ping. *Seed scenario* is a login, a message to somebody online, one to somebody offline, and logout.
- Everything is done before it is measured, for eight seconds, or once in full if that takes longer: a login of ours
  costs half of what the first hundreds do after some thousands of them.
- *Message* is a closed loop: 2,000 sessions (400 with \`--quick\`, or what \`--sessions\` says) in random pairs, one message of each pair always under
  way. Latency is from before the sender's write to after the recipient's read.
- *At 70 %* one process is the load, of at most 20,000 messages a second, so that a processor is left to the server. Two
  of them and a busy server shared two processors, and who waits for one waits for the kernel's next tick, 4 ms: that was
  the p99 of every server then, the floor's too (3.8 to 4.1 ms). It sends what is due also whenever it has read, since
  what a timer sends at once waits behind itself. *At 10,000 a second* is the same with one load for all that can take it: a
  faster server is loaded more at 70 % of its own rate.
- *Of the median quarter second*: hosts slow the processors of their guests down, some to a tenth, for a tenth of a second
  every one or two. The guest counts that as work, and every server is late then, near its own rate by 20 to 60 ms: of six
  seconds that is the p99. So the 99th percentile is taken of each quarter of a second, too, and the median of those is what
  a server does by itself; of its own rare stalls it says nothing. How slow processors were before each start is said below.
- *Growth* is the power of the size by which a figure grows from 1× to 16×: 0 is flat. 4× sessions are what
  \`--sessions\` says (a fifth of it with the archive on), and 1× users are as many accounts of each kind. By roster,
  16 users change their presence before all their contacts, or the name of one of them.
- Idle sessions have a roster of 6, and rest a minute before they are measured; used ones have then
  exchanged messages for five seconds.

## Where it goes
By \`perf record\` on the server, two cores, other work beside it: shares, not times.
- *A login* is flat: 23 % in the kernel (a third of it eight writes, as many as the floor's), 18 % in compiled
  JavaScript, Node's and ours, 17 % in V8's built-ins, 10 % in its runtime, 10 % in collecting garbage, 7 % in SQLite with its
  locks, 5 % in compiling. By feature: SASL 9 %, presence 9 %, answering the roster 7 %, ending the session 4 %, stored messages 2 %.
  Counted over 200 of them with their ends: 257 promises, 28 calls of \`nextTick\`, 27 buffers made of strings, seven statements
  that read (two of them for the roster, which are one since) and one that writes, each.
- *A seed session* besides: 10 % in commits, 4 of it in flushing. It stores twice, its message and when its user was last
  there. SQLite's locks are 0.6 %, giving memory back at once is 0.7 % and some of the 1.9 % for page faults. With eight under
  way each read its roster 1.35 times, because every commit made the store forget; now only the user's own changes do.
- *A change to a roster* in SQLite cost 63 µs with 30 contacts and 602 with 480, a hundred of a commit, since it read and
  hashed all of them; now 14 and 53, of which most of the growth is finding the newest.
- *A message* is 39 % kernel, as much as the floor's whole message. Of our part the parser has 9 % of all, delivery 8 %,
  checking and stamping 7 %, blocklists 5 %. A string made for a look-up is dear, since V8 looks it up among all strings of
  the program first: two of them for each message were 4 % of it. A WeakMap from messages to where they come from was dear
  in another way: each collection of young garbage goes over all that was put in since the one before. Without it one takes
  1.1 ms and not 2.1 at 20,000 messages a second; with that, and no callback for what the system took at once, a message
  costs 0.92 of before (five pairs of fresh processes, 0.91 to 1.09), one over TLS 0.98 (four pairs, 0.84 to 1.07).
- *Since then* a commit waits for more writes the more there were (4 to 12 ms): it costs as much as seven messages with their
  departures, 165 µs, most of it for the flush. Writes have no savepoints (27 → 26 µs for a message and a departure, 16 of each
  a commit); a roster is read with its flags in one value (20.5 → 17.8 µs), and forgotten when a login has read it twice.
  Remembered until others had been read it was copied twice as the young generation was collected, and then was garbage in the
  old one: what a seed session leaves there went from 9 KiB to 5, a collection of the young one from 3.5 ms to 2, of all from
  19 to 9. Of its 311 promises 258 are left. A seed session costs 0.96 of what it did (five pairs of fresh processes on a
  busy machine, 0.81 to 1.04); of a login nothing can be said (0.91 to 1.33).
- *Since then* the reads of one turn of the event loop are one transaction of SQLite: each by itself locks the file, which is
  four fifths of it (2.2 and 0.45 µs in a loop). What need not wait makes no promise: of 254 for a seed session and its end 164
  are left. It costs 0.93 of what it did (five pairs of fresh processes on a busy machine, 0.85 to 1.03), a login 0.89 (four,
  0.81 to 0.95); of one over TLS nothing can be said (four, 0.94 to 1.16). To share a transaction for 4 ms would hide so long
  what another process has stored. Of a seed session 16 % is writing to sockets now, 8 to 14 % V8's threads, most of that
  compiling, and 2 % flushing.
- Tried for logins without a gain: HMAC as two hashes of one call each, in the place of an object of Node's (0.9 µs in a
  loop, five times as much among everything else, which is how all of it is: what is dear is that so much code runs once);
  a roster as one JSON text; inlining twice as much as V8 does (0.93 to 1.04 of a seed session), or a third of that (0.95
  to 1.00); Maglev alone (1.04 to 1.19). Of jemalloc keeping pieces of 64 KiB at hand (\`lg_tcache_max\`) nothing could be said.
- A machine differs more: on the day of this table a message took the floor 11.5 µs and Zonda 14.9, and four hours later 11.4 and 24
  to 30, by the same code, with nothing else running on it (old 31.6 and 25.1, new 22.8 and 25.8, in turn). Who else uses the caches
  of a virtual machine's host cannot be seen from it, and whoever keeps 2,000 sessions in memory needs them. The table has the last.
  On a third day and another machine of the kind all took half as long again to twice as long: a message 16.3 µs for the floor, 41.3
  for Zonda and 147 for ejabberd (0.281; over TLS 0.357), a login 0.627 ms of 2.23 (0.281; over TLS 1.47 of 2.71, the floor 0.715:
  0.541), a seed session 0.967 of 2.91 (0.333), resumption 0.35 of 0.92 (0.38); the p99 at 70 % was 17.1 ms to 3.3, all at 10,000
  a second 1.53 to 28.1. Nothing on the way of a login or message had changed.
- *Beside Prosody*, that day, in µs for Zonda, ejabberd and Prosody: presence delivered 6.56, 48.5 and 60.1 (0.135), a roster change
  pushed 87.7, 378 and 2,008 (0.232), a message routed and archived 118, 1,609 and 738 (0.159), a page of history 545, 42,397
  and 11,000 (0.050).
- *Growth*, that day: a message among 500, 2,000 and 8,000 sessions is 20.4, 44.6 and 46.9 µs for Zonda (power 0.30), 11.4, 14.1 and
  18.6 for the floor (0.18), 112, 129 and 208 for ejabberd (0.22): the sessions stop fitting into the processor's caches, which
  is also what makes machines differ. A login is flat: 0.56, 0.6 and 0.603 ms (0.03), ejabberd's 1.94, 2.01 and 2.1. On a fourth,
  busy machine a message is 30 to 41, 37 to 62 and 38 to 49 µs (three stretches each), the floor's 15 to 21, 23 to 27 and 20 to
  23. Logins there by the size of the roster, each for a second of a processor: 0.64, 0.99 and 1.37 ms with 30, 120 and 480
  contacts (power 0.28), ejabberd's 4.9, 3.8 and 14 (0.38).
- *What makes a p99*, on that machine, server and load ahead of all other work (of seven seconds they waited 0.03 and 0.1 for
  a processor), two runs each: 52 and 54 ms at 20,000 messages a second, 14 and 21 for the floor, 64 and 75 for ejabberd at its
  9,300 and 8,200; of the median quarter second 1.16 and 1.12, 0.50 and 0.78, 0.99 and 1.05. All at 10,000 a second 14 and 30,
  5 and 8, 61 and 67; 0.64 and 1.27, 0.34 and 0.42, 2.17 and 0.85. What is late is not the garbage: only the young generation is
  collected meanwhile, three to eight times a second, 0.6 to 1.1 ms each, 5.8 the longest, 0.65 % of all samples (with 2 MiB for it 0.6 to
  1.1 ms, thirteen times as often). The event loop stands still for 35 to 65 ms while its thread has the processor,
  whichever function it is in, every 1.9 seconds. A loop that only adds has 0.08 of its speed then, and all of it again
  within a tenth of a second.
- *The table before* was of a fifth machine. Its seed session (0.75 ms, 0.661 with the proxy idle beside
  it) is dearer than that of the one before (0.5): measured by itself, in turn with the code of that one, it was 0.611,
  0.472 and 0.506 ms, and that code's 0.572, 0.533 and 0.533. So it is not the code; what it is was not found. *The table* is
  of a sixth, all of it in one quiet run. A login without TLS is dearer there, 0.567 ms and not 0.42: by itself it is 0.54
  and 0.493, and in turn with it, by the code of the table before, 0.48 and 0.54.
- *A message makes* 9.3 KB of garbage, a third of it in the parser, which takes 2.9 µs and stamping 1.3, and asks 35 maps and
  sets. Plain sockets read into one place now and copy what came, as those with TLS did: no buffer for each read. The floor's
  message costs 0.87 and 0.92 of before so (two runs of 23 pairs of half seconds in turn, on the busy machine), ours 0.95 to 1.07
  (six runs, the median of pairs; of the cheapest quarter of the half seconds 0.89 to 1.05).
- *Since then* it makes some 4 KB (8.4 before, counted the same way; with acknowledgements 5.6 and 11.1) and asks some 20 maps and
  sets (33): tags are read without lists of their own, what need not wait makes no closures and no rounds of delivery, a stanza
  that came in one piece is not copied. Framing, parsing and stamping take 0.75 of before in a loop (3.9 and 2.9 µs). A message
  costs 0.93, 0.90 and 0.93 of before (three pairs of fresh processes in turn on the quiet machine of the table: 28.7, 28.6 and
  27.6 µs, and 26.7, 25.7 and 25.7). Of what is left most is the kernel's and Node's streams; what is cold in the caches costs the most of ours: the
  sender's routes for copies, blocklists, and who is told that a write was taken.
- Two processes of the same program differ by a tenth for as long as they live, so what is compared is started anew several
  times, and changes places. By that nothing could be said of \`--no-parallel-scavenge\`, which wakes the collector's threads
  a third as often: from 0.76 to 1.43 of a message, a login or a seed session without it.
- *Latency at 70 %*, as the kernel counts it, with other work on both processors: of three seconds the server runs 1.5 and
  waits for a processor one more, the floor 0.9 and one; collecting garbage is 0.02. All at 10,000 a second the p99 is 1.2 ms for
  the floor, 1.5 and 4.2 for Zonda, 7.2 and 12.4 for ejabberd; at 20,000 it is 2.1 and 3 for the floor, 5.4 and 5.6 for Zonda.
- *A TLS login* was 16 % handshake (of it, of all: keys 3.5 %, two tickets 2.7 %, signature 1.3 %), 11 % writing, 5 % reading our own
  certificate back for the hash that channel binding needs, 3 % making the socket. The hash is made once now, and a node
  without certificates for single domains does not stop the handshake to ask which: 0.87 and 0.90 of what it cost.
- *An idle session* was to a third a buffer that nobody needed. Node shares out buffers as pieces of one of 64 KiB, and a
  piece keeps all of it: the last presence of a session held 5.5 KiB, which is what a login takes of such buffers, and up to 64
  where logins come one by one among messages. What is kept long has memory of its own now: the buffers of 6,000 sessions
  are 1 MiB and were 33. V8's heap has 3.3 KiB for a session, one of them Node's for a socket. The rest of the figure is the young
  generation, 27 to 51 MiB after a storm of logins: V8 gives it back when it next collects everything, which in a
  node at rest may be after ten seconds or not within the minute. With it 6,000 sessions took 17.7 KiB each; since, and
  collected, 3.6 at rest and 4.1 in use.
- *A TLS session* is mostly OpenSSL's in Node: 44 KiB for a bare socket of an echo server with 4,000 of them, by glibc's malloc; TLS 1.2,
  ChaCha20 or no session tickets save little. By jemalloc it is 39, and 36 with one arena and free memory given back, which is how the image
  runs and how Zonda is measured here. Given back at once it costs a login
  over TLS 10 calls of \`madvise\` and as many page faults; after half a second, by a thread of jemalloc's, a seed session costs
  0.89 of that (five pairs of fresh processes, 0.83 to 1.00). But Node reads TLS into 64 KiB for each socket and uses a page or two
  of it: where that was free memory not given back yet, all of it counts. 1,500 sessions at rest are 145 MiB so (two runs,
  144 and 146), and 119 where it is given back at once (118 and 120), 17 KiB less each. On a busy machine a login over TLS
  had 14 page faults then rather than 9 and 1.03 of the cost (three pairs, 0.84 to 1.19), a message between plain sessions
  0.21 rather than 0.007, 19.9 µs and 19.4. To give back at once only pieces of 64 KiB and more (\`oversize_threshold\`) saves as
  much: 1,500 sessions take 67 and 71 KiB each rather than 83 (66 where all is given back at once), 9,000 take 50, 15,000 take
  47.7. But a login without TLS costs 1.09 and 1.13 of before then and a seed session 1.07 and 1.04 (two pairs; a login over TLS
  0.99 and 0.97), so it is not set. A copy of the protocol's name for ALPN held another 5.7 KiB of a shared buffer.
  HAProxy does the same in 18: *proxied* is Zonda behind it, the proxy included, as \`spec.tls.endsAt: Proxy\` runs it
  ([web-and-domains.md](web-and-domains.md#tls-beside-the-node), with what it costs).
- Young generations of 16 to 64 MiB and a collector without threads of its own made no difference to a login or a
  message beyond the noise, a tenth; 4 MiB looked dearer. The default stays. Latency with 2, 4 and 64 MiB was compared on a
  machine too busy to tell a difference.

## Beyond capacity
![Logins, messages, latency and memory over time](overload.svg)

\`npm run overload\` draws it: what one node does under twice the messages and twice the logins that it can
do alone, on the machine as it then is. The load shares its processors. It fails when a message that was
written has not arrived in the end.

Deliveries go first: of each turn of the event loop an eighth is for logins, those that have begun before others, and new
connections are refused while one has waited for a second ([architecture.md](architecture.md), "When something is
slow"). What is not read yet waits with its client, by TCP.
`;
