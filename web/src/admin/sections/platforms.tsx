/** Platforms: health of each connection first, then how to register another one. */
import { CircleAlert, CircleCheck } from "lucide-preact";
import { useState } from "preact/hooks";
import { Button, Dialog, Empty } from "../../ui/kit";
import { catalogue, day } from "../../ui/text";
import type { Ask } from "../door";
import { Show, useAct, useLoad } from "../load";
import type { Section, SectionProps } from "../sections";

const t = catalogue({
  title: "Platforms",
  good: { one: "The platform in use is working.", other: "All {count} platforms in use are working." },
  bad: { one: "{count} connection needs attention:", other: "{count} connections need attention:" },
  unused: "Not used yet. It’s tested the first time the tool is opened from the LMS.",
  worked: "worked {when}",
  keyset: "LMS keys",
  token: "Access token",
  roster: "Roster",
  groups: "Course groups",
  grades: "Gradebook",
  check: "Check now",
  checking: "Checking…",
  issuer: "Issuer",
  client: "Client ID",
  tool: "Tool",
  newOnes: "New deployments",
  newIn: "are allowed",
  newHeld: "wait for approval",
  none: "No platforms yet",
  noneText: "Create a link and paste it into the LMS, or register manually.",
  invite: "Registration link",
  inviteText: "Paste this link where the LMS asks for a registration URL (in Sakai: LTI Dynamic Registration). It works once, within 24 hours.",
  byHand: "Register manually",
  byHandText: "Paste these addresses into the LMS, then enter what the LMS shows below.",
  name: "Name",
  authUrl: "Login (authentication) URL",
  tokenUrl: "Access token URL",
  keysUrl: "Keyset URL",
  hold: "New deployments wait for approval",
  register: "Register",
  make: "Create link",
  copy: "Copy",
  close: "Close",
  cancel: "Cancel",
});

type Kind = "keyset" | "token" | "roster" | "groups" | "grades";

interface Health {
  kind: Kind;
  ok: boolean;
  reason: string;
  at: string;
}

interface Platform {
  id: number;
  name: string;
  issuer: string;
  client_id: string;
  app: string;
  accept_new: boolean;
  health: Health[];
}

interface App {
  app: string;
  title: string;
  /** What is pasted into the LMS for this tool. */
  addresses: { name: string; url: string }[];
}

interface Platforms {
  platforms: Platform[];
  apps: App[];
}

const KINDS: Record<Kind, string> = { keyset: t("keyset"), token: t("token"), roster: t("roster"), groups: t("groups"), grades: t("grades") };
const ORDER = Object.keys(KINDS);
const REFRESH_MS = 10_000;

function Platforms({ ask }: SectionProps) {
  const loaded = useLoad<Platforms>(ask, "/platforms", REFRESH_MS);
  const [open, setOpen] = useState<"invite" | "hand" | null>(null);
  const close = () => {
    setOpen(null);
    void loaded.reload();
  };
  return (
    <Show loaded={loaded}>
      {({ platforms, apps }) => (
        <>
          <Summary platforms={platforms.filter((platform) => platform.health.length > 0)} />
          <div class="row">
            <Button look="primary" testId="invite" onClick={() => setOpen("invite")}>{t("invite")}</Button>
            <Button testId="by-hand" onClick={() => setOpen("hand")}>{t("byHand")}</Button>
          </div>
          {platforms.length === 0 && <Empty title={t("none")} text={t("noneText")} />}
          <div class="cards">
            {platforms.map((platform) => <Card key={platform.id} platform={platform} apps={apps} ask={ask} onChecked={loaded.reload} />)}
          </div>
          {open === "invite" && <Invite ask={ask} apps={apps} onClose={close} />}
          {open === "hand" && <ByHand ask={ask} apps={apps} onClose={close} />}
        </>
      )}
    </Show>
  );
}

function Summary({ platforms }: { platforms: Platform[] }) {
  if (platforms.length === 0) return null;
  const bad = platforms.flatMap((platform) => platform.health.filter((h) => !h.ok).map((h) => ({ platform, h })));
  if (bad.length === 0) return <p class="ok" role="status"><CircleCheck size={18} aria-hidden="true" /> {t("good", { count: platforms.length })}</p>;
  return (
    <div role="status">
      <p class="bad"><CircleAlert size={18} aria-hidden="true" /> {t("bad", { count: bad.length })}</p>
      <ul>{bad.map(({ platform, h }) => <li key={`${platform.id}${h.kind}`}>{platform.name || platform.issuer}: {KINDS[h.kind]}. {h.reason}</li>)}</ul>
    </div>
  );
}

function Card({ platform, apps, ask, onChecked }: { platform: Platform; apps: App[]; ask: Ask; onChecked: () => Promise<void> }) {
  const { busy, error, act } = useAct();
  const check = () =>
    void act(async () => {
      await ask("POST", `/platforms/${platform.id}/check`);
      await onChecked();
    });
  return (
    <section class="card stack" aria-label={platform.name || platform.issuer} data-testid={`platform-${platform.id}`}>
      <div class="row spread">
        <h2>{platform.name || platform.issuer}</h2>
        <Button small disabled={busy} testId={`check-${platform.id}`} onClick={check}>{busy ? t("checking") : t("check")}</Button>
      </div>
      {platform.health.length === 0 && <p class="note">{t("unused")}</p>}
      <ul class="health">
        {[...platform.health].sort((a, b) => ORDER.indexOf(a.kind) - ORDER.indexOf(b.kind)).map((h) => (
          <li key={h.kind} class={h.ok ? "ok" : "bad"}>
            {h.ok ? <CircleCheck size={16} aria-hidden="true" /> : <CircleAlert size={16} aria-hidden="true" />} {KINDS[h.kind]}:{" "}
            {h.ok ? t("worked", { when: day(h.at) }) : `${h.reason} (${day(h.at)})`}
          </li>
        ))}
      </ul>
      {error && <p role="alert" class="error">{error}</p>}
      <dl>
        <dt>{t("tool")}</dt><dd>{apps.find((app) => app.app === platform.app)?.title ?? platform.app}</dd>
        <dt>{t("issuer")}</dt><dd>{platform.issuer}</dd>
        <dt>{t("client")}</dt><dd>{platform.client_id}</dd>
        <dt>{t("newOnes")}</dt><dd>{platform.accept_new ? t("newIn") : t("newHeld")}</dd>
      </dl>
    </section>
  );
}

function AppSelect({ id, apps, value, onChange }: { id: string; apps: App[]; value: string; onChange: (app: string) => void }) {
  return (
    <div class="field">
      <label for={id}>{t("tool")}</label>
      <select id={id} value={value} onChange={(event) => onChange(event.currentTarget.value)}>
        {apps.map((app) => <option key={app.app} value={app.app}>{app.title}</option>)}
      </select>
    </div>
  );
}

function Invite({ ask, apps, onClose }: { ask: Ask; apps: App[]; onClose: () => void }) {
  const [app, setApp] = useState(apps[0]?.app ?? "");
  const [url, setUrl] = useState("");
  const { busy, error, act } = useAct();
  const make = () => void act(async () => setUrl((await ask<{ url: string }>("POST", "/platforms/invitations", { app })).url));
  const choose = (chosen: string) => {
    setApp(chosen);
    setUrl("");
  };
  return (
    <Dialog
      title={t("invite")}
      onClose={onClose}
      foot={
        <>
          {url && <Button onClick={() => void navigator.clipboard.writeText(url).catch(() => undefined)}>{t("copy")}</Button>}
          {!url && <Button look="primary" disabled={busy} testId="make-invite" onClick={make}>{t("make")}</Button>}
          <Button onClick={onClose}>{t("close")}</Button>
        </>
      }
    >
      <AppSelect id="invite-app" apps={apps} value={app} onChange={choose} />
      <p>{t("inviteText")}</p>
      {url && <p class="secret" data-testid="invitation">{url}</p>}
      {error && <p role="alert" class="error">{error}</p>}
    </Dialog>
  );
}

const FIELDS = ["name", "issuer", "client_id", "auth_login_url", "auth_token_url", "jwks_url"] as const;
const LABELS = { name: t("name"), issuer: t("issuer"), client_id: t("client"), auth_login_url: t("authUrl"), auth_token_url: t("tokenUrl"), jwks_url: t("keysUrl") };

function ByHand({ ask, apps, onClose }: { ask: Ask; apps: App[]; onClose: () => void }) {
  const [values, setValues] = useState<Record<string, string>>({});
  const [app, setApp] = useState(apps[0]?.app ?? "");
  const [hold, setHold] = useState(false);
  const addresses = apps.find((each) => each.app === app)?.addresses ?? [];
  const { busy, error, act } = useAct();
  const save = (event: Event) => {
    event.preventDefault();
    void act(async () => {
      await ask("POST", "/platforms", { ...values, app, hold_new: hold });
      onClose();
    });
  };
  return (
    <Dialog title={t("byHand")} onClose={onClose}>
      <AppSelect id="hand-app" apps={apps} value={app} onChange={setApp} />
      <p>{t("byHandText")}</p>
      <dl>
        {addresses.map((address) => [<dt key={address.name}>{address.name}</dt>, <dd key={`${address.name}-url`}><code>{address.url}</code></dd>])}
      </dl>
      <form class="stack" onSubmit={save}>
        {FIELDS.map((field) => (
          <div class="field" key={field}>
            <label for={`hand-${field}`}>{LABELS[field]}</label>
            <input
              id={`hand-${field}`} required={field !== "name"} type={field.endsWith("_url") || field === "issuer" ? "url" : "text"}
              value={values[field] ?? ""} onInput={(event) => setValues({ ...values, [field]: event.currentTarget.value })}
            />
          </div>
        ))}
        <label class="choice"><input type="checkbox" checked={hold} onChange={(event) => setHold(event.currentTarget.checked)} /> {t("hold")}</label>
        {error && <p role="alert" class="error">{error}</p>}
        <div class="row">
          <Button look="primary" type="submit" disabled={busy}>{t("register")}</Button>
          <Button onClick={onClose}>{t("cancel")}</Button>
        </div>
      </form>
    </Dialog>
  );
}

export const platforms: Section = { id: "platforms", title: t("title"), View: Platforms };
