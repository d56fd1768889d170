/** Courses: the list, and each course's settings: attendance score, who moderates, recording defaults, roster. */
import { ArrowLeft } from "lucide-preact";
import { useState } from "preact/hooks";
import { Button } from "../../ui/kit";
import { catalogue, day } from "../../ui/text";
import type { Ask } from "../door";
import { SearchList } from "../list";
import { Show, Table, useAct, useLoad } from "../load";
import type { Section, SectionProps } from "../sections";

const t = catalogue({
  title: "Courses",
  none: "No courses yet",
  course: "Course",
  members: "People",
  platform: "Platform",
  roster: "Roster",
  never: "Not synced yet",
  settings: "Settings",
  ids: "{context} · course ID {id}",
  settingsOf: "Settings of {course}",
  back: "All courses",
  save: "Save",
  saved: "Saved.",
  rosterText: { one: "{count} person, synced {when}.", other: "{count} people, synced {when}." },
  rosterNever: "The roster hasn’t been synced yet. It syncs when a moderator opens the room.",
  rosterGroups: { one: "{count} course group.", other: "{count} course groups." },
  fetch: "Sync now",
  fetching: "The roster is syncing in the background.",
  attendance: "Attendance",
  attendanceOn: "Send attendance to the LMS’s gradebook, one column per room",
  maximum: "Points for attending every session",
  minPercent: "Minimum time in a session for it to count (%)",
  scores: "Scores: {sent} sent, {waiting} waiting, {failed} failed.",
  roles: "Who moderates",
  rolesText: "Teachers and LMS administrators are always moderators.",
  assistant: "Teaching assistants",
  developer: "Content developers",
  mentor: "Mentors",
  learner: "Students",
  moderator: "Moderators",
  participant: "Participants",
  recording: "Recording",
  room: "Room",
  opens: "Who can open the room",
  opensAnyone: "Anyone in the course",
  opensAfterEnd: "Anyone, until a moderator ends it for everyone",
  opensModerators: "Moderators only",
  sharing: "Who can share their screen",
  sharingEveryone: "Everyone",
  sharingModerators: "Moderators only",
  onStart: "Record the main room when the first person joins",
  layout: "Layout",
  grid: "Grid",
  speaker: "Active speaker",
  stage: "Stage with sidebar",
  exportAudio: "Save an audio file",
  audioTracks: "Save a separate audio file for each participant",
  names: "Show names",
});

interface Listed {
  course_id: string;
  title: string;
  context_id: string;
  platform: string;
  members: number;
  roster_at: string | null;
  roster_error: string;
}

type Choice = "moderator" | "participant";

interface Course extends Listed {
  attendance: { enabled: boolean; maximum: number; min_percent: number };
  scores: { sent: number; waiting: number; failed: number; error: string };
  roles: Record<string, Choice>;
  recording: { options: Record<string, unknown>; record_on_start: boolean };
  room: { opens: string; sharing: string };
  groups: number;
}

function Courses({ ask }: SectionProps) {
  const [open, setOpen] = useState<string | null>(null);
  if (open) return <One key={open} ask={ask} courseId={open} onBack={() => setOpen(null)} />;
  return (
    <SearchList<{ courses: Listed[]; total: number; page: number; per_page: number }> ask={ask} path="/courses" none={t("none")}>
      {({ courses }) => (
        <Table label={t("title")} heads={[t("course"), t("platform"), t("members"), t("roster"), ""]}>
          {courses.map((course) => (
            <tr key={course.course_id}>
              <td data-head={t("course")}><span>{course.title || course.context_id}<br /><span class="note">{t("ids", { context: course.context_id, id: course.course_id })}</span></span></td>
              <td data-head={t("platform")}>{course.platform}</td>
              <td data-head={t("members")}>{course.members}</td>
              <td data-head={t("roster")}>
                {course.roster_error ? <span class="bad">{course.roster_error}</span> : course.roster_at ? day(course.roster_at) : <span class="note">{t("never")}</span>}
              </td>
              <td>
                <Button small testId={`course-${course.course_id}`} aria-label={t("settingsOf", { course: course.title })} onClick={() => setOpen(course.course_id)}>{t("settings")}</Button>
              </td>
            </tr>
          ))}
        </Table>
      )}
    </SearchList>
  );
}

function One({ ask, courseId, onBack }: { ask: Ask; courseId: string; onBack: () => void }) {
  const loaded = useLoad<Course>(ask, `/courses/${courseId}`);
  return (
    <>
      <div class="row"><Button look="quiet" onClick={onBack}><ArrowLeft class="flip" size={18} aria-hidden="true" /> {t("back")}</Button></div>
      <Show loaded={loaded}>{(course) => <Forms ask={ask} course={course} reload={loaded.reload} />}</Show>
    </>
  );
}

interface PartProps {
  ask: Ask;
  course: Course;
  reload: () => Promise<void>;
}

function Forms(props: PartProps) {
  return (
    <div class="cards">
      <h2>{props.course.title || props.course.context_id}</h2>
      <RosterPart {...props} />
      <AttendancePart {...props} />
      <RolesPart {...props} />
      <RoomPart {...props} />
      <RecordingPart {...props} />
    </div>
  );
}

function RosterPart({ ask, course }: PartProps) {
  const [asked, setAsked] = useState(false);
  const { busy, error, act } = useAct();
  const fetchNow = () =>
    void act(async () => {
      await ask("POST", `/courses/${course.course_id}/roster`);
      setAsked(true);
    });
  return (
    <section class="card stack">
      <h3>{t("roster")}</h3>
      <p>{course.roster_at ? t("rosterText", { count: course.members, when: day(course.roster_at) }) : t("rosterNever")} {course.groups > 0 && t("rosterGroups", { count: course.groups })}</p>
      {course.roster_error && <p class="bad">{course.roster_error}</p>}
      {asked && <p role="status">{t("fetching")}</p>}
      {error && <p role="alert" class="error">{error}</p>}
      <div class="row"><Button small disabled={busy} onClick={fetchNow}>{t("fetch")}</Button></div>
    </section>
  );
}

/** A form that saves one part of the settings. */
function Part({ ask, course, reload, title, value, children }: PartProps & { title: string; value: () => object; children: preact.ComponentChildren }) {
  const [saved, setSaved] = useState(false);
  const { busy, error, act } = useAct();
  const save = (event: Event) => {
    event.preventDefault();
    setSaved(false);
    void act(async () => {
      await ask("PATCH", `/courses/${course.course_id}`, value());
      setSaved(true);
      await reload();
    });
  };
  return (
    <form class="card stack" onSubmit={save} onInput={() => setSaved(false)}>
      <h3>{title}</h3>
      {children}
      {error && <p role="alert" class="error">{error}</p>}
      <div class="row">
        <Button look="primary" small type="submit" disabled={busy} aria-label={`${t("save")}: ${title}`}>{t("save")}</Button>
        {saved && <span role="status" class="ok">{t("saved")}</span>}
      </div>
    </form>
  );
}

function Check({ label, on, onChange }: { label: string; on: boolean; onChange: (on: boolean) => void }) {
  return <label class="choice"><input type="checkbox" checked={on} onChange={(event) => onChange(event.currentTarget.checked)} /> {label}</label>;
}

function AttendancePart(props: PartProps) {
  const { attendance, scores } = props.course;
  const [enabled, setEnabled] = useState(attendance.enabled);
  const [maximum, setMaximum] = useState(String(attendance.maximum));
  const [share, setShare] = useState(String(attendance.min_percent));
  const value = () => ({ attendance: { enabled, maximum: Number(maximum), min_percent: Number(share) } });
  return (
    <Part {...props} title={t("attendance")} value={value}>
      <Check label={t("attendanceOn")} on={enabled} onChange={setEnabled} />
      {enabled && (
        <div class="pair">
          <div class="field">
            <label for="attendance-maximum">{t("maximum")}</label>
            <input id="attendance-maximum" type="number" min="1" max="10000" step="any" required value={maximum} onInput={(event) => setMaximum(event.currentTarget.value)} />
          </div>
          <div class="field">
            <label for="attendance-share">{t("minPercent")}</label>
            <input id="attendance-share" type="number" min="1" max="100" required value={share} onInput={(event) => setShare(event.currentTarget.value)} />
          </div>
        </div>
      )}
      {scores.sent + scores.waiting + scores.failed > 0 && (
        <p class="note">{t("scores", { sent: scores.sent, waiting: scores.waiting, failed: scores.failed })} {scores.error}</p>
      )}
    </Part>
  );
}

const ROLE_LABELS: Record<string, string> = { assistant: t("assistant"), developer: t("developer"), mentor: t("mentor"), learner: t("learner") };

function RolesPart(props: PartProps) {
  const [roles, setRoles] = useState(props.course.roles);
  return (
    <Part {...props} title={t("roles")} value={() => ({ roles })}>
      <p class="note">{t("rolesText")}</p>
      <div class="pair">
        {Object.entries(roles).map(([kind, role]) => (
          <div class="field" key={kind}>
            <label for={`role-${kind}`}>{ROLE_LABELS[kind] ?? kind}</label>
            <select id={`role-${kind}`} value={role} onChange={(event) => setRoles({ ...roles, [kind]: event.currentTarget.value as Choice })}>
              <option value="moderator">{t("moderator")}</option>
              <option value="participant">{t("participant")}</option>
            </select>
          </div>
        ))}
      </div>
    </Part>
  );
}

const OPENS = [["after_end", t("opensAfterEnd")], ["anyone", t("opensAnyone")], ["moderators", t("opensModerators")]] as const;
const SHARING = [["everyone", t("sharingEveryone")], ["moderators", t("sharingModerators")]] as const;

function RoomPart(props: PartProps) {
  const [room, setRoom] = useState(props.course.room);
  return (
    <Part {...props} title={t("room")} value={() => ({ room })}>
      <div class="pair">
        <div class="field">
          <label for="room-opens">{t("opens")}</label>
          <select id="room-opens" value={room.opens} onChange={(event) => setRoom({ ...room, opens: event.currentTarget.value })}>
            {OPENS.map(([value, label]) => <option key={value} value={value}>{label}</option>)}
          </select>
        </div>
        <div class="field">
          <label for="room-sharing">{t("sharing")}</label>
          <select id="room-sharing" value={room.sharing} onChange={(event) => setRoom({ ...room, sharing: event.currentTarget.value })}>
            {SHARING.map(([value, label]) => <option key={value} value={value}>{label}</option>)}
          </select>
        </div>
      </div>
    </Part>
  );
}

const LAYOUTS = [["grid", t("grid")], ["speaker", t("speaker")], ["stage", t("stage")]] as const;

function RecordingPart(props: PartProps) {
  const { recording } = props.course;
  const [onStart, setOnStart] = useState(recording.record_on_start);
  const [options, setOptions] = useState(recording.options);
  const set = (name: string, value: unknown) => setOptions({ ...options, [name]: value });
  return (
    <Part {...props} title={t("recording")} value={() => ({ recording: { options, record_on_start: onStart } })}>
      <Check label={t("onStart")} on={onStart} onChange={setOnStart} />
      <div class="field">
        <label for="recording-layout">{t("layout")}</label>
        <select id="recording-layout" value={String(options.layout ?? "grid")} onChange={(event) => set("layout", event.currentTarget.value)}>
          {LAYOUTS.map(([layout, label]) => <option key={layout} value={layout}>{label}</option>)}
        </select>
      </div>
      <Check label={t("exportAudio")} on={options.export_audio === true} onChange={(on) => set("export_audio", on)} />
      <Check label={t("audioTracks")} on={options.audio_tracks === true} onChange={(on) => set("audio_tracks", on)} />
      <Check label={t("names")} on={options.names !== false} onChange={(on) => set("names", on)} />
    </Part>
  );
}

export const courses: Section = { id: "courses", title: t("title"), View: Courses };
