/** People of the course who have not arrived yet: a room can be chosen for them now. */
import type { RoomState, Send } from "../protocol/types";
import { breakoutRooms } from "./logic";
import type { Roster, RosterPerson } from "./roster";
import { t } from "./texts";

/** Participants of the roster who never entered this session. */
function absent(state: RoomState, roster: Roster): RosterPerson[] {
  return roster.people.filter((person) => person.role !== "moderator" && !(person.person_id in state.people));
}

interface ExpectedProps {
  state: RoomState;
  send: Send;
  roster: Roster;
}

export function Expected({ state, send, roster }: ExpectedProps) {
  const people = absent(state, roster);
  const rooms = breakoutRooms(state);
  if (people.length === 0 || rooms.length === 0) return null;
  return (
    <details class="expected" data-testid="expected">
      <summary>{t("expected", { count: people.length })}</summary>
      <p class="note">{t("expectedNote")}</p>
      <ul>
        {people.map((person) => (
          <li key={person.person_id}>
            <label for={`expected-${person.person_id}`}>{person.name || t("offline")}</label>
            <select
              id={`expected-${person.person_id}`} value={state.expected?.[person.person_id]?.room_id ?? ""}
              onChange={(event) => void send("assign_participant", { person_id: person.person_id, room_id: event.currentTarget.value || null })}
            >
              <option value="">{t("notExpected")}</option>
              {rooms.map((room) => <option key={room.room_id} value={room.room_id}>{room.name}</option>)}
            </select>
          </li>
        ))}
      </ul>
    </details>
  );
}
