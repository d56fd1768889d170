/** The control bar of a running breakout: moderators steer it from here, participants call and find their way. */
import { Bell, LayoutGrid } from "lucide-preact";
import { useState } from "preact/hooks";
import type { RoomState, Send } from "../protocol/types";
import { Button } from "../ui/kit";
import { BroadcastButton } from "./broadcasts";
import { CallButton } from "./calls";
import { isActive, MAIN, roomsInOrder } from "./logic";
import { RoomPicker } from "./picker";
import { TimeButton } from "./time";
import { t } from "./texts";
import "./breakout.css";

interface BarProps {
  state: RoomState;
  send: Send;
  serverNow: () => number;
  dashboardOpen: boolean;
  /** Opens the dashboard, or closes it. */
  onDashboard: () => void;
}

/** Only while a breakout runs. */
export function ControlBar({ state, send, serverNow, dashboardOpen, onDashboard }: BarProps) {
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
  const toggle = t(dashboardOpen ? "closeDashboard" : "openDashboard");
  return (
    <div class={moderator ? "controlbar" : "controlbar guest"} role="region" aria-label={t("bar")} data-testid="control-bar">
      {moderator && <BroadcastButton send={tell} />}
      <TimeButton state={state} send={tell} serverNow={serverNow} />
      <div class="middle">
        {moderator ? (
          <RoomPicker label={t("change", { room: here })} face={here} testId="room-menu" state={state} send={tell} />
        ) : (
          <Participants state={state} send={tell} />
        )}
        {error && <span role="alert" class="badge warn">{error}</span>}
      </div>
      {moderator && (
        <>
          <Button small look={waiting ? "primary" : "quiet"} testId="bell" onClick={() => { if (!dashboardOpen) onDashboard(); }} aria-label={waiting ? t("calls", { count: waiting }) : t("noCalls")}>
            <Bell size={18} aria-hidden="true" />{waiting || ""}
          </Button>
          <Button small testId="open-dashboard" aria-label={toggle} aria-expanded={dashboardOpen} onClick={onDashboard}><LayoutGrid size={16} aria-hidden="true" /> <span class="words">{toggle}</span></Button>
        </>
      )}
    </div>
  );
}

function Participants({ state, send }: { state: RoomState; send: Send }) {
  const inRoom = state.you.room_id !== MAIN;
  const assigned = state.you.assigned_room_id;
  // Without a moderator nobody could let them out: then the way back is always open.
  const guarded = Object.values(state.people).some((person) => person.role === "moderator" && person.online);
  const chooses = state.breakout.assign === "self" && state.breakout.status === "running";
  const offered = roomsInOrder(state).filter((room) => room.room_id !== MAIN);
  return (
    <>
      {inRoom && <CallButton state={state} send={send} />}
      {inRoom && (state.breakout.may_return || !guarded) && state.breakout.status === "running" && (
        <Button small testId={`join-room-${MAIN}`} onClick={() => void send("join_room", { room_id: MAIN })}>{t("back")}</Button>
      )}
      {!inRoom && assigned && state.rooms[assigned] && !chooses && (
        <Button small look="primary" testId={`join-room-${assigned}`} onClick={() => void send("join_room", { room_id: assigned })}>
          {t("join")}: {state.rooms[assigned]?.name}
        </Button>
      )}
      {chooses && offered.length > 0 && <RoomPicker label={t("choose")} face={t("choose")} testId="choose-room" state={state} rooms={offered} send={send} />}
    </>
  );
}
