/** What a breakout runs with, as chips: each says its state and changes it. */
import { Circle, CircleOff, CornerUpLeft, Lock, Timer } from "lucide-preact";
import { useState } from "preact/hooks";
import type { BreakoutView, RoomState, Send } from "../protocol/types";
import { Button, Dialog } from "../ui/kit";
import { t } from "./texts";

/** “10 minutes”, or “90 seconds” where it is not whole minutes. */
export function limitText(limit_s: number | null): string {
  if (limit_s === null) return t("noLimit");
  return limit_s % 60 === 0 ? t("limitOf", { count: limit_s / 60 }) : t("limitSeconds", { count: limit_s });
}

/** All three in one sentence’s worth of words. */
export function optionTexts(breakout: BreakoutView): string[] {
  return [limitText(breakout.time_limit_s), t(breakout.record ? "recorded" : "notRecorded"), t(breakout.may_return ? "returnYes" : "returnNo")];
}

interface ChipProps {
  state: RoomState;
  send: Send;
}

/** Before the start: time limit, recording, return. */
export function OptionChips({ state, send }: ChipProps) {
  const [open, setOpen] = useState(false);
  const { status, time_limit_s, record } = state.breakout;
  const fixed = status !== "configured";
  return (
    <div class="row" role="group" aria-label={t("options")} data-testid="option-chips">
      <Button small class="chip" testId="chip-limit" disabled={fixed} onClick={() => setOpen(true)}><Timer size={16} aria-hidden="true" /> {limitText(time_limit_s)}</Button>
      <Button small class="chip" testId="chip-record" disabled={fixed} aria-pressed={record} onClick={() => void send("set_breakout_options", { record: !record })}>
        {record ? <Circle class="rec-on" size={16} fill="currentColor" aria-hidden="true" /> : <CircleOff size={16} aria-hidden="true" />} {t(record ? "recorded" : "notRecorded")}
      </Button>
      <ReturnChip state={state} send={send} />
      {open && <LimitDialog limit_s={time_limit_s} send={send} onClose={() => setOpen(false)} />}
    </div>
  );
}

/** Whether participants may return; also while the breakout runs. */
export function ReturnChip({ state, send }: ChipProps) {
  const { may_return, status } = state.breakout;
  return (
    <Button small class="chip" testId="chip-return" disabled={status === "closing"} aria-pressed={may_return} onClick={() => void send("set_breakout_options", { may_return: !may_return })}>
      {may_return ? <CornerUpLeft class="flip" size={16} aria-hidden="true" /> : <Lock size={16} aria-hidden="true" />} {t(may_return ? "returnYes" : "returnNo")}
    </Button>
  );
}

function LimitDialog({ limit_s, send, onClose }: { limit_s: number | null; send: Send; onClose: () => void }) {
  const [limited, setLimited] = useState(limit_s !== null);
  const [minutes, setMinutes] = useState(String((limit_s ?? 600) / 60));
  const [error, setError] = useState<string | null>(null);
  const save = async (event: Event) => {
    event.preventDefault();
    const answer = await send("set_breakout_options", { time_limit_s: limited ? Math.round(Number(minutes) * 60) : 0 });
    if (answer.ok) onClose();
    else setError(answer.error.message);
  };
  return (
    <Dialog title={t("limit")} onClose={onClose}>
      <form class="stack" onSubmit={(event) => void save(event)}>
        <label class="choice">
          <input type="checkbox" checked={limited} onChange={(event) => setLimited(event.currentTarget.checked)} />
          {t("limit")}
        </label>
        {limited && (
          <div class="field">
            <div class="row">
              <input class="number" type="number" min="0.5" max="1440" step="0.5" required value={minutes} aria-label={t("minutes")} data-testid="limit-minutes" onInput={(event) => setMinutes(event.currentTarget.value)} />
              {t("minutes")}
            </div>
          </div>
        )}
        {error && <p class="error" role="alert">{error}</p>}
        <div class="row"><Button look="primary" type="submit" testId="limit-save">{t("save")}</Button><Button onClick={onClose}>{t("cancel")}</Button></div>
      </form>
    </Dialog>
  );
}
