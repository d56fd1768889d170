/** Usage: what was recorded, how long it took to compose, what is kept, by month and course. */
import { Empty } from "../../ui/kit";
import { locale } from "../../ui/locale";
import { catalogue, length } from "../../ui/text";
import { Show, Table, useLoad } from "../load";
import type { Section, SectionProps } from "../sections";

const t = catalogue({
  title: "Usage",
  intro: "Recordings from the last 12 months, by the month (UTC) they started in.",
  none: "No recordings yet",
  month: "Month",
  course: "Course",
  recordings: "Recordings",
  minutes: "Minutes recorded",
  composing: "Processing time",
  files: "Files stored",
  bytes: "Total size",
  total: "Total",
});

interface Row {
  month: string;
  course_id: string;
  course_title: string;
  recordings: number;
  recorded_minutes: number;
  composer_seconds: number;
  files: number;
  bytes: number;
}

const number = (value: number) => new Intl.NumberFormat(locale).format(value);
const size = (bytes: number) => new Intl.NumberFormat(locale, { style: "unit", unit: "megabyte", maximumFractionDigits: 1 }).format(bytes / 1e6);
const sum = (rows: Row[], of: (row: Row) => number) => rows.reduce((all, row) => all + of(row), 0);

function Usage({ ask }: SectionProps) {
  const loaded = useLoad<{ rows: Row[] }>(ask, "/usage");
  return (
    <Show loaded={loaded}>
      {({ rows }) => (
        <>
          <p class="note">{t("intro")}</p>
          {rows.length === 0 ? <Empty title={t("none")} /> : <List rows={rows} />}
        </>
      )}
    </Show>
  );
}

function List({ rows }: { rows: Row[] }) {
  return (
    <Table label={t("title")} heads={[t("month"), t("course"), t("recordings"), t("minutes"), t("composing"), t("files"), t("bytes")]}>
      {rows.map((row) => <Line key={`${row.month} ${row.course_id}`} month={row.month} course={row.course_title || row.course_id} rows={[row]} />)}
      {rows.length > 1 && <Line month={t("total")} course="" rows={rows} />}
    </Table>
  );
}

function Line({ month, course, rows }: { month: string; course: string; rows: Row[] }) {
  return (
    <tr data-testid="usage">
      <td data-head={t("month")}>{month}</td>
      <td data-head={t("course")}>{course}</td>
      <td data-head={t("recordings")}>{number(sum(rows, (row) => row.recordings))}</td>
      <td data-head={t("minutes")}>{number(sum(rows, (row) => row.recorded_minutes))}</td>
      <td data-head={t("composing")}>{length(sum(rows, (row) => row.composer_seconds))}</td>
      <td data-head={t("files")}>{number(sum(rows, (row) => row.files))}</td>
      <td data-head={t("bytes")}>{size(sum(rows, (row) => row.bytes))}</td>
    </tr>
  );
}

export const usage: Section = { id: "usage", title: t("title"), View: Usage };
