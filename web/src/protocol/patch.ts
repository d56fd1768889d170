/** Applying the server's patches to the view. Pure: the given state is not changed. */
import type { Patch, RoomState } from "./types";

/** Members of the view that are merged entity by entity; all others are replaced whole. */
const COLLECTIONS = ["people", "rooms", "transitions", "calls", "recordings", "expected"] as const;
type Collection = (typeof COLLECTIONS)[number];

function isCollection(key: string): key is Collection {
  return (COLLECTIONS as readonly string[]).includes(key);
}

/** The state after `patch`. Untouched members keep their identity, so views can compare by reference. */
export function applyPatch(state: RoomState, patch: Patch | null): RoomState {
  if (patch === null) return state;
  const next: Record<string, unknown> = { ...state };
  for (const [key, value] of Object.entries(patch)) {
    next[key] = isCollection(key) ? mergeEntities(state[key] ?? {}, value as Record<string, unknown>) : value;
  }
  return next as unknown as RoomState;
}

function mergeEntities(before: object, changes: Record<string, unknown>): Record<string, unknown> {
  const merged: Record<string, unknown> = { ...before };
  for (const [id, entity] of Object.entries(changes)) {
    if (entity === null) delete merged[id];
    else merged[id] = entity;
  }
  return merged;
}
