/** The course's people and groups, for moderators; fetched when the breakout sheets open. */
import { useEffect, useState } from "preact/hooks";
import { call } from "../ui/page";

export interface Group {
  group_id: string;
  name: string;
  members: string[];
}

export interface RosterPerson {
  person_id: string;
  name: string;
  role: "moderator" | "participant" | "guest";
}

export interface Roster {
  people: RosterPerson[];
  groups: Group[];
}

const MAX_ROOM_NAME_CHARS = 60;
const NONE: Roster = { people: [], groups: [] };

/** Empty until it is there; without a roster the sheets work as they do without one. */
export function useRoster(token: string): Roster {
  const [roster, setRoster] = useState(NONE);
  useEffect(() => {
    let open = true;
    call<Roster>({ token }, "GET", "/app/api/roster").then(
      (data) => open && setRoster(data),
      () => undefined,
    );
    return () => {
      open = false;
    };
  }, [token]);
  return roster;
}

/** A group's name as a room's name. */
export function roomNameOf(group: Group): string {
  return group.name.trim().slice(0, MAX_ROOM_NAME_CHARS).trim() || group.group_id.slice(0, MAX_ROOM_NAME_CHARS);
}
