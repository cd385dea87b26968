/**
 * The declaration kit: every option is declared once, with its type, default, bounds and a
 * sentence. Rooms and modules build sections from these; schema.ts joins them.
 */
import { z } from "zod";

interface About<T> {
  /** One sentence for people, shown by `zonda config schema` and the reference. */
  readonly about: string;
  /** Without a default the option is optional and undefined when not given. */
  readonly default?: T;
}

interface Bounded extends About<number> {
  readonly min: number;
  readonly max: number;
}

interface RequiredBounded extends Bounded {
  readonly default: number;
}

/** A whole number within bounds. */
export const integer = ({ about, min, max, default: value }: RequiredBounded) =>
  z.int().min(min).max(max).default(value).describe(about);

/** A TCP port; 0 lets the system choose a free one. */
export const port = (about: string, value: number) =>
  integer({ about, min: 0, max: 65_535, default: value });

/** A whole number within bounds that has no default. */
export const optionalInteger = ({ about, min, max }: Bounded) =>
  z.int().min(min).max(max).optional().describe(about);

export const flag = ({ about, default: value }: About<boolean> & { default: boolean }) =>
  z.boolean().default(value).describe(about);

/** A line of text of 1 to 1,023 characters. */
export const text = ({ about, default: value }: About<string> & { default: string }) =>
  z.string().min(1).max(1023).default(value).describe(about);

export const optionalText = ({ about }: About<never>) =>
  z.string().min(1).max(4096).optional().describe(about);

/** A password or token: never printed, never logged. */
export const secret = (about: string) =>
  z.string().min(1).max(4096).optional().describe(about).meta({ writeOnly: true });

/** The same where there must be one. */
export const requiredSecret = (about: string) =>
  z.string().min(1).max(4096).describe(about).meta({ writeOnly: true });

/** The path of a file that must be given, relative to the working directory. */
export const requiredFile = (about: string) => z.string().min(1).max(4096).describe(about);

/** The path of a file, relative to the working directory. */
export const file = (about: string) => z.string().min(1).max(4096).optional().describe(about);

export const choice = <const T extends readonly [string, ...string[]]>(
  values: T,
  { about, default: value }: About<T[number]> & { default: NoInfer<T[number]> },
) =>
  z
    .enum(values)
    .default(value as never)
    .describe(about);

/** The path of a PEM file, or its text where there is no place for a file. */
export const pem = (about: string) => z.string().min(1).max(65_536).optional().describe(about);

/** Some of the values, at least one. */
export const choices = <const T extends readonly [string, ...string[]]>(
  values: T,
  { about }: About<never>,
) =>
  z
    .array(z.enum(values))
    .min(1)
    .max(values.length)
    .default([...values] as never)
    .describe(about);

/** A list of `min` (1 if left out) to `max` lines of text without repeats. */
export const list = ({
  about,
  min = 1,
  max,
  default: value,
}: About<readonly string[]> & { min?: number; max: number; default: readonly string[] }) =>
  z
    .array(z.string().min(1).max(1023))
    .min(min)
    .max(max)
    .refine((items) => new Set(items).size === items.length, "an entry stands twice")
    .default([...value])
    .describe(about);

/** At most `max` groups of options by a name that is not ours; none if left out. */
export const byName = <S extends z.ZodRawShape>(about: string, max: number, shape: S) =>
  z
    .record(z.string().min(1).max(255), z.strictObject(shape))
    .refine((groups) => Object.keys(groups).length <= max, `more than ${max}`)
    .default({})
    .describe(about);

/** A named group of options. Unknown keys are refused; a group left out gets its defaults. */
export const section = <S extends z.ZodRawShape>(about: string, shape: S) =>
  z
    .strictObject(shape)
    .prefault({} as never)
    .describe(about);
