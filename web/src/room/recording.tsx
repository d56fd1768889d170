/** Recording of one's own room: the mark at the lower left, starting and stopping, the notice everybody confirms. */
import { useSignal } from "@preact/signals";
import { Circle, Pause, Square, TriangleAlert } from "lucide-preact";
import type { JSX } from "preact";
import { useEffect, useState } from "preact/hooks";
import type { RecordingLayout, RecordingOptions, RecordingView, RoomState } from "../protocol/types";
import { done, recordingHere, say, toast, usePage, type Page } from "./context";
import { Dialog } from "./dialog";
import { call } from "../ui/page";
import { length } from "../ui/text";
import { t } from "./texts";

export async function startRecording(page: Page, options: RecordingOptions): Promise<void> {
  page.dialog.value = null;
  if (done(page, await page.store.send("start_recording", { options }))) toast(page, t("rec.soon"));
}

export async function stopRecording(page: Page): Promise<void> {
  const state = page.store.state.value;
  const recording = state === null ? null : recordingHere(state);
  if (recording === null) return;
  const { recording_id } = recording;
  page.stopped.add(recording_id);
  if (done(page, await page.store.send("stop_recording", { recording_id }))) toast(page, await readySoon(page, recording_id), openRecordings);
  else page.stopped.delete(recording_id);
}

const READY_TRIES = 4;
const READY_EVERY_MS = 700;

/** What to say after Stop: the server's estimate as soon as it has one, else no number. */
async function readySoon(page: Page, recordingId: string): Promise<string> {
  for (let left = READY_TRIES; left > 0; left -= 1) {
    try {
      const { ready_at } = await call<{ ready_at: Record<string, string> }>(page, "GET", "/app/api/ready");
      const at = ready_at[recordingId];
      if (at !== undefined) return t("rec.ready_in", { count: Math.max(1, Math.ceil((Date.parse(at) - page.store.serverNow()) / 60_000)) });
    } catch {
      break; // the note is worth more than its number
    }
    await new Promise((resolve) => setTimeout(resolve, READY_EVERY_MS));
  }
  return t("rec.soon_ready");
}

export async function pauseOrResume(page: Page, recording: RecordingView): Promise<void> {
  const name = recording.desired === "paused" ? "resume_recording" : "pause_recording";
  done(page, await page.store.send(name, { recording_id: recording.recording_id }));
}

/** One's recordings in a window of their own; the room stays open. */
export function openRecordings(): void {
  window.open(`${location.pathname.replace(/\/$/, "")}/recordings`, "_blank", "noopener");
}

/** Leave oneself out of every recording of this session, or come back into them. */
export async function setDeclined(page: Page, declined: boolean): Promise<void> {
  if (done(page, await page.store.send("set_recording_consent", { declined }))) toast(page, t(declined ? "rec.declined" : "rec.accepted"));
}

export function isDeclined(page: Page): boolean {
  const state = page.store.state.value;
  return state?.people[state.you.person_id]?.declines_recording === true;
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
    return <span class="rec live" data-testid="rec-indicator" data-recording={recording.status}>
      <Mark paused={recording.status === "PAUSED"} />
      {isDeclined(page) && <span class="rec-out" data-testid="recorded-without-you">{t("rec.without_you")}</span>}
    </span>;
  }
  return (
    <span class="rec live" data-testid="rec-indicator" data-recording={recording.status}>
      {recording.status === "INVOKED" ? <><Mark />{t("rec.starting")}</> : <><Mark paused={recording.status === "PAUSED"} /><Counter recording={recording} /></>}
      {isDeclined(page) && <span class="rec-out" data-testid="recorded-without-you">{t("rec.without_you")}</span>}
      <Warnings recording={recording} />
      <button type="button" class="stop" data-testid="stop-recording" aria-label={t("menu.stop")} title={t("menu.stop")}
        onClick={() => (page.dialog.value = "stop")}>
        <Square size={14} fill="currentColor" aria-hidden="true" />
      </button>
    </span>
  );
}

/** What the recorder misses just now: said in words to screen readers and on pointing at the mark. */
function Warnings({ recording }: { recording: RecordingView }): JSX.Element | null {
  const state = usePage().store.state.value;
  if (!recording.warnings?.length || state === null) return null;
  const said = recording.warnings.map(({ code, person_id }) => t(`rec.warn.${code}`, { name: state.people[person_id]?.name ?? "" })).join("\n");
  return (
    <span role="status" data-testid="rec-warning" title={said}>
      <TriangleAlert size={14} aria-label={said} />
    </span>
  );
}

/** A red dot while it records, two bars while it is paused. */
function Mark({ paused = false }: { paused?: boolean }): JSX.Element {
  return (
    <>
      {paused ? <Pause class="rec-pause" size={14} aria-hidden="true" /> : <span class="rec-dot" aria-hidden="true" />}
      <span class="rec-word">{t(paused ? "rec.paused_mark" : "rec.mark")}</span>
    </>
  );
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
  const layout = useSignal<RecordingLayout>("grid");
  const tracks = useSignal(false);
  const title = useSignal(false);
  const close = (): void => void (page.dialog.value = null);
  const start = (): void => {
    const options: RecordingOptions = {};
    // Only what was chosen, so that the course's own choice stays.
    if (layout.value !== "grid") options.layout = layout.value;
    if (tracks.value) options.audio_tracks = true;
    if (title.value) options.title_card = true;
    void startRecording(page, options);
  };
  return (
    <Dialog title={t("rec.dialog.title")} onClose={close} actions={
      <>
        <button type="button" class="button" onClick={close}>{t("cancel")}</button>
        <button type="button" class="button primary" data-testid="confirm-start-recording"
          onClick={start}>{t("rec.dialog.start")}</button>
      </>
    }>
      <p>{t("rec.dialog.text")}</p>
      <LayoutChoice value={layout.value} onChange={(value) => (layout.value = value)} />
      <Check label={t("rec.title_card")} checked={title.value} testId="rec-title" onChange={(on) => (title.value = on)} />
      <Check label={t("rec.tracks")} checked={tracks.value} testId="rec-tracks" onChange={(on) => (tracks.value = on)} />
    </Dialog>
  );
}

/** Another layout from now on, while the recording runs. */
export function LayoutDialog(): JSX.Element | null {
  const page = usePage();
  const state = page.store.state.value;
  const recording = state === null ? null : recordingHere(state);
  if (recording === null) return null;
  const { recording_id } = recording;
  const choose = async (layout: RecordingLayout): Promise<void> =>
    void done(page, await page.store.send("set_recording_layout", { layout, recording_id }));
  return (
    <Dialog title={t("rec.layout.title")} onClose={() => (page.dialog.value = null)}>
      <LayoutChoice value={recording.layout ?? "grid"} onChange={(layout) => void choose(layout)} />
    </Dialog>
  );
}

const LAYOUTS = ["grid", "speaker", "stage"] as const;

function LayoutChoice({ value, onChange }: { value: RecordingLayout; onChange: (value: RecordingLayout) => void }): JSX.Element {
  return (
    <fieldset class="field">
      <legend>{t("rec.layout")}</legend>
      {LAYOUTS.map((layout) => (
        <label key={layout} class="choice">
          <input type="radio" name="layout" value={layout} checked={value === layout} data-testid={`layout-${layout}`} onChange={() => onChange(layout)} />
          {t(`rec.layout.${layout}`)}
        </label>
      ))}
      <p class="quiet">{t("rec.layout.note")}</p>
    </fieldset>
  );
}

interface CheckProps { label: string; checked: boolean; testId: string; onChange: (on: boolean) => void }

export function Check({ label, checked, testId, onChange }: CheckProps): JSX.Element {
  return (
    <label class="choice">
      <input type="checkbox" checked={checked} data-testid={testId} onChange={(event) => onChange(event.currentTarget.checked)} />
      {label}
    </label>
  );
}

/** Sessions whose notice was confirmed in this browser, by this person. */
function noticeKey(state: RoomState): string {
  return `sideroom.recorded.${state.session.session_id}.${state.you.person_id}`;
}

function wasConfirmed(state: RoomState): boolean {
  try {
    return sessionStorage.getItem(noticeKey(state)) !== null;
  } catch {
    return false;
  }
}

function confirm(state: RoomState): void {
  try {
    sessionStorage.setItem(noticeKey(state), "1");
  } catch {
    // A browser that keeps nothing asks again after a reload.
  }
}

/** “This session is being recorded.” stays until confirmed, once a session and person; it blocks nothing. */
export function RecordedNotice(): JSX.Element | null {
  const page = usePage();
  const confirmed = useSignal<string | null>(null);
  const state = page.store.state.value;
  const recording = state === null ? null : recordingHere(state);
  const runs = recording !== null && recording.status !== "INVOKED";
  const declined = isDeclined(page);
  const key = state === null ? "" : noticeKey(state);
  const told = t(declined ? "rec.told_without_you" : "rec.told");
  const known = state === null || confirmed.value === key || wasConfirmed(state);
  useEffect(() => {
    if (runs && !known) say(page, told);
  }, [runs, known, page]);
  useEffect(() => {
    // “…will start momentarily” is not true any more.
    if (runs) page.toasts.value = page.toasts.value.filter((note) => note.text !== t("rec.soon"));
  }, [runs, page]);
  if (!runs || known || state === null) return null;
  const close = (): void => {
    confirm(state);
    confirmed.value = key;
  };
  return (
    <div class="notice" role="group" aria-label={told}>
      <p>{told}</p>
      <button type="button" class="button primary" data-testid="confirm-recorded" onClick={close}>{t("rec.confirm")}</button>
      {!declined && (
        <button type="button" class="button" data-testid="decline-recording" onClick={() => { close(); void setDeclined(page, true); }}>{t("rec.decline")}</button>
      )}
    </div>
  );
}

/** Stop ends a recording for good, so it is asked first; pausing is offered beside it. */
export function StopDialog(): JSX.Element | null {
  const page = usePage();
  const state = page.store.state.value;
  const recording = state === null ? null : recordingHere(state);
  const close = (): void => void (page.dialog.value = null);
  useEffect(() => {
    if (recording === null) close(); // it stopped meanwhile
  }, [recording === null]);
  if (recording === null) return null;
  const paused = recording.desired === "paused";
  return (
    <Dialog title={t("rec.stop.title")} onClose={close} actions={
      <>
        <button type="button" class="button" onClick={close}>{t("cancel")}</button>
        <button type="button" class="button" data-testid="stop-dialog-pause" onClick={() => { close(); void pauseOrResume(page, recording); }}>
          {t(paused ? "menu.resume" : "menu.pause")}
        </button>
        <button type="button" class="button danger" data-testid="confirm-stop-recording" onClick={() => { close(); void stopRecording(page); }}>{t("menu.stop")}</button>
      </>
    }><p>{t(paused ? "rec.stop.paused" : "rec.stop.text")}</p></Dialog>
  );
}
