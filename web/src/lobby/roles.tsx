/** Who moderates in this course: the teachers' choice for each kind of role that the LMS knows. */
import { useState } from "preact/hooks";
import { Button } from "../ui/kit";
import { call, type ApiError, type Boot } from "../ui/page";
import { catalogue } from "../ui/text";

const t = catalogue({
  title: "Who moderates",
  text: "Teachers and LMS administrators are always moderators. Changes apply the next time people open the room.",
  assistant: "Teaching assistants",
  developer: "Content developers",
  mentor: "Mentors",
  learner: "Students",
  moderator: "Moderators",
  participant: "Participants",
  show: "Change who moderates",
  saved: "Saved.",
});

const KINDS = ["assistant", "developer", "mentor", "learner"] as const;
type Table = Record<(typeof KINDS)[number], "moderator" | "participant">;
const PATH = "/app/api/course/roles";

export function Roles({ boot }: { boot: Boot }) {
  const [table, setTable] = useState<Table | null>(null);
  const [note, setNote] = useState<string | null>(null);
  const [error, setError] = useState<string | null>(null);
  const failed = (problem: ApiError) => setError(problem.message);
  const show = () => call<Table>(boot, "GET", PATH).then(setTable, failed);
  const change = (kind: string, role: string) => {
    setNote(null);
    setError(null);
    return call<Table>(boot, "PUT", PATH, { [kind]: role }).then((data) => {
      setTable(data);
      setNote(t("saved"));
    }, failed);
  };
  return (
    <section class="card" data-testid="roles">
      <h2>{t("title")}</h2>
      {!table && <div class="row"><Button testId="show-roles" onClick={() => void show()}>{t("show")}</Button></div>}
      {table && (
        <>
          <p class="note">{t("text")}</p>
          {KINDS.map((kind) => (
            <div class="row spread" key={kind}>
              <label for={`role-${kind}`}>{t(kind)}</label>
              <span class="field">
                <select id={`role-${kind}`} value={table[kind]} data-testid={`role-${kind}`} onChange={(event) => void change(kind, event.currentTarget.value)}>
                  <option value="moderator">{t("moderator")}</option>
                  <option value="participant">{t("participant")}</option>
                </select>
              </span>
            </div>
          ))}
        </>
      )}
      {note && <p role="status">{note}</p>}
      {error && <p role="alert">{error}</p>}
    </section>
  );
}
