/** The modules of a node, by hand. Order matters only for handlers at the same place of a stage. */

import { section } from "../config/options.ts";
import { adhoc } from "./adhoc.ts";
import { admin } from "./admin/module.ts";
import { archive } from "./archive/module.ts";
import { avatars } from "./avatars.ts";
import { blocking } from "./blocking/module.ts";
import { bookmarks } from "./bookmarks.ts";
import { caps } from "./caps/module.ts";
import { carbons } from "./carbons/module.ts";
import { contacts } from "./contacts.ts";
import type { Module } from "./contract.ts";
import { csi } from "./csi.ts";
import { disco } from "./disco.ts";
import { externalServices } from "./external-services.ts";
import { guests } from "./guests.ts";
import { last } from "./last.ts";
import { offline } from "./offline.ts";
import { ping } from "./ping.ts";
import { presence } from "./presence/module.ts";
import { privateStorage } from "./private.ts";
import { pep } from "./pubsub/module.ts";
import { push } from "./push/module.ts";
import { register } from "./register.ts";
import { roster } from "./roster/module.ts";
import { time } from "./time.ts";
import { upload } from "./upload.ts";
import { vcard } from "./vcard/module.ts";
import { version } from "./version.ts";

export const MODULES: readonly Module[] = [
  guests,
  caps,
  blocking,
  roster,
  presence,
  pep,
  carbons,
  archive,
  offline,
  csi,
  privateStorage,
  vcard,
  avatars,
  bookmarks,
  last,
  adhoc,
  admin,
  contacts,
  externalServices,
  push,
  upload,
  ping,
  disco,
  version,
  time,
  register,
];

/** The modules' sections of the configuration, by module name. */
export const optionsOf = (modules: readonly Module[]) =>
  Object.fromEntries(modules.map(({ name, about, options }) => [name, section(about, options)]));
