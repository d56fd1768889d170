/** The control bar of a running breakout, and its pieces that the dashboard shows too. */
import { Bell, Check, ChevronDown, LayoutGrid, Megaphone, Timer, X } from "lucide-preact";
import { useEffect, useState } from "preact/hooks";
import type { CallView, RoomState, Send } from "../protocol/types";
import { Button, Dialog, Menu, Ring } from "../ui/kit";
import { length } from "../ui/text";
import { isActive, MAIN, myCountdown, roomsInOrder, secondsUntil } from "./logic";
import { t } from "./texts";
import "./breakout.css";

/** The server's time, renewed while something counts. */
export function useNow(serverNow: () => number, running: boolean): number {
  const [now, setNow] = useState(serverNow());
  useEffect(() => {
    if (!running) return;
    setNow(serverNow());
    const timer = setInterval(() => setNow(serverNow()), 250);
    return () => clearInterval(timer);
  }, [running]);
  return now;
}

/** The last minute is marked, and said once. */
const LAST_S = 60;

export function TimeButton({ state, send, serverNow }: { state: RoomState; send: Send; serverNow: () => number }) {
  const [open, setOpen] = useState(false);
  const [minutes, setMinutes] = useState("5");
  const [error, setError] = useState<string | null>(null);
  const endsAt = state.breakout.ends_at;
  const now = useNow(serverNow, endsAt !== null);
  if (endsAt === null) return null;
  const left = length(secondsUntil(endsAt, now));
  const short = secondsUntil(endsAt, now) <= LAST_S;
  const face = (
    <>
      <span class={short ? "time short" : "time"} role="timer"><Timer size={16} aria-hidden="true" /> {t("left", { time: left })}</span>
      {short && <Once text={t("left", { time: left })} />}
    </>
  );
  if (state.you.role !== "moderator") return <span>{face}</span>;
  const add = async (event: Event) => {
    event.preventDefault();
    const answer = await send("add_time", { seconds: Math.round(Number(minutes) * 60) });
    if (answer.ok) setOpen(false);
    else setError(answer.error.message);
  };
  return (
    <>
      <Button small look="quiet" testId="remaining-time" onClick={() => setOpen(true)} aria-label={`${t("remaining")}: ${left}`}>
        {face}
      </Button>
      {open && (
        <Dialog title={t("remaining")} onClose={() => setOpen(false)}>
          <form class="stack" onSubmit={(event) => void add(event)}>
            <div class="field">
              <label for="add-minutes">{t("addMinutes")}</label>
              <input id="add-minutes" class="number" type="number" min="1" max="480" required value={minutes} onInput={(e) => setMinutes(e.currentTarget.value)} />
              {error && <p class="error" role="alert">{error}</p>}
            </div>
            <div class="row">
              <Button look="primary" type="submit" testId="add-time">{t("addTime")}</Button>
              <Button onClick={() => setOpen(false)}>{t("cancel")}</Button>
            </div>
          </form>
        </Dialog>
      )}
    </>
  );
}

export function BroadcastButton({ send }: { send: Send }) {
  const [open, setOpen] = useState(false);
  const [text, setText] = useState("");
  const [error, setError] = useState<string | null>(null);
  const submit = async (event: Event) => {
    event.preventDefault();
    const answer = await send("broadcast_message", { text });
    if (answer.ok) {
      setOpen(false);
      setText("");
      setError(null);
    } else setError(answer.error.message);
  };
  return (
    <>
      <Button small testId="broadcast-open" aria-label={t("broadcast")} onClick={() => setOpen(true)}><Megaphone size={16} aria-hidden="true" /> <span class="words">{t("broadcast")}</span></Button>
      {open && (
        <Dialog title={t("broadcast")} onClose={() => setOpen(false)}>
          <form class="stack" onSubmit={(event) => void submit(event)}>
            <div class="field">
              <label for="broadcast-text">{t("broadcastText")}</label>
              <textarea
                id="broadcast-text" data-testid="broadcast-text" rows={3} maxLength={1000} required value={text}
                onInput={(event) => setText(event.currentTarget.value)}
              />
              {error && <p class="error" role="alert">{error}</p>}
            </div>
            <div class="row">
              <Button look="primary" type="submit" testId="broadcast-send">{t("broadcastSend")}</Button>
              <Button onClick={() => setOpen(false)}>{t("cancel")}</Button>
            </div>
          </form>
        </Dialog>
      )}
    </>
  );
}

/** Open help calls, oldest first, with Join and X. */
export function CallList({ state, send, join }: { state: RoomState; send: Send; join: Send }) {
  const calls = Object.values(state.calls).sort((a, b) => a.raised_at.localeCompare(b.raised_at));
  if (!calls.length) return null;
  return (
    <div class="calls" role="status">
      {calls.map((call) => {
        const name = state.people[call.person_id]?.name ?? "";
        return (
          <div class="call" key={call.call_id}>
            <p>
              <Bell size={16} aria-hidden="true" /> {t("calling", { name, room: state.rooms[call.room_id]?.name ?? "" })}
              {call.status === "claimed" && <> – {state.people[call.handled_by ?? ""]?.name ?? ""} <Check size={16} aria-hidden="true" /></>}
            </p>
            {(call.status === "raised" || call.handled_by === state.you.person_id) && (
              <Button small testId={`call-join-${call.call_id}`} onClick={() => void join("claim_call", { call_id: call.call_id })}>{t("joinCall")}</Button>
            )}
            <Button
              small class="icon" testId={`call-dismiss-${call.call_id}`} aria-label={t("dismiss", { name })}
              onClick={() => void send("dismiss_call", { call_id: call.call_id })}
            >
              <X size={18} aria-hidden="true" />
            </Button>
          </div>
        );
      })}
    </div>
  );
}

interface BarProps {
  state: RoomState;
  send: Send;
  serverNow: () => number;
  onOpenDashboard: () => void;
}

/** Only while a breakout runs: moderators steer it from here, participants call and find their way. */
export function ControlBar({ state, send, serverNow, onOpenDashboard }: BarProps) {
  const [error, setError] = useState<string | null>(null);
  if (!isActive(state)) return null;
  const tell: Send = async (name, args) => {
    const answer = await send(name, args);
    setError(answer.ok ? null : answer.error.message);
    return answer;
  };
  const moderator = state.you.role === "moderator";
  const here = state.you.room_id === MAIN ? t("main") : (state.rooms[state.you.room_id]?.name ?? "");
  const waiting = Object.values(state.calls).filter((call) => call.status === "raised").length;
  const rooms = roomsInOrder(state).filter((room) => room.room_id !== state.you.room_id);
  const choices = rooms.map((room) => ({
    label: room.room_id === MAIN ? t("main") : room.name,
    onSelect: () => void tell("join_room", { room_id: room.room_id }),
    testId: `go-${room.room_id}`,
  }));
  return (
    <div class={moderator ? "controlbar" : "controlbar guest"} data-testid="control-bar">
      {moderator && <BroadcastButton send={tell} />}
      <TimeButton state={state} send={tell} serverNow={serverNow} />
      <div class="middle">
        {moderator ? (
          <Menu label={t("change", { room: here })} items={choices} look="" small testId="room-menu">{here} <ChevronDown size={16} aria-hidden="true" /></Menu>
        ) : (
          <Participants state={state} send={tell} choices={choices} />
        )}
        {error && <span role="alert" class="badge warn">{error}</span>}
      </div>
      {moderator && (
        <>
          <Button small look={waiting ? "primary" : "quiet"} testId="bell" onClick={onOpenDashboard} aria-label={waiting ? t("calls", { count: waiting }) : t("noCalls")}>
            <Bell size={18} aria-hidden="true" />{waiting || ""}
          </Button>
          <Button small testId="open-dashboard" aria-label={t("openDashboard")} onClick={onOpenDashboard}><LayoutGrid size={16} aria-hidden="true" /> <span class="words">{t("openDashboard")}</span></Button>
        </>
      )}
    </div>
  );
}

interface ChoicesProps {
  state: RoomState;
  send: Send;
  choices: { label: string; onSelect: () => void; testId: string }[];
}

function Participants({ state, send, choices }: ChoicesProps) {
  const inRoom = state.you.room_id !== MAIN;
  const call = Object.values(state.calls)[0];
  const assigned = state.you.assigned_room_id;
  // Without a moderator nobody could let them out: then the way back is always open.
  const guarded = Object.values(state.people).some((person) => person.role === "moderator" && person.online);
  const offered = state.breakout.assign === "self" ? choices.filter((choice) => choice.testId !== `go-${MAIN}`) : [];
  return (
    <>
      {inRoom && !call && <Button small look="primary" testId="call-moderator" onClick={() => void send("call_moderator", {})}>{t("callModerator")}</Button>}
      {call && <span role="status">{callText(state, call)}</span>}
      {call && <Button small onClick={() => void send("cancel_call", {})}>{t("cancelCall")}</Button>}
      {inRoom && (state.breakout.may_return || !guarded) && state.breakout.status === "running" && (
        <Button small testId={`join-room-${MAIN}`} onClick={() => void send("join_room", { room_id: MAIN })}>{t("back")}</Button>
      )}
      {!inRoom && assigned && state.rooms[assigned] && state.breakout.assign !== "self" && (
        <Button small look="primary" testId={`join-room-${assigned}`} onClick={() => void send("join_room", { room_id: assigned })}>
          {t("join")}: {state.rooms[assigned]?.name}
        </Button>
      )}
      {offered.length > 0 && <Menu label={t("choose")} items={offered} look="" small testId="choose-room">{t("choose")} <ChevronDown size={16} aria-hidden="true" /></Menu>}
    </>
  );
}

function callText(state: RoomState, call: CallView): string {
  if (call.status !== "claimed") return t("called");
  const helper = state.people[call.handled_by ?? ""];
  return helper && helper.room_id === state.you.room_id ? t("beside") : t("onTheWay");
}

/** The ring and one sentence before a move; spoken once, never blocking. */
export function Countdown({ state, serverNow }: { state: RoomState; serverNow: () => number }) {
  const transition = myCountdown(state);
  const now = useNow(serverNow, transition !== null);
  if (!transition) return null;
  const left = secondsUntil(transition.effective_at, now);
  if (left <= 0) return null;
  const target = transition.moves[state.you.person_id];
  const seconds = Math.ceil(left);
  let text = transition.kind === "end" ? t("endsIn", { seconds }) : t("startsIn", { seconds });
  if (target === MAIN) text = t("returning", { seconds });
  else if (target) text = t("opens", { room: state.rooms[target]?.name ?? "", seconds });
  return (
    <div class="countdown" data-testid="countdown">
      <Ring left={left} total={Math.max(state.breakout.countdown_s, left)} />
      <span aria-hidden="true">{text}</span>
      <Once key={transition.transition_id} text={text} />
    </div>
  );
}

/** Says its first text to screen readers and no later one. */
function Once({ text }: { text: string }) {
  const [first] = useState(text);
  return <span class="sr-only" role="status">{first}</span>;
}
