/**
 * A story of users who write to each other while their sessions come, go, break, go on and move and nodes die,
 * told by one seed, and what must hold afterwards.
 */
import type { TestSession } from "./client.ts";
import type { TestNode } from "./cluster.ts";
import { Cluster, DOMAIN } from "./cluster.ts";
import { conditionOf } from "./read.ts";

const NODES = 3;
export const USERS = ["abram", "bona", "citizen"].map((name) => `${name}@${DOMAIN}`);
const ENABLE_CARBONS = "<iq type='set' id='carbons'><enable xmlns='urn:xmpp:carbons:2'/></iq>";
const STEPS = 120;
const STEP_MS = 200;
/** Steps until the lease of a dead node lapses: ten seconds. */
const LEASE_STEPS = 50;

interface Device {
  readonly address: string;
  readonly user: string;
  session: TestSession | undefined;
  node: TestNode | undefined;
  isBusy: boolean;
  readonly sessions: TestSession[];
}

interface Sent {
  readonly id: string;
  readonly from: string;
  /** The sending session: order is promised within it. */
  readonly session: string;
  readonly to: string;
  isAccepted: boolean;
}

export interface Story {
  readonly seed: number;
  readonly devicesPerUser: number;
  readonly hasDeaths: boolean;
  readonly hasLosses: boolean;
  /** Devices get copies (XEP-0280), and half of the messages go to one device. */
  readonly hasCarbons?: boolean;
  /** Several messages are sent at once, as a rule. */
  readonly hasBursts?: boolean;
}

/** One run of a cluster through bad weather; what happened is left for the checks. */
export class Run {
  readonly cluster: Cluster;
  readonly devices: Device[] = [];
  readonly sent: Sent[] = [];
  /** Messages that a killed node may have had in its hands. */
  readonly inDoubt = new Set<string>();
  readonly #hasDeaths: boolean;
  readonly #hasCarbons: boolean;
  readonly #hasBursts: boolean;
  readonly #dead: TestNode[] = [];
  #expiresAtStep = Number.POSITIVE_INFINITY;

  constructor(story: Story) {
    const { seed, devicesPerUser, hasDeaths, hasLosses, hasCarbons = false } = story;
    this.#hasDeaths = hasDeaths;
    this.#hasCarbons = hasCarbons;
    this.#hasBursts = story.hasBursts ?? false;
    const chance = hasLosses ? 0.1 : 0;
    const losses = { request: chance, answer: chance, inARowMax: 1 };
    // What is late for the archive dies with its node: senders wait for it instead.
    const options = hasDeaths ? { archive: { waitMs: 60_000 } } : {};
    this.cluster = new Cluster({ nodes: NODES, seed, isCalm: false, losses, options });
    for (const user of USERS) {
      this.cluster.stores.addUser(user);
      for (let index = 0; index < devicesPerUser; index += 1) {
        this.devices.push({
          address: `${user}/device${index}`,
          user,
          session: undefined,
          node: undefined,
          isBusy: false,
          sessions: [],
        });
      }
    }
  }

  async play(): Promise<void> {
    const { weather } = this.cluster;
    for (let step = 0; step < STEPS; step += 1) {
      this.#act(step);
      if (step === this.#expiresAtStep) this.#expire();
      this.cluster.clock.advance(STEP_MS);
      for (let left = Math.floor(weather.fraction() * 12); left > 0; left -= 1) {
        await weather.step();
      }
    }
    await this.#finish();
  }

  #act(step: number): void {
    const { weather } = this.cluster;
    const device = weather.pick(this.devices) as Device;
    const dice = weather.fraction();
    if (device.session === undefined) {
      if (dice < 0.5) void this.#login(device);
    } else if (device.session.isDetached) {
      if (dice < 0.6) device.node?.resume(device.session);
      else if (dice < 0.7) this.#drop(device);
    } else if (dice < 0.6) this.#send(device);
    else if (dice < 0.85) device.session.acknowledge(1 + Math.floor(weather.fraction() * 5));
    else if (dice < 0.9) this.#drop(device);
    else if (dice < 0.95) device.node?.detach(device.session);
    else if (this.#hasDeaths && this.#dead.length === 0 && dice < 0.97) this.#kill(step);
  }

  async #login(device: Device): Promise<void> {
    const alive = this.cluster.nodes.filter(({ isAlive }) => isAlive);
    const node = this.cluster.weather.pick(alive);
    if (node === undefined || device.isBusy) return;
    device.isBusy = true;
    device.node = node;
    const session = await node.login(device.address);
    device.isBusy = false;
    device.session = session;
    device.sessions.push(session);
    if (this.#hasCarbons) void node.send(session, ENABLE_CARBONS);
    void node.send(session, "<presence/>");
  }

  #drop(device: Device): void {
    const { session, node } = device;
    device.session = undefined;
    if (session !== undefined) void node?.drop(session);
  }

  #send(device: Device): void {
    const { weather } = this.cluster;
    const to = weather.pick(USERS.filter((user) => user !== device.user));
    if (to === undefined) return;
    const count = this.#hasBursts ? 1 + Math.floor(weather.fraction() * 6) : 1;
    for (let left = count; left > 0; left -= 1) this.#sendTo(to, device);
  }

  #sendTo(to: string, device: Device): void {
    const { weather } = this.cluster;
    const { session, node } = device;
    if (session === undefined || session.isOver) return;
    const id = `${this.sent.length}`;
    const sent: Sent = { id, from: device.user, session: session.id, to, isAccepted: false };
    this.sent.push(sent);
    const device0 = this.#hasCarbons && weather.fraction() < 0.5 ? "/device0" : "";
    const xml = `<message to='${to}${device0}' type='chat' id='${id}'><body>${id}</body></message>`;
    void node?.send(session, xml).then(() => {
      sent.isAccepted = true;
    });
  }

  #kill(step: number): void {
    const node = this.cluster.weather.pick(this.cluster.nodes) as TestNode;
    this.cluster.kill(node);
    this.#dead.push(node);
    this.#expiresAtStep = step + LEASE_STEPS;
    // With no second copy of its sessions yet, what the node had in its hands is lost or doubtful:
    // unacknowledged deliveries, and whatever is on its way at this moment.
    for (const sent of this.sent) {
      if (!sent.isAccepted || !this.#isDone(sent)) this.inDoubt.add(sent.id);
    }
    for (const device of this.devices) {
      if (device.node !== node) continue;
      device.session?.end();
      device.session = undefined;
      device.isBusy = false;
    }
  }

  /** It is in one place that survives: with the client, or in the store. */
  #isDone({ id, to }: Sent): boolean {
    const isWithClient = this.devices.some(
      (device) =>
        device.user === to && device.sessions.some((session) => session.messages().includes(id)),
    );
    const isStored = this.cluster.stores
      .storedFor(to)
      .some(({ bytes }) => bytes.includes(`>${id}<`));
    return isWithClient !== isStored;
  }

  /** Dead nodes expire, everybody comes online and acknowledges until nothing moves any more. */
  async #finish(): Promise<void> {
    const { cluster } = this;
    cluster.losses.request = 0;
    cluster.losses.answer = 0;
    this.#expire();
    await this.#calm();
    // Whoever is online goes and comes back, so that nothing is left anywhere but with clients.
    for (const device of this.devices) {
      if (device.session?.isOver === true) device.session = undefined;
      if (device.session !== undefined) device.node?.resume(device.session);
      if (device.session === undefined) await this.#loginNow(device);
    }
    await this.#calm();
  }

  #expire(): void {
    for (const dead of this.#dead) this.cluster.expire(dead);
    this.#expiresAtStep = Number.POSITIVE_INFINITY;
  }

  async #loginNow(device: Device): Promise<void> {
    device.isBusy = false;
    const done = this.#login(device);
    await this.#calm();
    await done;
    await this.#calm();
  }

  async #calm(): Promise<void> {
    for (let rounds = 0; rounds < 20; rounds += 1) {
      await this.cluster.settle();
      for (const device of this.devices) device.session?.acknowledge();
      this.cluster.clock.advance(11_000);
    }
  }

  /** Senders who got an error know that their message did not arrive. */
  bounced(): Set<string> {
    const ids = new Set<string>();
    for (const device of this.devices) {
      for (const session of device.sessions) {
        for (const stanza of session.received) {
          if (conditionOf(stanza) !== undefined) ids.add(String(stanza.attrs.id));
        }
      }
    }
    return ids;
  }
}
