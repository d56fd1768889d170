/** Recording of one's own room: the mark at the lower left, starting and stopping, the notice everybody confirms. */
import { useSignal } from "@preact/signals";
import { Circle, Square } from "lucide-preact";
import type { JSX } from "preact";
import { useEffect, useState } from "preact/hooks";
import type { RecordingView } from "../protocol/types";
import { done, recordingHere, toast, usePage, type Page } from "./context";
import { Dialog } from "./dialog";
import { length } from "../ui/text";
import { t } from "./texts";

export async function startRecording(page: Page): Promise<void> {
  page.dialog.value = null;
  if (done(page, await page.store.send("start_recording", {}))) toast(page, t("rec.soon"));
}

export async function stopRecording(page: Page): Promise<void> {
  const state = page.store.state.value;
  const recording = state === null ? null : recordingHere(state);
  if (recording === null) return;
  const { recording_id } = recording;
  if (done(page, await page.store.send("stop_recording", { recording_id }))) toast(page, t("rec.stopped"));
}

export async function pauseOrResume(page: Page, recording: RecordingView): Promise<void> {
  const name = recording.desired === "paused" ? "resume_recording" : "pause_recording";
  done(page, await page.store.send(name, { recording_id: recording.recording_id }));
}

export function RecordingIndicator(): JSX.Element | null {
  const page = usePage();
  const state = page.store.state.value;
  if (state === null) return null;
  const moderator = state.you.role === "moderator";
  const recording = recordingHere(state);
  if (recording === null) {
    if (!moderator) return <span class="rec-place" />;
    return (
      <button type="button" class="rec idle" data-testid="rec-indicator" data-recording="off" aria-label={t("rec.off")} title={t("rec.off")}
        onClick={() => (page.dialog.value = "record")}>
        <Circle size={14} aria-hidden="true" />
      </button>
    );
  }
  if (!moderator) {
    if (recording.status === "INVOKED") return <span class="rec-place" />;
    return <span class="rec live" data-testid="rec-indicator" data-recording={recording.status}><Mark /></span>;
  }
  return (
    <span class="rec live" data-testid="rec-indicator" data-recording={recording.status}>
      {recording.status === "INVOKED" ? <><Mark />{t("rec.starting")}</> : <><Mark /><Counter recording={recording} /></>}
      {recording.status === "PAUSED" && <span>{t("rec.paused")}</span>}
      <button type="button" class="stop" data-testid="stop-recording" aria-label={t("menu.stop")} title={t("menu.stop")}
        onClick={() => void stopRecording(page)}>
        <Square size={14} fill="currentColor" aria-hidden="true" />
      </button>
    </span>
  );
}

function Mark(): JSX.Element {
  return <><span class="rec-dot" aria-hidden="true" /><span class="rec-word">{t("rec.mark")}</span></>;
}

function Counter({ recording }: { recording: RecordingView }): JSX.Element {
  const { store } = usePage();
  const [, tick] = useState(0);
  useEffect(() => {
    const timer = setInterval(() => tick((n) => n + 1), 500);
    return () => clearInterval(timer);
  }, []);
  const running = recording.status === "RECORDING" && recording.since !== undefined;
  const since = running ? (store.serverNow() - Date.parse(recording.since ?? "")) / 1000 : 0;
  return <time class="counter">{length(Math.floor((recording.recorded_s ?? 0) + Math.max(0, since)))}</time>;
}

export function StartDialog(): JSX.Element {
  const page = usePage();
  const close = (): void => void (page.dialog.value = null);
  return (
    <Dialog title={t("rec.dialog.title")} onClose={close} actions={
      <>
        <button type="button" class="button" onClick={close}>{t("cancel")}</button>
        <button type="button" class="button primary" data-testid="confirm-start-recording"
          onClick={() => void startRecording(page)}>{t("rec.dialog.start")}</button>
      </>
    }>
      <p>{t("rec.dialog.text")}</p>
    </Dialog>
  );
}

/** “This session is being recorded.” stays until confirmed; it blocks nothing. */
export function RecordedNotice(): JSX.Element | null {
  const page = usePage();
  const confirmed = useSignal<string | null>(null);
  const state = page.store.state.value;
  const recording = state === null ? null : recordingHere(state);
  const id = recording !== null && recording.status !== "INVOKED" ? recording.recording_id : null;
  useEffect(() => {
    if (id !== null) page.said.value = t("rec.told");
  }, [id, page]);
  if (id === null || confirmed.value === id) return null;
  return (
    <div class="notice" role="alertdialog" aria-label={t("rec.told")}>
      <p>{t("rec.told")}</p>
      <button type="button" class="button primary" data-testid="confirm-recorded" onClick={() => (confirmed.value = id)}>
        {t("rec.confirm")}
      </button>
    </div>
  );
}
