/** People: who was ever launched or stands in a roster, and where. */
import { catalogue, day } from "../../ui/text";
import { SearchList } from "../list";
import { Table } from "../load";
import type { Section, SectionProps } from "../sections";

const t = catalogue({
  title: "People",
  none: "No people yet",
  name: "Name",
  unnamed: "(no name)",
  courses: "Courses",
  moderates: "{course} (moderator)",
  lms: "LMS user ID",
  seen: "Last seen",
});

interface Person {
  person_id: string;
  name: string;
  email: string;
  issuer: string;
  sub: string;
  seen_at: string;
  courses: { title: string; role: string }[];
}

function People({ ask }: SectionProps) {
  return (
    <SearchList<{ people: Person[]; total: number; page: number; per_page: number }> ask={ask} path="/people" none={t("none")}>
      {({ people }) => (
        <Table label={t("title")} heads={[t("name"), t("courses"), t("lms"), t("seen")]}>
          {people.map((person) => (
            <tr key={person.person_id}>
              <td data-head={t("name")}><span>{person.name || <span class="note">{t("unnamed")}</span>}{person.email && <><br /><span class="note">{person.email}</span></>}</span></td>
              <td data-head={t("courses")}>
                {person.courses.map((c) => (c.role === "moderator" ? t("moderates", { course: c.title }) : c.title)).join(", ")}
              </td>
              <td data-head={t("lms")}><code>{person.sub}</code></td>
              <td data-head={t("seen")}>{day(person.seen_at)}</td>
            </tr>
          ))}
        </Table>
      )}
    </SearchList>
  );
}

export const people: Section = { id: "people", title: t("title"), View: People };
