/** Sentences and suggestions that follow from the view alone. Pure. */
import type { ChatLine, RoomState } from "../protocol/types";
import { breakoutRooms, isActive, shareOut } from "./logic";
import { t } from "./texts";

/** The names of the rooms a broadcast went to; null for all of them, or for rooms that are gone. */
export function broadcastRooms(state: RoomState, roomIds: string[]): string | null {
  const rooms = breakoutRooms(state);
  const known = rooms.filter((room) => roomIds.includes(room.room_id));
  return known.length === rooms.length || known.length === 0 ? null : known.map((room) => room.name).join(", ");
}

/** “To all rooms”, or their names. */
export function broadcastTarget(state: RoomState, roomIds: string[]): string {
  const names = broadcastRooms(state, roomIds);
  return names === null ? t("toAllRooms") : t("toRooms", { rooms: names });
}

/** Broadcasts of the breakout that runs now, newest last; one's own are left out. */
export function currentBroadcasts(state: RoomState, chat: ChatLine[]): ChatLine[] {
  const { started_at } = state.breakout;
  if (!isActive(state) || started_at === null) return [];
  return chat.filter((line) => line.room_ids !== undefined && line.at >= started_at && line.person_id !== state.you.person_id);
}

/** “5 participants in 2 rooms: 2 or 3 in each”. */
export function shareText(people: number, rooms: number): string {
  if (people === 0) return t("noParticipants", { count: rooms });
  const facts = { people: t("people", { count: people }), rooms: t("rooms", { count: rooms }) };
  const [least, most] = shareOut(people, rooms);
  if (least === 0) return t("shareSome", facts);
  return least === most ? t("shareEven", { ...facts, count: most }) : t("shareRange", { ...facts, least, most });
}

/** About four people a room; without anybody here, four rooms. */
export function suggestedRooms(people: number): number {
  return people === 0 ? 4 : Math.max(2, Math.min(20, Math.round(people / 4)));
}
