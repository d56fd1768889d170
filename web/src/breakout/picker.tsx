/** Which room to go to: every room with how many and who is there, who calls, what is recorded, what is locked. */
import { Bell, ChevronDown, Circle, Lock, UsersRound } from "lucide-preact";
import { useEffect, useRef, useState } from "preact/hooks";
import type { RoomState, RoomView, Send } from "../protocol/types";
import { Button, Sheet } from "../ui/kit";
import { liveRecording, MAIN, peopleIn, roomsInOrder } from "./logic";
import { t } from "./texts";

const SHOWN_NAMES = 4;

interface ListProps {
  state: RoomState;
  rooms: RoomView[];
  go: (roomId: string) => void;
}

function names(state: RoomState, roomId: string): string {
  const people = peopleIn(state, roomId);
  const first = people.slice(0, SHOWN_NAMES).map((person) => person.name).join(", ");
  const rest = people.length - SHOWN_NAMES;
  return rest > 0 ? t("namesMore", { names: first, count: rest }) : first;
}

export function RoomList({ state, rooms, go }: ListProps) {
  const moderator = state.you.role === "moderator";
  return (
    <ul class="rooms">
      {rooms.map((room) => {
        const name = room.room_id === MAIN ? t("main") : room.name;
        const calls = Object.values(state.calls).filter((call) => call.room_id === room.room_id && call.status === "raised").length;
        const here = state.you.room_id === room.room_id;
        const closed = room.locked && room.room_id !== MAIN && !moderator && state.you.assigned_room_id !== room.room_id;
        return (
          <li key={room.room_id} class={here ? "here" : ""} data-testid={`pick-${room.room_id}`}>
            <div class="room-facts">
              <p class="room-head">
                <strong>{name}</strong>
                <span class="count"><UsersRound size={14} aria-hidden="true" /> {t("inRoom", { count: peopleIn(state, room.room_id).length })}</span>
                {moderator && calls > 0 && <span class="badge call-mark"><Bell size={12} aria-hidden="true" /> {t("calls", { count: calls })}</span>}
                {moderator && liveRecording(state, room.room_id) && <span class="badge danger"><Circle size={10} fill="currentColor" aria-hidden="true" /> {t("rec")}</span>}
                {room.locked && <span class="badge"><Lock size={12} aria-hidden="true" /> {t("locked")}</span>}
              </p>
              <p class="note">{names(state, room.room_id) || t("empty")}</p>
            </div>
            {here ? <span class="note">{t("youAreHere")}</span> : (
              <Button small testId={`go-${room.room_id}`} disabled={closed} aria-label={t("joinNamed", { room: name })} onClick={() => go(room.room_id)}>{t("join")}</Button>
            )}
          </li>
        );
      })}
    </ul>
  );
}

interface PickerProps {
  label: string;
  face: string;
  testId: string;
  state: RoomState;
  rooms?: RoomView[];
  send: Send;
}

/** A button that opens the list below it. */
export function RoomPicker({ label, face, testId, state, rooms, send }: PickerProps) {
  const [open, setOpen] = useState(false);
  const root = useRef<HTMLDivElement>(null);
  const close = (): void => {
    setOpen(false);
    root.current?.querySelector("button")?.focus();
  };
  useEffect(() => {
    if (!open) return undefined;
    root.current?.querySelector<HTMLElement>(".popover button")?.focus();
    const outside = (event: PointerEvent): void => {
      if (!root.current?.contains(event.target as Node)) setOpen(false);
    };
    document.addEventListener("pointerdown", outside);
    return () => document.removeEventListener("pointerdown", outside);
  }, [open]);
  const go = (roomId: string): void => {
    setOpen(false);
    void send("join_room", { room_id: roomId });
  };
  const onKey = (event: KeyboardEvent): void => {
    if (event.key !== "Escape") return;
    event.preventDefault();
    event.stopPropagation();
    close();
  };
  return (
    <div class="picker" ref={root} onKeyDown={open ? onKey : undefined}>
      <Button small testId={testId} aria-haspopup="dialog" aria-expanded={open} aria-label={label} onClick={() => setOpen(!open)}>{face} <ChevronDown size={16} aria-hidden="true" /></Button>
      {open && <div class="popover" role="dialog" aria-label={t("roomsTitle")}><RoomList state={state} rooms={rooms ?? roomsInOrder(state)} go={go} /></div>}
    </div>
  );
}

/** “Choose a room” opens by itself while somebody may choose and has not. */
export function SelfChoice({ state, send }: { state: RoomState; send: Send }) {
  const { status, assign, run } = state.breakout;
  const [closedRun, setClosedRun] = useState(0);
  const [error, setError] = useState<string | null>(null);
  const must = status === "running" && assign === "self" && state.you.role !== "moderator" && state.you.room_id === MAIN && state.you.assigned_room_id === null;
  if (!must || closedRun === run) return null;
  const go = async (roomId: string): Promise<void> => {
    const answer = await send("join_room", { room_id: roomId });
    setError(answer.ok ? null : answer.error.message);
  };
  return (
    <Sheet title={t("choose")} closeLabel={t("close")} onClose={() => setClosedRun(run)} testId="self-choice">
      <p class="note">{t("chooseNote")}</p>
      {error && <p role="alert" class="badge warn">{error}</p>}
      <RoomList state={state} rooms={roomsInOrder(state).filter((room) => room.room_id !== MAIN)} go={(roomId) => void go(roomId)} />
    </Sheet>
  );
}
