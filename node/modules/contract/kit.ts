/**
 * What a module from outside the tree is made with: "zonda/module". It imports the types alone; what
 * it uses at run time it is given, so that there is one of each class in the process.
 */

import { ConfigError, Unavailable } from "../../base/errors.ts";
import {
  choice,
  flag,
  integer,
  list,
  optionalInteger,
  optionalText,
  secret,
  text,
} from "../../config/options.ts";
import { fromElement } from "../../stanza/envelope.ts";
import { StanzaError } from "../../stanza/error.ts";
import { Jid } from "../../stanza/jid.ts";
import { el } from "../../xml/element.ts";
import { child, children } from "../../xml/names.ts";
import type { Module } from "../contract.ts";
import {
  announce,
  bounce,
  boundNote,
  CONSUME,
  carried,
  carriedFlag,
  command,
  consume,
  counter,
  defineModule,
  disco,
  EARLY,
  FIRST,
  gauge,
  inline,
  iq,
  LAST,
  LATE,
  MIDDLE,
  on,
  PASS,
  pass,
  stage,
  task,
} from "../contract.ts";

/** Raised when a module that was written before would not work any more. */
export const MODULE_API = 1;

export const kit = {
  defineModule,
  /** What a module returns from `setup`. */
  ...{ stage, iq, on, task, command, disco, announce, inline, boundNote, carried, carriedFlag },
  /** Places of a stage, and verdicts. */
  ...{ FIRST, EARLY, MIDDLE, LATE, LAST, PASS, pass, CONSUME, consume, bounce },
  ...{ counter, gauge },
  /** What options are declared with. */
  options: { integer, optionalInteger, flag, text, optionalText, secret, choice, list },
  /** Stanzas. */
  ...{ el, child, children, Jid, fromElement },
  /** Whom an error concerns: the peer, whoever may try again, the operator at the start. */
  ...{ StanzaError, Unavailable, ConfigError },
};
export type ModuleKit = typeof kit;

/** The default export of a module from outside. */
export interface ExternalModule {
  /** The version of this interface that it was written for. */
  readonly api: typeof MODULE_API;
  /** Called when the configuration is read: it declares, and does nothing yet. */
  module(kit: ModuleKit): Module;
}

export type { ClusterNode, Seniority } from "../../router/senior.ts";
export type { Json, TaskValue } from "../../router/task-frames.ts";
export type { TaskResult } from "../../router/tasks.ts";
export type { Claim } from "../../routes/contract.ts";
export type { Element } from "../../xml/element.ts";
export type * from "../contract.ts";
export type { ClusterService } from "./cluster.ts";
