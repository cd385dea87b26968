/** Whether the process lives (/healthz) and whether it should be sent clients (/readyz). */
import { withDeadline } from "../base/deadline.ts";

export interface HealthCheck {
  readonly name: string;
  /** Rejects when the part is not able to work. */
  check(): void | Promise<void>;
}

export interface Verdict {
  readonly isReady: boolean;
  /** One line per check: "name: ok" or "name: why not". */
  readonly lines: readonly string[];
}

const CHECK_DEADLINE_MS = 2_000;

export class Health {
  readonly #checks: readonly HealthCheck[];
  #notReady: string | undefined = "starting";

  constructor(checks: readonly HealthCheck[]) {
    this.#checks = checks;
  }

  /** With a reason the node is not ready whatever its parts say; undefined lifts it. */
  hold(reason: string | undefined): void {
    this.#notReady = reason;
  }

  async verdict(): Promise<Verdict> {
    if (this.#notReady !== undefined) return { isReady: false, lines: [`node: ${this.#notReady}`] };
    const results = await Promise.all(this.#checks.map(runCheck));
    return {
      isReady: results.every(({ isOk }) => isOk),
      lines: results.map(({ line }) => line),
    };
  }
}

async function runCheck({ name, check }: HealthCheck): Promise<{ isOk: boolean; line: string }> {
  try {
    await withDeadline(
      Promise.resolve(check()),
      CHECK_DEADLINE_MS,
      "check-timeout",
      `check ${name}`,
    );
    return { isOk: true, line: `${name}: ok` };
  } catch (error) {
    return { isOk: false, line: `${name}: ${(error as Error).message}` };
  }
}
