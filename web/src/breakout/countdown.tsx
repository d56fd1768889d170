/** Countdowns before moves, as a row under the control bar: a ring, one sentence, and for moderators a way to take it back. */
import { Undo2 } from "lucide-preact";
import { useState } from "preact/hooks";
import type { RoomState, Send, TransitionView } from "../protocol/types";
import { Button, Ring } from "../ui/kit";
import { Once, useNow } from "./clock";
import { MAIN, shownCountdowns, secondsUntil } from "./logic";
import { t } from "./texts";

interface CountdownProps {
  state: RoomState;
  send: Send;
  serverNow: () => number;
}

/** Spoken once, never blocking. */
export function Countdowns({ state, send, serverNow }: CountdownProps) {
  const shown = shownCountdowns(state);
  const now = useNow(serverNow, shown.length > 0);
  const running = shown.filter((each) => secondsUntil(each.effective_at, now) > 0);
  if (running.length === 0) return null;
  return <div class="countdowns">{running.map((each) => <Row key={each.transition_id} state={state} send={send} now={now} transition={each} />)}</div>;
}

function Row({ state, send, now, transition }: { state: RoomState; send: Send; now: number; transition: TransitionView }) {
  const [error, setError] = useState<string | null>(null);
  const left = secondsUntil(transition.effective_at, now);
  const text = countdownText(state, transition, Math.ceil(left));
  const undoable = state.you.role === "moderator" && (transition.kind === "moves" || transition.kind === "gather");
  const cancel = async () => {
    const answer = await send("cancel_moves", { transition_id: transition.transition_id });
    setError(answer.ok ? null : answer.error.message);
  };
  return (
    <div class="countdown" data-testid="countdown">
      <Ring left={left} total={Math.max(state.breakout.countdown_s, left)} />
      <span aria-hidden="true">{text}</span>
      <Once text={text} />
      {undoable && <Button small testId="cancel-moves" onClick={() => void cancel()}><Undo2 class="flip" size={16} aria-hidden="true" /> {t("undo")}</Button>}
      {error && <span role="alert" class="badge warn">{error}</span>}
    </div>
  );
}

function countdownText(state: RoomState, transition: TransitionView, seconds: number): string {
  const { kind, moves } = transition;
  const target = moves[state.you.person_id];
  if (target === MAIN) return t("returning", { seconds });
  if (target !== undefined) return t("opens", { room: state.rooms[target]?.name ?? "", seconds });
  if (kind === "start") return t("startsIn", { seconds });
  if (kind === "end") return t("endsIn", { seconds });
  const people = Object.keys(moves);
  const [only] = people;
  if (kind === "gather") return t("gatherIn", { count: people.length, seconds });
  if (people.length > 1 || only === undefined) return t("movesIn", { count: people.length, seconds });
  const room = moves[only] === MAIN ? t("main") : (state.rooms[moves[only] ?? ""]?.name ?? "");
  return t("moveIn", { name: state.people[only]?.name ?? "", room, seconds });
}
