/** Property tests look at the same cases in each run: a change is judged by itself, not by its luck.
 * ZONDA_TEST_SEED=N looks at others. Loaded before each test file by vitest.config.ts. */
import fc from "fast-check";

fc.configureGlobal({ seed: Number(process.env.ZONDA_TEST_SEED ?? 1) });
