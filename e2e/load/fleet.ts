/** The load processes of one server under test, ordered together. */
import type { ChildProcess } from "node:child_process";
import { fork } from "node:child_process";
import path from "node:path";
import { untilStopped } from "../harness/lifetime.ts";
import type { Counters, Order, Report } from "./contract.ts";

const WORKER = path.join(import.meta.dirname, "worker.ts");

export interface Fleet {
  /** Gives every process the order. Resolves with their reports as one. */
  readonly order: (order: Order) => Promise<Report>;
  /** Pids, for watching what the load itself costs. */
  readonly pids: readonly number[];
  readonly stop: () => Promise<void>;
}

/** Starts load processes; each can hold about 19,000 connections. */
export function startFleet(processes: number): Fleet {
  const children = Array.from({ length: processes }, (_, index) =>
    fork(WORKER, [`${index}`, `${processes}`], {
      serialization: "advanced",
      execArgv: ["--max-semi-space-size=16"],
    }),
  );
  const stop = untilStopped(async () => {
    await Promise.all(
      children.map((child) => {
        const ended = new Promise((resolve) => child.once("exit", resolve));
        if (child.exitCode !== null || child.signalCode !== null) return undefined;
        child.kill("SIGKILL");
        return ended;
      }),
    );
  });
  return {
    order: async (order) => merge(await Promise.all(children.map((child) => ask(child, order)))),
    pids: children.map((child) => child.pid as number),
    stop,
  };
}

function ask(child: ChildProcess, order: Order): Promise<Report> {
  return new Promise((resolve, reject) => {
    const onExit = (code: number | null) => {
      reject(new Error(`Cannot go on: a load process ended with code ${code}`));
    };
    child.once("exit", onExit);
    child.once("message", (report) => {
      child.off("exit", onExit);
      resolve(report as Report);
    });
    child.send(order);
  });
}

function merge(reports: readonly Report[]): Report {
  const keys = Object.keys(reports[0]?.counters ?? {}) as (keyof Counters)[];
  const sums = keys.map((key) => {
    return [key, reports.reduce((sum, { counters: own }) => sum + own[key], 0)] as const;
  });
  const counters = Object.fromEntries(sums) as Record<keyof Counters, number>;
  const latencies = reports.flatMap(({ latenciesMs }) => [...latenciesMs]);
  return {
    done: reports.reduce((sum, { done }) => sum + done, 0),
    failures: reports.flatMap(({ failures }) => failures).slice(0, 5),
    counters,
    latenciesMs: Float64Array.from(latencies).sort(),
    quartersMs: reports.flatMap(({ quartersMs }) => quartersMs),
    cpuMs: reports.reduce((sum, { cpuMs }) => sum + cpuMs, 0),
  };
}
