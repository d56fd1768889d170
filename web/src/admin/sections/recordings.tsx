/** Recordings of the whole installation with their states. */
import { useState } from "preact/hooks";
import { locale } from "../../ui/locale";
import { catalogue, day, length } from "../../ui/text";
import { SearchList } from "../list";
import { Table } from "../load";
import type { Section, SectionProps } from "../sections";

const t = catalogue({
  title: "Recordings",
  none: "No recordings yet",
  all: "All states",
  state: "State",
  course: "Course and room",
  when: "Started",
  duration: "Length",
  size: "Size",
  by: "Recorded by {name}",
  expired: "File expired",
  INVOKED: "Starting",
  RECORDING: "Recording",
  PAUSED: "Paused",
  UPLOADING: "Processing {percent}",
  UPLOADED: "In the library",
  ERRORED: "Failed",
});

type Status = "INVOKED" | "RECORDING" | "PAUSED" | "UPLOADING" | "UPLOADED" | "ERRORED";

interface Recording {
  recording_id: string;
  course_title: string;
  meeting_title: string;
  room_name: string;
  started_by: string;
  status: Status;
  invoked_at: string;
  duration_s: number | null;
  size_bytes: number | null;
  progress: number;
  error: string | null;
  entry_status: string | null;
}

interface Recordings {
  recordings: Recording[];
  statuses: Status[];
  total: number;
  page: number;
  per_page: number;
}

const REFRESH_MS = 5000;
const STATUSES: Status[] = ["INVOKED", "RECORDING", "PAUSED", "UPLOADING", "UPLOADED", "ERRORED"];
const WORDS: Record<Status, (facts?: Record<string, string>) => string> = {
  INVOKED: () => t("INVOKED"),
  RECORDING: () => t("RECORDING"),
  PAUSED: () => t("PAUSED"),
  UPLOADING: (facts) => t("UPLOADING", facts ?? { percent: "" }).trim(),
  UPLOADED: () => t("UPLOADED"),
  ERRORED: () => t("ERRORED"),
};
const percent = (share: number) => new Intl.NumberFormat(locale, { style: "percent" }).format(share);
const megabytes = (bytes: number) => new Intl.NumberFormat(locale, { style: "unit", unit: "megabyte", maximumFractionDigits: 1 }).format(bytes / 1e6);

function Recordings({ ask }: SectionProps) {
  const [status, setStatus] = useState("");
  const tools = (
    <select aria-label={t("state")} value={status} onChange={(event) => setStatus(event.currentTarget.value)}>
      <option value="">{t("all")}</option>
      {STATUSES.map((each) => <option key={each} value={each}>{WORDS[each]()}</option>)}
    </select>
  );
  return (
    <SearchList<Recordings> ask={ask} path="/recordings" also={{ status }} everyMs={REFRESH_MS} tools={tools} none={t("none")}>
      {({ recordings }) => (
        <Table label={t("title")} heads={[t("course"), t("state"), t("when"), t("duration"), t("size")]}>
          {recordings.map((each) => (
            <tr key={each.recording_id}>
              <td data-head={t("course")}><span>{each.course_title} · {each.room_name}{each.started_by && <><br /><span class="note">{t("by", { name: each.started_by })}</span></>}</span></td>
              <td data-head={t("state")}><State recording={each} /></td>
              <td data-head={t("when")}>{day(each.invoked_at)}</td>
              <td data-head={t("duration")}>{each.duration_s === null ? "–" : length(each.duration_s)}</td>
              <td data-head={t("size")}>{each.size_bytes === null ? "–" : megabytes(each.size_bytes)}</td>
            </tr>
          ))}
        </Table>
      )}
    </SearchList>
  );
}

function State({ recording }: { recording: Recording }) {
  const text = WORDS[recording.status]({ percent: percent(recording.progress) });
  return (
    <span>
      {recording.status === "ERRORED" ? <span class="badge danger">{text}</span> : text}
      {recording.entry_status === "expired" && <span class="note"> · {t("expired")}</span>}
      {recording.error && <><br /><span class="note">{recording.error}</span></>}
    </span>
  );
}

export const recordings: Section = { id: "recordings", title: t("title"), View: Recordings };
