/** Waiting times between attempts: 0.25, 0.5, 1, 2, 4 s (± 20 %), then every 4 s. */
export const OVERLOAD_MS = 10_000;

/** Milliseconds before attempt `attempt` (0 = first); `random` is in [0, 1). */
export function backoffMs(attempt: number, random: number): number {
  const base = Math.min(4000, 250 * 2 ** Math.min(attempt, 10));
  return Math.round(base * (0.8 + 0.4 * random));
}

/** What a close code means: stop for good, or come back after so many ms (null = by the usual back-off). */
export function afterClose(code: number): { stop: true } | { stop: false; waitMs: number | null } {
  if ([4400, 4401, 4403, 4409, 4410, 4413].includes(code)) return { stop: true };
  if (code === 4429) return { stop: false, waitMs: OVERLOAD_MS };
  return { stop: false, waitMs: null };
}
