/** Help calls: a line each for moderators, and what the caller reads and can do. */
import { Bell, Check, X } from "lucide-preact";
import type { CallView, RoomState, Send } from "../protocol/types";
import { Button } from "../ui/kit";
import { t } from "./texts";

/** Open help calls, oldest first: Join and dismiss, or who helps and Done. */
export function CallList({ state, send, join }: { state: RoomState; send: Send; join: Send }) {
  const calls = Object.values(state.calls).sort((a, b) => a.raised_at.localeCompare(b.raised_at));
  if (!calls.length) return null;
  return (
    <div class="calls" role="status" data-testid="calls">
      {calls.map((call) => (
        <div class={call.status === "claimed" ? "call helped" : "call"} key={call.call_id}>
          {call.status === "claimed" ? <Check size={16} aria-hidden="true" /> : <Bell size={16} aria-hidden="true" />}
          <p>{sentence(state, call)}</p>
          {call.status === "claimed" ? <Helped state={state} call={call} send={send} join={join} /> : <Waiting state={state} call={call} send={send} join={join} />}
        </div>
      ))}
    </div>
  );
}

interface CallProps {
  state: RoomState;
  call: CallView;
  send: Send;
  join: Send;
}

function callerName(state: RoomState, call: CallView): string {
  return state.people[call.person_id]?.name ?? "";
}

function sentence(state: RoomState, call: CallView): string {
  const facts = { name: callerName(state, call), room: state.rooms[call.room_id]?.name ?? "" };
  if (call.status !== "claimed") return t("calling", facts);
  if (call.handled_by === state.you.person_id) return t("youHelp", facts);
  return t("helps", { ...facts, helper: state.people[call.handled_by ?? ""]?.name ?? "" });
}

function Waiting({ state, call, send, join }: CallProps) {
  return (
    <>
      <Button small testId={`call-join-${call.call_id}`} onClick={() => void join("claim_call", { call_id: call.call_id })}>{t("joinCall")}</Button>
      <Button
        small class="icon" testId={`call-dismiss-${call.call_id}`} aria-label={t("dismiss", { name: callerName(state, call) })}
        onClick={() => void send("dismiss_call", { call_id: call.call_id })}
      >
        <X size={18} aria-hidden="true" />
      </Button>
    </>
  );
}

/** Who answered and went elsewhere since can come back. */
function Helped({ state, call, send, join }: CallProps) {
  const mine = call.handled_by === state.you.person_id;
  const there = state.people[call.person_id]?.room_id === state.you.room_id;
  return (
    <>
      {mine && !there && <Button small testId={`call-join-${call.call_id}`} onClick={() => void join("claim_call", { call_id: call.call_id })}>{t("joinCall")}</Button>}
      <Button small testId={`call-done-${call.call_id}`} onClick={() => void send("dismiss_call", { call_id: call.call_id })}>{t("done")}</Button>
    </>
  );
}

/** The caller's side: call, how far it is, take it back or say thanks. */
export function CallButton({ state, send }: { state: RoomState; send: Send }) {
  const call = Object.values(state.calls)[0];
  if (call === undefined) {
    return <Button small look="primary" testId="call-moderator" onClick={() => void send("call_moderator", {})}>{t("callModerator")}</Button>;
  }
  const helper = state.people[call.handled_by ?? ""];
  const beside = call.status === "claimed" && helper?.room_id === state.you.room_id;
  const text = call.status !== "claimed" ? t("called") : t(beside ? "beside" : "onTheWay", { name: helper?.name ?? "" });
  return (
    <>
      <span role="status">{text}</span>
      <Button small testId="cancel-call" onClick={() => void send("cancel_call", {})}>{t(beside ? "thanksDone" : "cancelCall")}</Button>
    </>
  );
}
