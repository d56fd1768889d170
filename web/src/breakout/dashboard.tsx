/** The breakout dashboard: a column a room, people to drag, calls on top, and the tools of a running breakout. */
import { Circle, Ellipsis, EllipsisVertical, Lock, PanelRightClose, PanelRightOpen, Rows2, Rows4 } from "lucide-preact";
import { useMemo, useRef, useState } from "preact/hooks";
import type { PersonView, RecordingView, RoomState, RoomView, Send } from "../protocol/types";
import { Avatar, Button, Dialog, IconButton, Menu, Sheet, type MenuItem } from "../ui/kit";
import { limited } from "../ui/names";
import { pure } from "../ui/pure";
import { BroadcastDialog } from "./broadcasts";
import { CallList } from "./calls";
import { useDrag, type Drag, type Held } from "./drag";
import { Expected } from "./expected";
import { byColumn, gathered, isActive, liveRecording, MAIN, neighbour, plannedRoom, roomsInOrder, unassigned } from "./logic";
import { OptionChips, ReturnChip } from "./options";
import type { Roster } from "./roster";
import { t } from "./texts";

/** With more rooms the columns need the whole width, with more people the rows must be low; the moderator's own choice is kept. */
const HALF_ROOMS = 6;
const COMPACT_PEOPLE = 40;

/** A choice that this browser keeps. */
function useKept(key: string, initial: boolean): [boolean, (value: boolean) => void] {
  const [value, setValue] = useState(() => {
    try {
      const kept = localStorage.getItem(key);
      return kept === null ? initial : kept === "1";
    } catch {
      return initial;
    }
  });
  const set = (next: boolean): void => {
    setValue(next);
    try {
      localStorage.setItem(key, next ? "1" : "0");
    } catch {
      // A private window keeps nothing; the choice holds until the dashboard closes.
    }
  };
  return [value, set];
}

interface DashboardProps {
  state: RoomState;
  send: Send;
  roster: Roster;
  /** Said on top, such as that somebody else started this breakout. */
  note: string | null;
  onClose: () => void;
}

export function Dashboard({ state, send, roster, note, onClose }: DashboardProps) {
  const [error, setError] = useState<string | null>(null);
  const [ending, setEnding] = useState(false);
  const [said, setSaid] = useState("");
  const [half, setHalf] = useKept("sideroom.dashboard_half", roomsInOrder(state).length <= HALF_ROOMS);
  const [compact, setCompact] = useKept("sideroom.dashboard_compact", Object.keys(state.people).length > COMPACT_PEOPLE);
  const active = isActive(state);
  const tell: Send = async (name, args) => {
    const answer = await send(name, args);
    setError(answer.ok ? null : answer.error.message);
    return answer;
  };
  const roomName = (id: string) => (id === MAIN ? t("main") : (state.rooms[id]?.name ?? ""));
  const move = (personId: string, roomId: string) => {
    // The first move of oneself while it runs is “join”: it happens at once.
    if (active && personId === state.you.person_id) void tell("join_room", { room_id: roomId });
    else void tell("move_participant", { person_id: personId, room_id: roomId });
  };
  const moving = useRef(move);
  moving.current = move;
  const onMove = useRef((personId: string, roomId: string) => moving.current(personId, roomId)).current;
  const { held, drag } = useDrag({
    drop: move,
    neighbour: (id, step) => neighbour(state, id, step),
    say: (name, id, dropped) => setSaid(t(dropped ? "dropped" : "picked", { name, room: roomName(id) })),
  });
  const columns = byColumn(state);
  const choices = useMemo(() => destinations(state, active), [state.rooms, active]);
  const callers = new Set(Object.values(state.calls).map((call) => call.person_id));
  const go: Send = async (name, args) => {
    const answer = await tell(name, args);
    if (answer.ok) onClose();
    return answer;
  };
  const { status } = state.breakout;
  const rooms = roomsInOrder(state).filter((room) => room.room_id !== MAIN);
  const unrecorded = rooms.some((room) => !liveRecording(state, room.room_id));
  const recorded = rooms.some((room) => liveRecording(state, room.room_id));
  const away = Object.values(state.people).filter((p) => p.room_id !== MAIN).length;
  const rest = unassigned(state).length;
  const head = (
    <>
      <IconButton small class="width-switch" label={t(half ? "fullWidth" : "halfWidth")} look="quiet" testId="dashboard-width" onClick={() => setHalf(!half)}>
        {half ? <PanelRightOpen class="flip" size={18} aria-hidden="true" /> : <PanelRightClose class="flip" size={18} aria-hidden="true" />}
      </IconButton>
      <IconButton small label={t(compact ? "roomy" : "compact")} look="quiet" testId="dashboard-density" onClick={() => setCompact(!compact)}>
        {compact ? <Rows2 size={18} aria-hidden="true" /> : <Rows4 size={18} aria-hidden="true" />}
      </IconButton>
      {status === "configured" && (
        <Button look="primary" small testId="start-breakout" onClick={() => void tell("start_breakout", {})}>{t("start")}</Button>
      )}
      {status === "starting" && <span class="badge">{t("starting")}</span>}
      {status === "closing" && <span class="badge">{t("closing")}</span>}
      {(status === "running" || status === "starting") && (
        <Button look="danger" small testId="end-breakout" onClick={() => setEnding(true)}>{t("end")}</Button>
      )}
    </>
  );
  return (
    <Sheet title={t("dashboard")} closeLabel={t("close")} onClose={onClose} wide half={half} head={head} testId="dashboard">
      <p class="sr-only" role="status">{said}</p>
      {note !== null && <p role="status" class="note" data-testid="dashboard-note">{note}</p>}
      {error && <p role="alert" class="badge warn">{error}</p>}
      <CallList state={state} send={tell} join={go} />
      {!active && <OptionChips state={state} send={tell} />}
      <div class="row">
        <Button small testId="shuffle" onClick={() => void tell("shuffle_participants", { seed: crypto.getRandomValues(new Uint32Array(1))[0] ?? 1 })}>
          {t("shuffle")}
        </Button>
        {active && <Button small testId="next-room" onClick={() => void tell("move_to_next_room", {})}>{t("next")}</Button>}
        {status !== "closing" && rest > 0 && state.breakout.assign !== "self" && (
          <Button small testId="assign-rest" onClick={() => void tell("assign_rest", {})}>{t("assignRest", { count: rest })}</Button>
        )}
        {status !== "closing" && (
          <Button small testId="add-room" onClick={() => void tell("add_rooms", {})}>{t("addRoom")}</Button>
        )}
        {active && unrecorded && <Button small testId="record-all" onClick={() => void tell("start_recording", { all_rooms: true })}>{t("recordAll")}</Button>}
        {active && recorded && <Button small testId="stop-all" onClick={() => void tell("stop_recording", { all_rooms: true })}>{t("stopAll")}</Button>}
        {active && <ReturnChip state={state} send={tell} />}
      </div>
      <div class={compact ? "columns compact" : "columns"}>
        {roomsInOrder(state).map((room) => (
          <Column
            key={room.room_id} room={room} state={state} send={tell} join={go} people={columns.get(room.room_id) ?? []} held={held}
            drag={drag} onMove={onMove} choices={choices} callers={callers} active={active}
          />
        ))}
      </div>
      {status !== "closing" && <Expected state={state} send={tell} roster={roster} />}
      {held && !held.byKey && (
        <div class="drag-ghost" style={{ left: `${held.x + 12}px`, top: `${held.y + 8}px` }}>{held.name}</div>
      )}
      {ending && (
        <Dialog
          title={t("endTitle")}
          onClose={() => setEnding(false)}
          foot={
            <>
              <Button onClick={() => setEnding(false)}>{t("cancel")}</Button>
              <Button look="danger" testId="confirm-end-breakout" onClick={() => { setEnding(false); void tell("end_breakout", {}); }}>
                {t("end")}
              </Button>
            </>
          }
        >
          <p>{away === 0 ? t("endNobody") : t("endText", { count: away })}</p>
        </Dialog>
      )}
    </Sheet>
  );
}

interface ColumnProps {
  room: RoomView;
  state: RoomState;
  send: Send;
  /** As `send`, then shows the room one has gone to. */
  join: Send;
  people: PersonView[];
  held: Held | null;
  drag: Drag;
  onMove: (personId: string, roomId: string) => void;
  choices: Destination[];
  callers: ReadonlySet<string>;
  active: boolean;
}

function Column({ room, state, send, join, people, held, drag, onMove, choices, callers, active }: ColumnProps) {
  const [asking, setAsking] = useState<"name" | "broadcast" | null>(null);
  const isMain = room.room_id === MAIN;
  const title = isMain ? (active ? t("main") : t("unassigned")) : room.name;
  const recording = liveRecording(state, room.room_id);
  const classes = ["column", held ? "target" : "", held?.over === room.room_id ? "over" : ""].filter(Boolean).join(" ");
  const participants = people.filter((person) => person.role !== "moderator");
  const moderators = people.filter((person) => person.role === "moderator");
  const back = active && isMain ? gathered(state).length : 0;
  const here = state.you.room_id === room.room_id;
  const row = (person: PersonView) => (
    <Person
      key={person.person_id} person={person} column={room.room_id} own={person.person_id === state.you.person_id}
      calling={callers.has(person.person_id)} held={held?.personId === person.person_id}
      planned={active ? plannedName(state, person.person_id) : ""} drag={drag} onMove={onMove} choices={choices}
    />
  );
  const items = roomItems(room, { state, send, active, recording, onRename: () => setAsking("name"), onBroadcast: () => setAsking("broadcast") });
  return (
    <section class={classes} data-room={room.room_id} data-testid={`room-column-${room.room_id}`} aria-label={title}>
      <header>
        <h3>{title}</h3>
        {room.locked && <Lock size={14} aria-label={t("locked")} />}
        {recording && <span class="badge danger"><Circle size={10} fill="currentColor" aria-hidden="true" /> {t("rec")}</span>}
        <span class="badge" data-testid={`count-${room.room_id}`}>{participants.length}</span>
        {items.length > 0 && <Menu label={`${title}…`} items={items} small testId={`room-menu-${room.room_id}`}><Ellipsis size={18} aria-hidden="true" /></Menu>}
      </header>
      {people.length === 0 && <p class="note">{t("empty")}</p>}
      <ul>
        {participants.map(row)}
      </ul>
      {moderators.length > 0 && <ul class="moderates" aria-label={t("moderators")}>{moderators.map(row)}</ul>}
      {active && !here && (
        <Button small testId={`join-room-${room.room_id}`} onClick={() => void join("join_room", { room_id: room.room_id })}>{t("join")}</Button>
      )}
      {active && isMain && (
        <Button small testId="gather" onClick={() => void send("gather_everyone", {})}>{t("gather")}</Button>
      )}
      {back > 0 && state.breakout.status === "running" && (
        <Button small look="primary" testId="send-back" onClick={() => void send("send_everyone_back", {})}>{t("sendBack")}</Button>
      )}
      {asking === "name" && <RenameDialog room={room} send={send} onClose={() => setAsking(null)} />}
      {asking === "broadcast" && <BroadcastDialog room={room} send={send} onClose={() => setAsking(null)} />}
    </section>
  );
}

interface RoomActions {
  state: RoomState;
  send: Send;
  active: boolean;
  recording: RecordingView | null;
  onRename: () => void;
  onBroadcast: () => void;
}

/** What can be done with a room; in the main room only while people meet in it. */
function roomItems(room: RoomView, { state, send, active, recording, onRename, onBroadcast }: RoomActions): MenuItem[] {
  const { room_id } = room;
  const isMain = room_id === MAIN;
  const items: MenuItem[] = [];
  if (!isMain) items.push({ label: t("rename", { room: room.name }), onSelect: onRename });
  if (active && !isMain) items.push({ label: t("broadcastRoom"), onSelect: onBroadcast, testId: `broadcast-${room_id}` });
  if (active && !recording) items.push({ label: t("recordRoom"), onSelect: () => void send("start_recording", { room_id }), testId: `record-${room_id}` });
  if (recording) items.push({ label: t("stopRoom"), onSelect: () => void send("stop_recording", { recording_id: recording.recording_id }) });
  if (isMain) return items;
  items.push({ label: t(room.locked ? "unlock" : "lock"), onSelect: () => void send("lock_room", { room_id, locked: !room.locked }), testId: `lock-${room_id}` });
  const occupied = Object.values(state.people).some((person) => person.online && person.room_id === room_id);
  const last = roomsInOrder(state).length <= 2;
  if (!occupied && !last && state.breakout.status !== "closing") {
    items.push({ label: t("deleteRoom"), danger: true, onSelect: () => void send("remove_room", { room_id }), testId: `delete-${room_id}` });
  }
  return items;
}

function RenameDialog({ room, send, onClose }: { room: RoomView; send: Send; onClose: () => void }) {
  const [name, setName] = useState(room.name);
  const [error, setError] = useState<string | null>(null);
  const save = async (event: Event) => {
    event.preventDefault();
    const answer = await send("rename_room", { room_id: room.room_id, name });
    if (answer.ok) onClose();
    else setError(answer.error.message);
  };
  return (
    <Dialog title={t("rename", { room: room.name })} onClose={onClose}>
      <form class="stack" onSubmit={(event) => void save(event)}>
        <div class="field">
          <label for="room-rename">{t("roomName")}</label>
          <input id="room-rename" value={name} required onInput={(event) => setName(limited(event, 60))} />
          {error && <p class="error" role="alert">{error}</p>}
        </div>
        <div class="row"><Button look="primary" type="submit">{t("save")}</Button><Button onClick={onClose}>{t("cancel")}</Button></div>
      </form>
    </Dialog>
  );
}

interface Destination {
  id: string;
  label: string;
}

function destinations(state: RoomState, active: boolean): Destination[] {
  return roomsInOrder(state).map(({ room_id: id, name }) => ({
    id,
    label: id === MAIN && !active ? t("unassign") : t("to", { room: id === MAIN ? t("main") : name }),
  }));
}

function plannedName(state: RoomState, personId: string): string {
  const room = plannedRoom(state, personId);
  return room === null ? "" : room.room_id === MAIN ? t("main") : room.name;
}

interface PersonProps {
  person: PersonView;
  column: string;
  own: boolean;
  calling: boolean;
  held: boolean;
  /** The room a running countdown takes the person to; empty without one. */
  planned: string;
  drag: Drag;
  onMove: (personId: string, roomId: string) => void;
  choices: Destination[];
}

/** With three hundred people and a pointer that drags one of them, only that one is drawn anew. */
const Person = pure<PersonProps>(({ person, column, own, calling, held, planned, drag, onMove, choices }) => {
  const classes = ["who", calling ? "calling" : "", person.online ? "" : "off", held ? "held" : ""];
  const name = own ? t("you", { name: person.name }) : person.name;
  const items = () =>
    choices.filter(({ id }) => id !== column).map(({ id, label }) => ({ key: id, label, onSelect: () => onMove(person.person_id, id) }));
  return (
    <li
      class={classes.filter(Boolean).join(" ")} data-testid={`person-${person.person_id}`} tabIndex={0}
      aria-label={t("pick", { name })} {...drag(person.person_id, person.name, column)}
    >
      <Avatar name={person.name} />
      <span class="name">
        {name}
        {person.role === "moderator" && <span class="badge role">{t("moderator")}</span>}
        {!person.online && <span class="note"> · {t("offline")}</span>}
        {planned !== "" && <span class="note"> · {t("moving", { room: planned })}</span>}
      </span>
      <Menu label={t("moveTo", { name: person.name })} items={items} small><EllipsisVertical size={18} aria-hidden="true" /></Menu>
    </li>
  );
});
