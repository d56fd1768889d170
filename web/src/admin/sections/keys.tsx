/** API keys: what there is, a new one (its secret is shown once), revoke. */
import { useState } from "preact/hooks";
import { Button, Dialog, Empty } from "../../ui/kit";
import { catalogue, day } from "../../ui/text";
import { Show, Table, useAct, useLoad } from "../load";
import type { Section, SectionProps } from "../sections";
import { SecretDialog } from "../secret";

const t = catalogue({
  title: "API keys",
  intro: "Other programs use API keys to access the REST API. A key’s secret is shown once, when you create it.",
  create: "New key",
  name: "Name",
  nameNote: "What uses it, such as “Campus calendar”",
  may: "Permissions",
  course: "Course ID",
  courseNote: "Leave empty for all courses",
  allCourses: "All courses",
  made: "Created",
  state: "State",
  active: "Active",
  revoked: "Revoked {when}",
  revoke: "Revoke",
  revokeTitle: "Revoke “{name}”?",
  revokeText: "Programs that use it lose access immediately. You can’t undo this.",
  revokeConfirm: "Revoke “{name}”",
  cancel: "Cancel",
  secretTitle: "Key “{name}”",
  secretText: "Copy the secret now. You won’t see it again.",
  none: "No keys yet",
  noneText: "Create a separate key for each program, so you can revoke them one at a time.",
  scopeRead: "View recordings",
  scopeWrite: "Start, pause and stop recordings",
  scopeCommands: "Send commands to sessions",
  scopeWebhooks: "Manage webhooks",
  scopeUsage: "View usage",
  scopeStorage: "View storage",
  scopeStorageWrite: "Add, change and remove storage",
  days: "Expires after (days)",
  daysNote: "Leave empty to keep it valid until you revoke it",
  used: "Last used {when}",
  unused: "Never used",
  expired: "Expired {when}",
  ends: "Expires {when}",
});

interface Key {
  key_id: string;
  name: string;
  scopes: string[];
  course_id: string | null;
  course_title: string;
  created_at: string;
  revoked_at: string | null;
  expires_at: string | null;
  last_used_at: string | null;
}

interface Keys {
  keys: Key[];
  scopes: string[];
}

const SCOPES = new Map([
  ["recordings:read", t("scopeRead")],
  ["recordings:write", t("scopeWrite")],
  ["commands", t("scopeCommands")],
  ["webhooks", t("scopeWebhooks")],
  ["usage", t("scopeUsage")],
  ["storage", t("scopeStorage")],
  ["storage:write", t("scopeStorageWrite")],
]);

/** Ticked for a new key; whatever more it may do is chosen on purpose. */
const LEAST = new Set(["recordings:read"]);

/** A scope in words, or its name when it has none. */
const scopeText = (scope: string) => SCOPES.get(scope) ?? scope;

function Keys({ ask }: SectionProps) {
  const loaded = useLoad<Keys>(ask, "/keys");
  const [asking, setAsking] = useState<"create" | Key | null>(null);
  const [made, setMade] = useState<{ name: string; secret: string } | null>(null);
  const { busy, error, act } = useAct();
  const close = () => setAsking(null);
  const create = (name: string, scopes: string[], course_id: string, days: number | null) =>
    void act(async () => {
      const { secret } = await ask<{ secret: string }>("POST", "/keys", { name, scopes, course_id, days });
      close();
      setMade({ name, secret });
      await loaded.reload();
    });
  const revoke = (key: Key) =>
    void act(async () => {
      await ask("DELETE", `/keys/${key.key_id}`);
      close();
      await loaded.reload();
    });
  return (
    <Show loaded={loaded}>
      {({ keys, scopes }) => (
        <>
          <p class="note">{t("intro")}</p>
          <div class="row"><Button look="primary" testId="new-key" onClick={() => setAsking("create")}>{t("create")}</Button></div>
          {keys.length === 0 ? <Empty title={t("none")} text={t("noneText")} /> : <List keys={keys} onRevoke={setAsking} />}
          {asking === "create" && <Create scopes={scopes} busy={busy} error={error} onCreate={create} onClose={close} />}
          {asking !== null && asking !== "create" && (
            <Dialog
              title={t("revokeTitle", { name: asking.name })}
              onClose={close}
              foot={
                <>
                  <Button onClick={close}>{t("cancel")}</Button>
                  <Button look="danger" disabled={busy} testId="confirm-revoke" onClick={() => revoke(asking)}>{t("revokeConfirm", { name: asking.name })}</Button>
                </>
              }
            >
              <p>{t("revokeText")}</p>
              {error && <p role="alert" class="error">{error}</p>}
            </Dialog>
          )}
          {made && <SecretDialog title={t("secretTitle", { name: made.name })} text={t("secretText")} secret={made.secret} onClose={() => setMade(null)} />}
        </>
      )}
    </Show>
  );
}

const isOver = (key: Key) => key.expires_at !== null && new Date(key.expires_at) <= new Date();

function List({ keys, onRevoke }: { keys: Key[]; onRevoke: (key: Key) => void }) {
  return (
    <Table label={t("title")} heads={[t("name"), t("may"), t("course"), t("made"), t("state")]}>
      {keys.map((key) => (
        <tr key={key.key_id}>
          <td data-head={t("name")}>{key.name}</td>
          <td data-head={t("may")}>{key.scopes.map(scopeText).join(", ")}</td>
          <td data-head={t("course")}>{key.course_id ? key.course_title || key.course_id : t("allCourses")}</td>
          <td data-head={t("made")}>
            {day(key.created_at)}
            <br />
            <span class="note">{key.last_used_at ? t("used", { when: day(key.last_used_at) }) : t("unused")}</span>
            {key.expires_at && !isOver(key) && <><br /><span class="note">{t("ends", { when: day(key.expires_at) })}</span></>}
          </td>
          <td data-head={t("state")}>
            {key.revoked_at ? (
              <span class="note">{t("revoked", { when: day(key.revoked_at) })}</span>
            ) : isOver(key) ? (
              <span class="note">{t("expired", { when: day(key.expires_at ?? "") })}</span>
            ) : (
              <span class="row">{t("active")} <Button small onClick={() => onRevoke(key)} aria-label={t("revokeConfirm", { name: key.name })}>{t("revoke")}</Button></span>
            )}
          </td>
        </tr>
      ))}
    </Table>
  );
}

interface CreateProps {
  scopes: string[];
  busy: boolean;
  error: string | null;
  onCreate: (name: string, scopes: string[], courseId: string, days: number | null) => void;
  onClose: () => void;
}

function Create({ scopes, busy, error, onCreate, onClose }: CreateProps) {
  const [name, setName] = useState("");
  const [course, setCourse] = useState("");
  const [days, setDays] = useState("");
  const [chosen, setChosen] = useState<string[]>(scopes.filter((scope) => LEAST.has(scope)));
  const toggle = (scope: string, on: boolean) => setChosen(on ? [...chosen, scope] : chosen.filter((each) => each !== scope));
  return (
    <Dialog title={t("create")} onClose={onClose}>
      <form
        class="stack"
        onSubmit={(event) => {
          event.preventDefault();
          onCreate(name, chosen, course.trim(), days === "" ? null : Number(days));
        }}
      >
        <div class="field">
          <label for="key-name">{t("name")}</label>
          <input id="key-name" required maxLength={80} value={name} onInput={(event) => setName(event.currentTarget.value)} aria-describedby="key-name-note" />
          <span class="note" id="key-name-note">{t("nameNote")}</span>
        </div>
        <fieldset class="field">
          <legend>{t("may")}</legend>
          {scopes.map((scope) => (
            <label class="choice" key={scope}>
              <input type="checkbox" checked={chosen.includes(scope)} onChange={(event) => toggle(scope, event.currentTarget.checked)} />
              {scopeText(scope)}
            </label>
          ))}
        </fieldset>
        <div class="field">
          <label for="key-course">{t("course")}</label>
          <input id="key-course" value={course} onInput={(event) => setCourse(event.currentTarget.value)} aria-describedby="key-course-note" />
          <span class="note" id="key-course-note">{t("courseNote")}</span>
        </div>
        <div class="field">
          <label for="key-days">{t("days")}</label>
          <input id="key-days" type="number" min={1} max={3650} step={1} value={days} onInput={(event) => setDays(event.currentTarget.value)} aria-describedby="key-days-note" />
          <span class="note" id="key-days-note">{t("daysNote")}</span>
        </div>
        {error && <p role="alert" class="error">{error}</p>}
        <div class="row">
          <Button look="primary" type="submit" disabled={busy || chosen.length === 0} testId="create-key">{t("create")}</Button>
          <Button onClick={onClose}>{t("cancel")}</Button>
        </div>
      </form>
    </Dialog>
  );
}

export const keys: Section = { id: "keys", title: t("title"), View: Keys };
