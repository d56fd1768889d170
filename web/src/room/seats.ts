/** Who has a tile in a room of many. Pure. */

/** A grid of five by five; past that the last place says how many more there are. */
export const MOST_TILES = 25;

/**
 * The people with a tile, in the order of the tiles. `people`: everybody here, oneself first; `speakers`: loudest first;
 * `pictures`: whose camera arrives; `before`: the last answer. Who keeps a tile keeps the place too: nobody jumps.
 */
export function seats(people: readonly string[], speakers: readonly string[], pictures: ReadonlySet<string>, before: readonly string[]): string[] {
  if (people.length <= MOST_TILES) return [...people];
  const here = new Set(people);
  const order = [people[0] ?? "", ...speakers, ...people.filter((id) => pictures.has(id)), ...before, ...people];
  const wanted = new Set<string>();
  for (const id of order) {
    if (wanted.size === MOST_TILES - 1) break;
    if (here.has(id)) wanted.add(id);
  }
  const kept = before.filter((id) => wanted.has(id));
  const fresh = [...wanted].filter((id) => !kept.includes(id));
  const placed = before.map((id) => (wanted.has(id) ? id : fresh.shift())).filter((id) => id !== undefined);
  return [...placed, ...fresh].slice(0, MOST_TILES - 1);
}
