/** How much of the breakout's time is left; moderators add to it, shorten it or set it. */
import { Timer } from "lucide-preact";
import { useState } from "preact/hooks";
import type { RoomState, Send } from "../protocol/types";
import { Button, Dialog } from "../ui/kit";
import { length } from "../ui/text";
import { useNow } from "./clock";
import { secondsUntil } from "./logic";
import { t } from "./texts";

/** The last minute is marked. */
const LAST_S = 60;
const QUICK_MINUTES = [-1, 1, 5] as const;

interface TimeProps {
  state: RoomState;
  send: Send;
  serverNow: () => number;
}

export function TimeButton({ state, send, serverNow }: TimeProps) {
  const [open, setOpen] = useState(false);
  const endsAt = state.breakout.ends_at;
  const now = useNow(serverNow, endsAt !== null);
  if (endsAt === null) return null;
  const left_s = secondsUntil(endsAt, now);
  const left = t("left", { time: length(left_s) });
  const face = <span class={left_s <= LAST_S ? "time short" : "time"} role="timer"><Timer size={16} aria-hidden="true" /> {left}</span>;
  if (state.you.role !== "moderator") return <span>{face}</span>;
  return (
    <>
      <Button small look="quiet" testId="remaining-time" onClick={() => setOpen(true)} aria-label={`${left}. ${t("changeTime")}`}>{face}</Button>
      {open && <TimeDialog left={left} left_s={left_s} send={send} onClose={() => setOpen(false)} />}
    </>
  );
}

interface DialogProps {
  left: string;
  left_s: number;
  send: Send;
  onClose: () => void;
}

function TimeDialog({ left, left_s, send, onClose }: DialogProps) {
  const [minutes, setMinutes] = useState("5");
  const [rest, setRest] = useState(String(Math.max(1, Math.round(left_s / 60))));
  const [error, setError] = useState<string | null>(null);
  const change = async (seconds: number) => {
    const answer = await send("add_time", { seconds });
    if (answer.ok) onClose();
    else setError(answer.error.message);
  };
  const submit = (seconds: () => number) => (event: Event) => {
    event.preventDefault();
    const wanted = seconds();
    if (wanted === 0) onClose();
    else void change(wanted);
  };
  return (
    <Dialog title={t("remaining")} onClose={onClose} foot={<Button onClick={onClose}>{t("cancel")}</Button>}>
      <p class="time">{left}</p>
      <div class="row">
        {QUICK_MINUTES.map((step) => (
          <Button key={step} small testId={`time-${step}`} onClick={() => void change(step * 60)}>
            {t(step < 0 ? "minusMinutes" : "plusMinutes", { count: Math.abs(step) })}
          </Button>
        ))}
      </div>
      <form class="field" onSubmit={submit(() => Math.round(Number(minutes) * 60))}>
        <label for="add-minutes">{t("addMinutes")}</label>
        <div class="row">
          <input id="add-minutes" class="number" type="number" min="1" max="480" required value={minutes} onInput={(e) => setMinutes(e.currentTarget.value)} />
          <Button look="primary" type="submit" testId="add-time">{t("addTime")}</Button>
        </div>
      </form>
      <form class="field" onSubmit={submit(() => Math.round(Number(rest) * 60 - left_s))}>
        <label for="set-minutes">{t("setMinutes")}</label>
        <div class="row">
          <input id="set-minutes" class="number" type="number" min="0.5" max="1440" step="0.5" required value={rest} onInput={(e) => setRest(e.currentTarget.value)} />
          <Button type="submit" testId="set-time">{t("setTime")}</Button>
        </div>
      </form>
      {error && <p class="error" role="alert">{error}</p>}
    </Dialog>
  );
}
