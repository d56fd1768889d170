/** The attendance score of this course: the teachers' switch, and how far the scores have come. */
import { useState } from "preact/hooks";
import { Button } from "../ui/kit";
import { call, type ApiError, type Boot } from "../ui/page";
import { catalogue } from "../ui/text";

const t = catalogue({
  title: "Attendance",
  text: "Each room gets a gradebook column with the share of its sessions that a student attended. Scores are sent after each session.",
  unavailable: "The LMS doesn’t give this tool access to the gradebook. Ask your administrator to allow grading for it.",
  enabled: "Send attendance to the gradebook",
  maximum: "Points for attending every session",
  share: "Minimum time in a session for it to count (%)",
  show: "Set up attendance",
  save: "Save",
  saved: "Saved.",
  scores: "Scores: {sent} sent, {waiting} waiting, {failed} failed.",
});

interface Settings {
  enabled: boolean;
  maximum: number;
  min_percent: number;
  offered: boolean;
  scores: { sent: number; waiting: number; failed: number; error: string };
}
const PATH = "/app/api/course/attendance";

export function Attendance({ boot }: { boot: Boot }) {
  const [kept, setKept] = useState<Settings | null>(null);
  const [error, setError] = useState<string | null>(null);
  const failed = (problem: ApiError) => setError(problem.message);
  const show = () => call<Settings>(boot, "GET", PATH).then(setKept, failed);
  return (
    <section class="card" data-testid="attendance">
      <h2>{t("title")}</h2>
      {kept ? (
        <Form boot={boot} kept={kept} onSaved={setKept} />
      ) : (
        <div class="row"><Button testId="show-attendance" onClick={() => void show()}>{t("show")}</Button></div>
      )}
      {error && <p role="alert">{error}</p>}
    </section>
  );
}

function Form({ boot, kept, onSaved }: { boot: Boot; kept: Settings; onSaved: (settings: Settings) => void }) {
  const [enabled, setEnabled] = useState(kept.enabled);
  const [maximum, setMaximum] = useState(String(kept.maximum));
  const [share, setShare] = useState(String(kept.min_percent));
  const [note, setNote] = useState<string | null>(null);
  const [error, setError] = useState<string | null>(null);
  const save = (event: Event) => {
    event.preventDefault();
    setNote(null);
    setError(null);
    call<Settings>(boot, "PUT", PATH, { enabled, maximum: Number(maximum), min_percent: Number(share) }).then(
      (settings) => {
        onSaved(settings);
        setNote(t("saved"));
      },
      (problem: ApiError) => setError(problem.message),
    );
  };
  const { scores } = kept;
  return (
    <form class="stack" onSubmit={save} onInput={() => setNote(null)}>
      <p class="note">{t("text")}</p>
      {!kept.offered && <p role="status">{t("unavailable")}</p>}
      <label class="choice">
        <input type="checkbox" checked={enabled} data-testid="attendance-enabled" onChange={(event) => setEnabled(event.currentTarget.checked)} />
        <span>{t("enabled")}</span>
      </label>
      {enabled && (
        <>
          <div class="field">
            <label for="attendance-maximum">{t("maximum")}</label>
            <input id="attendance-maximum" class="input" type="number" min="0.01" max="10000" step="any" required value={maximum} onInput={(event) => setMaximum(event.currentTarget.value)} />
          </div>
          <div class="field">
            <label for="attendance-share">{t("share")}</label>
            <input id="attendance-share" class="input" type="number" min="1" max="100" required value={share} onInput={(event) => setShare(event.currentTarget.value)} />
          </div>
        </>
      )}
      {scores.sent + scores.waiting + scores.failed > 0 && (
        <p class="note">{t("scores", { sent: scores.sent, waiting: scores.waiting, failed: scores.failed })} {scores.error}</p>
      )}
      <div class="row"><Button type="submit" testId="save-attendance">{t("save")}</Button></div>
      {note && <p role="status">{note}</p>}
      {error && <p role="alert">{error}</p>}
    </form>
  );
}
