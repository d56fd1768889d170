/** Storage: where copies of recordings go, whether each place works, a new one, try again, remove. */
import { useState } from "preact/hooks";
import { Button, Dialog, Empty } from "../../ui/kit";
import { catalogue, day } from "../../ui/text";
import { Show, Table, useAct, useLoad } from "../load";
import type { Section, SectionProps } from "../sections";

const t = catalogue({
  title: "Storage",
  intro: "Finished recordings are kept on this server and copied to each of these places. Local files stay until every copy is confirmed, and then for as long as the server’s setting says (SIDEROOM_RETENTION_DAYS: 7 days; 0: forever).",
  create: "Add storage",
  none: "Recordings are only kept on this server",
  noneText: "Add a bucket, container or folder to copy every new recording there.",
  name: "Name",
  nameNote: "Leave empty to use the bucket’s name",
  kind: "Type",
  place: "Location",
  scope: "Used for",
  site: "Whole site",
  state: "State",
  copies: "Copies",
  works: "Works, tested {when}",
  untried: "Not tested yet",
  done: { one: "{count} confirmed", other: "{count} confirmed" },
  open: { one: "{count} in progress", other: "{count} in progress" },
  failed: { one: "{count} failed", other: "{count} failed" },
  check: "Test",
  checkName: "Test “{name}”",
  retry: "Copy again",
  retryName: "Copy again to “{name}”",
  remove: "Remove",
  removeName: "Remove “{name}”",
  removeTitle: "Remove “{name}”?",
  removeText: "Nothing more will be copied there, and its credentials will be deleted. Existing copies stay, but recordings whose files are only there can no longer be played.",
  cancel: "Cancel",
  save: "Test and save",
  saving: "Writing, reading and deleting a test file…",
  course: "Course ID",
  courseNote: "Leave empty for all courses",
  keep: "Keep local files after their copies are confirmed",
  deletes: "Delete copies when a recording expires or is deleted",
  kept: "Local files are kept",
  notKept: "Local files are deleted after copying",
  aws: "Amazon S3",
  digitalocean: "DigitalOcean Spaces",
  s3: "Other S3-compatible storage",
  azure: "Azure Blob Storage",
  local: "Folder on this server",
  bucket: "Bucket, Space or container",
  region: "Region",
  endpoint_url: "Address (https://…)",
  path: "Folder",
  access_key: "Access key",
  secret: "Secret",
  connection: "Connection string",
});

type Kind = "aws" | "digitalocean" | "s3" | "azure" | "local";
type Field = "bucket" | "region" | "endpoint_url" | "path" | "access_key" | "secret";

interface Storage {
  id: string;
  name: string;
  type: Kind;
  bucket?: string;
  path?: string;
  course_id: string | null;
  course_title: string;
  keep_local: boolean;
  checked_time: string | null;
  problem: string | null;
  reason: string | null;
  copies: { waiting: number; copying: number; done: number; failed: number };
}

interface Storages {
  storages: Storage[];
  types: Record<Kind, { required: Field[]; optional: Field[] }>;
}

const REFRESH_MS = 5000;
const KINDS: Kind[] = ["aws", "digitalocean", "s3", "azure", "local"];
const ORDER: Field[] = ["bucket", "region", "endpoint_url", "path", "access_key", "secret"];

function StoragePage({ ask }: SectionProps) {
  const loaded = useLoad<Storages>(ask, "/storages", REFRESH_MS);
  const [asking, setAsking] = useState<"create" | Storage | null>(null);
  const { busy, error, act } = useAct();
  const close = () => setAsking(null);
  const then = (work: () => Promise<unknown>) =>
    void act(async () => {
      await work();
      close();
      await loaded.reload();
    });
  return (
    <Show loaded={loaded}>
      {({ storages, types }) => (
        <>
          <p class="note">{t("intro")}</p>
          <div class="row"><Button look="primary" testId="new-storage" onClick={() => setAsking("create")}>{t("create")}</Button></div>
          {error && asking === null && <p role="alert" class="error">{error}</p>}
          {storages.length === 0 ? (
            <Empty title={t("none")} text={t("noneText")} />
          ) : (
            <List
              storages={storages} busy={busy} onRemove={setAsking}
              onCheck={(id) => then(() => ask("POST", `/storages/${id}/check`))}
              onRetry={(id) => then(() => ask("POST", `/storages/${id}/retry`))}
            />
          )}
          {asking === "create" && (
            <Create types={types} busy={busy} error={error} onClose={close} onCreate={(body) => then(() => ask("POST", "/storages", body))} />
          )}
          {asking !== null && asking !== "create" && (
            <Dialog
              title={t("removeTitle", { name: asking.name })}
              onClose={close}
              foot={
                <>
                  <Button onClick={close}>{t("cancel")}</Button>
                  <Button look="danger" disabled={busy} testId="confirm-remove" onClick={() => then(() => ask("DELETE", `/storages/${asking.id}`))}>
                    {t("removeName", { name: asking.name })}
                  </Button>
                </>
              }
            >
              <p>{t("removeText")}</p>
              {error && <p role="alert" class="error">{error}</p>}
            </Dialog>
          )}
        </>
      )}
    </Show>
  );
}

interface ListProps {
  storages: Storage[];
  busy: boolean;
  onCheck: (id: string) => void;
  onRetry: (id: string) => void;
  onRemove: (storage: Storage) => void;
}

function List({ storages, busy, onCheck, onRetry, onRemove }: ListProps) {
  return (
    <Table label={t("title")} heads={[t("name"), t("place"), t("scope"), t("state"), t("copies"), ""]}>
      {storages.map((storage) => (
        <tr key={storage.id} data-testid="storage">
          <td data-head={t("name")}>{storage.name}</td>
          <td data-head={t("place")}>
            <div>
              {t(storage.type)}
              <div class="note">{[storage.bucket, storage.path].filter(Boolean).join("/")}</div>
            </div>
          </td>
          <td data-head={t("scope")}>
            <div>
              {storage.course_id ? storage.course_title || storage.course_id : t("site")}
              <div class="note">{storage.keep_local ? t("kept") : t("notKept")}</div>
            </div>
          </td>
          <td data-head={t("state")}>
            {storage.problem ? (
              <span class="bad">{storage.problem}</span>
            ) : (
              <span class="ok">{storage.checked_time ? t("works", { when: day(storage.checked_time) }) : t("untried")}</span>
            )}
          </td>
          <td data-head={t("copies")}><Copies storage={storage} /></td>
          <td>
            <span class="row">
              <Button small disabled={busy} onClick={() => onCheck(storage.id)} aria-label={t("checkName", { name: storage.name })}>{t("check")}</Button>
              {storage.copies.failed > 0 && (
                <Button small disabled={busy} onClick={() => onRetry(storage.id)} aria-label={t("retryName", { name: storage.name })}>{t("retry")}</Button>
              )}
              <Button small onClick={() => onRemove(storage)} aria-label={t("removeName", { name: storage.name })}>{t("remove")}</Button>
            </span>
          </td>
        </tr>
      ))}
    </Table>
  );
}

function Copies({ storage }: { storage: Storage }) {
  const { waiting, copying, done, failed } = storage.copies;
  return (
    <div>
      {t("done", { count: done })}
      {waiting + copying > 0 && <div>{t("open", { count: waiting + copying })}</div>}
      {failed > 0 && <div class="bad">{t("failed", { count: failed })}. {storage.reason}</div>}
    </div>
  );
}

interface CreateProps {
  types: Storages["types"];
  busy: boolean;
  error: string | null;
  onCreate: (body: Record<string, unknown>) => void;
  onClose: () => void;
}

function Create({ types, busy, error, onCreate, onClose }: CreateProps) {
  const [kind, setKind] = useState<Kind>("aws");
  const [values, setValues] = useState<Partial<Record<Field | "name" | "course_id", string>>>({});
  const [keep, setKeep] = useState(true);
  const [deletes, setDeletes] = useState(false);
  const spec = types[kind];
  const fields = ORDER.filter((field) => spec.required.includes(field) || spec.optional.includes(field));
  const set = (field: keyof typeof values) => (event: { currentTarget: HTMLInputElement }) =>
    setValues({ ...values, [field]: event.currentTarget.value });
  const submit = (event: Event) => {
    event.preventDefault();
    const given = fields.map((field) => [field, (values[field] ?? "").trim()]).filter(([, value]) => value);
    onCreate({
      ...Object.fromEntries(given), type: kind, name: values.name ?? "", course_id: kind === "local" ? "" : (values.course_id ?? "").trim(),
      keep_local: keep, delete_copies: deletes,
    });
  };
  return (
    <Dialog title={t("create")} onClose={onClose}>
      <form class="stack" onSubmit={submit} autocomplete="off">
        <div class="field">
          <label for="storage-kind">{t("kind")}</label>
          <select id="storage-kind" value={kind} onChange={(event) => setKind(event.currentTarget.value as Kind)}>
            {KINDS.map((each) => <option key={each} value={each}>{t(each)}</option>)}
          </select>
        </div>
        {fields.map((field) => {
          const hidden = field === "secret" || field === "access_key";
          return (
            <div class="field" key={field}>
              <label for={`storage-${field}`}>{kind === "azure" && field === "access_key" ? t("connection") : t(field)}</label>
              <input
                id={`storage-${field}`} type={hidden ? "password" : "text"} autocomplete={hidden ? "new-password" : "off"} spellcheck={false}
                required={spec.required.includes(field)} maxLength={2048} value={values[field] ?? ""} onInput={set(field)}
              />
            </div>
          );
        })}
        <div class="pair">
          <div class="field">
            <label for="storage-name">{t("name")}</label>
            <input id="storage-name" maxLength={100} value={values.name ?? ""} onInput={set("name")} aria-describedby="storage-name-note" />
            <span class="note" id="storage-name-note">{t("nameNote")}</span>
          </div>
          {kind !== "local" && (
            <div class="field">
              <label for="storage-course">{t("course")}</label>
              <input id="storage-course" value={values.course_id ?? ""} onInput={set("course_id")} aria-describedby="storage-course-note" />
              <span class="note" id="storage-course-note">{t("courseNote")}</span>
            </div>
          )}
        </div>
        <label class="choice"><input type="checkbox" checked={keep} onChange={(event) => setKeep(event.currentTarget.checked)} />{t("keep")}</label>
        <label class="choice"><input type="checkbox" checked={deletes} onChange={(event) => setDeletes(event.currentTarget.checked)} />{t("deletes")}</label>
        {error && <p role="alert" class="error">{error}</p>}
        {busy && <p class="note" role="status">{t("saving")}</p>}
        <div class="row">
          <Button look="primary" type="submit" disabled={busy} testId="save-storage">{t("save")}</Button>
          <Button onClick={onClose}>{t("cancel")}</Button>
        </div>
      </form>
    </Dialog>
  );
}

export const storage: Section = { id: "storage", title: t("title"), View: StoragePage };
