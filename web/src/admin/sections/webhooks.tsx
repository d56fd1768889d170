/** Webhooks: what there is, a new one (its secret is shown once), test, log with every try, send again. */
import { useState } from "preact/hooks";
import { Button, Dialog, Empty } from "../../ui/kit";
import { catalogue, day } from "../../ui/text";
import { Show, Table, useAct, useLoad } from "../load";
import type { Section, SectionProps } from "../sections";
import { Log } from "./webhook_log";
import { SecretDialog } from "../secret";

const t = catalogue({
  title: "Webhooks",
  intro: "Webhooks send signed messages to other systems when something happens. Failed deliveries are retried for a day.",
  create: "New webhook",
  none: "No webhooks yet",
  noneText: "Add the address of a system to notify about recordings or sessions.",
  name: "Name",
  url: "Address",
  urlNote: "The https://… address that receives the messages",
  events: "Events",
  course: "Course",
  courseId: "Course ID",
  courseNote: "Leave empty for all courses",
  allCourses: "All courses",
  state: "State",
  on: "On",
  off: "Off",
  log: "Log",
  logName: "Log of “{name}”",
  test: "Test",
  testName: "Send a test to “{name}”",
  switchOff: "Switch off",
  switchOffName: "Switch “{name}” off",
  switchOn: "Switch on",
  switchOnName: "Switch “{name}” on",
  rotate: "New secret",
  rotateName: "New secret for “{name}”",
  remove: "Delete",
  removeTitle: "Delete “{name}”?",
  removeText: "Nothing more will be sent there, and its log will be deleted.",
  removeConfirm: "Delete “{name}”",
  cancel: "Cancel",
  secretTitle: "Secret of “{name}”",
  secretText: "Copy the signing secret now. You won’t see it again. A previous secret stays valid for one more day.",
});

export interface Webhook {
  id: string;
  name: string;
  url: string;
  events: string[];
  enabled: boolean;
  disabled_reason: string;
  course_id: string | null;
  course_title: string;
  updated_at: string;
}

interface Webhooks {
  webhooks: Webhook[];
  events: { event: string; description: string }[];
}

interface Made {
  webhook: Webhook;
  secret: string;
}

type Asking = { what: "create" } | { what: "remove" | "log"; hook: Webhook } | null;

function WebhooksPage({ ask }: SectionProps) {
  const loaded = useLoad<Webhooks>(ask, "/webhooks");
  const [asking, setAsking] = useState<Asking>(null);
  const [made, setMade] = useState<Made | null>(null);
  const { busy, error, act } = useAct();
  const close = () => setAsking(null);
  const then = (work: () => Promise<unknown>) =>
    void act(async () => {
      await work();
      close();
      await loaded.reload();
    });
  const choose = (hook: Webhook, what: "remove" | "log") => setAsking({ what, hook });
  const test = (hook: Webhook) =>
    void act(async () => {
      await ask("POST", `/webhooks/${hook.id}/test`);
      choose(hook, "log");
    });
  return (
    <Show loaded={loaded}>
      {({ webhooks, events }) => (
        <>
          <p class="note">{t("intro")}</p>
          <div class="row"><Button look="primary" testId="new-webhook" onClick={() => setAsking({ what: "create" })}>{t("create")}</Button></div>
          {error && asking === null && <p role="alert" class="error">{error}</p>}
          {webhooks.length === 0 ? (
            <Empty title={t("none")} text={t("noneText")} />
          ) : (
            <List
              webhooks={webhooks} onChoose={choose} onTest={test}
              onSwitch={(hook) => then(() => ask("PATCH", `/webhooks/${hook.id}`, { enabled: !hook.enabled }))}
              onRotate={(hook) => then(async () => setMade(await ask<Made>("POST", `/webhooks/${hook.id}/secret`)))}
            />
          )}
          {asking?.what === "create" && (
            <Create events={events} busy={busy} error={error} onClose={close} onCreate={(body) => then(async () => setMade(await ask<Made>("POST", "/webhooks", body)))} />
          )}
          {asking?.what === "log" && <Log ask={ask} hook={asking.hook} title={t("logName", { name: asking.hook.name })} onClose={close} />}
          {asking?.what === "remove" && (
            <Dialog
              title={t("removeTitle", { name: asking.hook.name })}
              onClose={close}
              foot={
                <>
                  <Button onClick={close}>{t("cancel")}</Button>
                  <Button look="danger" disabled={busy} testId="confirm-delete" onClick={() => then(() => ask("DELETE", `/webhooks/${asking.hook.id}`))}>
                    {t("removeConfirm", { name: asking.hook.name })}
                  </Button>
                </>
              }
            >
              <p>{t("removeText")}</p>
              {error && <p role="alert" class="error">{error}</p>}
            </Dialog>
          )}
          {made && <SecretDialog title={t("secretTitle", { name: made.webhook.name })} text={t("secretText")} secret={made.secret} onClose={() => setMade(null)} />}
        </>
      )}
    </Show>
  );
}

interface ListProps {
  webhooks: Webhook[];
  onChoose: (hook: Webhook, what: "remove" | "log") => void;
  onTest: (hook: Webhook) => void;
  onSwitch: (hook: Webhook) => void;
  onRotate: (hook: Webhook) => void;
}

function List({ webhooks, onChoose, onTest, onSwitch, onRotate }: ListProps) {
  return (
    <Table label={t("title")} heads={[t("name"), t("events"), t("course"), t("state"), ""]}>
      {webhooks.map((hook) => (
        <tr key={hook.id} data-testid="webhook">
          <td data-head={t("name")}><span>{hook.name}<br /><span class="note">{hook.url}</span></span></td>
          <td data-head={t("events")}>{hook.events.join(", ")}</td>
          <td data-head={t("course")}>{hook.course_id ? hook.course_title || hook.course_id : t("allCourses")}</td>
          <td data-head={t("state")}>
            {hook.enabled ? <span class="ok">{t("on")}</span> : <span class="bad">{t("off")} {hook.disabled_reason && `(${day(hook.updated_at)}): ${hook.disabled_reason}`}</span>}
          </td>
          <td>
            <span class="row">
              <Button small testId="webhook-log" aria-label={t("logName", { name: hook.name })} onClick={() => onChoose(hook, "log")}>{t("log")}</Button>
              {hook.enabled && <Button small aria-label={t("testName", { name: hook.name })} onClick={() => onTest(hook)}>{t("test")}</Button>}
              <Button small aria-label={t(hook.enabled ? "switchOffName" : "switchOnName", { name: hook.name })} onClick={() => onSwitch(hook)}>
                {hook.enabled ? t("switchOff") : t("switchOn")}
              </Button>
              <Button small aria-label={t("rotateName", { name: hook.name })} onClick={() => onRotate(hook)}>{t("rotate")}</Button>
              <Button small aria-label={t("removeConfirm", { name: hook.name })} onClick={() => onChoose(hook, "remove")}>{t("remove")}</Button>
            </span>
          </td>
        </tr>
      ))}
    </Table>
  );
}

interface CreateProps {
  events: Webhooks["events"];
  busy: boolean;
  error: string | null;
  onCreate: (body: Record<string, unknown>) => void;
  onClose: () => void;
}

function Create({ events, busy, error, onCreate, onClose }: CreateProps) {
  const [name, setName] = useState("");
  const [url, setUrl] = useState("");
  const [course, setCourse] = useState("");
  const [chosen, setChosen] = useState<string[]>(events.map((each) => each.event));
  const toggle = (event: string, on: boolean) => setChosen(on ? [...chosen, event] : chosen.filter((each) => each !== event));
  return (
    <Dialog title={t("create")} onClose={onClose}>
      <form
        class="stack"
        onSubmit={(event) => {
          event.preventDefault();
          onCreate({ name: name.trim(), url: url.trim(), events: chosen, course_id: course.trim() || null });
        }}
      >
        <div class="field">
          <label for="webhook-name">{t("name")}</label>
          <input id="webhook-name" required maxLength={100} value={name} onInput={(event) => setName(event.currentTarget.value)} />
        </div>
        <div class="field">
          <label for="webhook-url">{t("url")}</label>
          <input id="webhook-url" type="url" required maxLength={2000} value={url} onInput={(event) => setUrl(event.currentTarget.value)} aria-describedby="webhook-url-note" />
          <span class="note" id="webhook-url-note">{t("urlNote")}</span>
        </div>
        <fieldset class="field">
          <legend>{t("events")}</legend>
          {events.map(({ event, description }) => (
            <label class="choice" key={event}>
              <input type="checkbox" checked={chosen.includes(event)} onChange={(change) => toggle(event, change.currentTarget.checked)} />
              <span>{event} <span class="note">{description}</span></span>
            </label>
          ))}
        </fieldset>
        <div class="field">
          <label for="webhook-course">{t("courseId")}</label>
          <input id="webhook-course" value={course} onInput={(event) => setCourse(event.currentTarget.value)} aria-describedby="webhook-course-note" />
          <span class="note" id="webhook-course-note">{t("courseNote")}</span>
        </div>
        {error && <p role="alert" class="error">{error}</p>}
        <div class="row">
          <Button look="primary" type="submit" disabled={busy} testId="create-webhook">{t("create")}</Button>
          <Button onClick={onClose}>{t("cancel")}</Button>
        </div>
      </form>
    </Dialog>
  );
}

export const webhooks: Section = { id: "webhooks", title: t("title"), View: WebhooksPage };
