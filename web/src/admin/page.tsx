/** The administration page: sign-in, the menu of sections, and the section that the address names. */
import { LogOut } from "lucide-preact";
import { useEffect, useMemo, useState } from "preact/hooks";
import { Button } from "../ui/kit";
import { door, signIn, type AdminBoot } from "./door";
import { useAct } from "./load";
import { sections } from "./sections";
import { t } from "./texts";
import "./admin.css";

export function AdminPage({ boot }: { boot: AdminBoot }) {
  const [who, setWho] = useState(boot);
  if (who.name === null) return <SignIn onDone={setWho} />;
  return <Shell name={who.name} csrf={who.csrf} onGone={() => setWho({ name: null, csrf: "" })} />;
}

function SignIn({ onDone }: { onDone: (boot: AdminBoot) => void }) {
  const [name, setName] = useState("");
  const [password, setPassword] = useState("");
  const { busy, error, act } = useAct();
  const submit = (event: Event) => {
    event.preventDefault();
    void act(async () => onDone(await signIn(name, password)));
  };
  return (
    <main class="sign-in">
      <h1>{t("title")}</h1>
      <form class="stack card" onSubmit={submit}>
        <div class="field">
          <label for="admin-name">{t("name")}</label>
          <input id="admin-name" autocomplete="username" required autofocus value={name} onInput={(event) => setName(event.currentTarget.value)} />
        </div>
        <div class="field">
          <label for="admin-password">{t("password")}</label>
          <input
            id="admin-password" type="password" autocomplete="current-password" required value={password}
            onInput={(event) => setPassword(event.currentTarget.value)}
          />
        </div>
        {error && <p role="alert" class="error">{error}</p>}
        <div class="row"><Button look="primary" type="submit" disabled={busy} testId="sign-in">{t("signIn")}</Button></div>
      </form>
      <p class="note">{t("signInText")}</p>
    </main>
  );
}

function named(): string {
  const wanted = location.hash.slice(1);
  return sections.some((section) => section.id === wanted) ? wanted : (sections[0]?.id ?? "");
}

function Shell({ name, csrf, onGone }: { name: string; csrf: string; onGone: () => void }) {
  const [open, setOpen] = useState(named);
  const ask = useMemo(() => door(csrf, onGone), [csrf]);
  useEffect(() => {
    const follow = () => setOpen(named());
    addEventListener("hashchange", follow);
    return () => removeEventListener("hashchange", follow);
  }, []);
  const section = sections.find((each) => each.id === open);
  useEffect(() => {
    if (section) document.title = `${section.title} · ${t("title")}`;
  }, [section]);
  const leave = () => void ask("POST", "/sign-out").then(onGone, onGone);
  return (
    <div class="admin">
      <a class="skip" href="#admin-main" onClick={(event) => { event.preventDefault(); document.getElementById("admin-main")?.focus(); }}>{t("skip")}</a>
      <header>
        <strong>{t("title")}</strong>
        <span class="note who">{t("signedIn", { name })}</span>
        <Button small look="quiet" onClick={leave} testId="sign-out"><LogOut size={16} class="flip" aria-hidden="true" /> {t("signOut")}</Button>
      </header>
      <nav aria-label={t("sections")}>
        {sections.map((each) => (
          <a key={each.id} href={`#${each.id}`} aria-current={each.id === open ? "page" : undefined}>{each.title}</a>
        ))}
      </nav>
      <main id="admin-main" tabIndex={-1}>
        {section && (
          <>
            <h1>{section.title}</h1>
            <section.View key={section.id} ask={ask} />
          </>
        )}
      </main>
    </div>
  );
}
