/** The lobby's Slack card: connect by sign-in or code, what is connected, disconnect, and what was done from Slack. */
import { useEffect, useRef, useState } from "preact/hooks";
import { Button } from "../ui/kit";
import { locale } from "../ui/locale";
import { ApiError, call, type Boot } from "../ui/page";
import { catalogue } from "../ui/text";

const t = catalogue({
  title: "Slack",
  teacher: "Connect Slack to run breakouts, help calls and recordings from there.",
  student: "Connect Slack to see when the class is live.",
  signIn: "Sign in with Slack",
  code: "Show code",
  type: "Type this in Slack within ten minutes: {command}",
  blocked: "Your browser blocked the new window. Use this link:",
  waiting: "Continue in the Slack window. This page updates when you’re connected.",
  linked: "Connected with {team} as {user} since {date}.",
  deactivated: "Your Slack account in {team} is deactivated. The connection will work again when it’s reactivated.",
  uninstalled: "The app was removed from {team}. The connection will work again when it’s reinstalled.",
  unlink: "Disconnect",
  log: { one: "Slack activity ({count})", other: "Slack activity ({count})" },
  done: "done",
  refused: "refused ({code})",
  inChannel: "in {channel}",
});

interface Link {
  team_id: string;
  team: string;
  user_id: string;
  name?: string;
  linked_at: string;
  suspended: string;
}
interface Done {
  at: string;
  who: string;
  action: string;
  channel: string;
  result: string;
}
interface Overview {
  can_sign_in: boolean;
  links: Link[];
  actions: Done[];
}

/** `linked`: what the polled lobby says; when it changes the card is loaded anew. */
export function SlackCard({ boot, linked, onChange }: { boot: Boot; linked: boolean; onChange: () => Promise<void> }) {
  const [overview, setOverview] = useState<Overview | null>(null);
  const [error, setError] = useState<string | null>(null);
  const failed = (problem: ApiError) => setError(problem.message);
  const load = () => call<Overview>(boot, "GET", "/app/api/slack").then(setOverview, failed);
  useEffect(() => void load(), [linked]);
  if (!overview) return error ? <p role="alert">{error}</p> : null;
  const unlink = (link: Link) =>
    call(boot, "DELETE", `/app/api/slack/link?team_id=${encodeURIComponent(link.team_id)}`)
      .then(() => Promise.all([load(), onChange()]))
      .catch(failed);
  return (
    <section class="card" data-testid="slack-card">
      <h2>{t("title")}</h2>
      {overview.links.map((link) => (
        <div class="row spread" key={link.team_id}>
          <p>{linkText(boot, link)}</p>
          <Button small testId="slack-unlink" onClick={() => void unlink(link)}>{t("unlink")}</Button>
        </div>
      ))}
      {!overview.links.length && <Connect boot={boot} canSignIn={overview.can_sign_in} />}
      {error && <p role="alert">{error}</p>}
      {overview.actions.length > 0 && <Log boot={boot} actions={overview.actions} onOpen={() => void load()} />}
    </section>
  );
}

function linkText(boot: Boot, link: Link): string {
  if (link.suspended === "deactivated") return t("deactivated", { team: link.team });
  if (link.suspended) return t("uninstalled", { team: link.team });
  return t("linked", { team: link.team, user: link.name || link.user_id, date: new Date(link.linked_at).toLocaleDateString(locale, { dateStyle: "medium" }) });
}

function Connect({ boot, canSignIn }: { boot: Boot; canSignIn: boolean }) {
  const [code, setCode] = useState<string | null>(null);
  const [link, setLink] = useState<string | null>(null);
  const [waiting, setWaiting] = useState(false);
  const [error, setError] = useState<string | null>(null);
  const show = () =>
    call<{ code: string }>(boot, "POST", "/app/api/slack/code").then((data) => setCode(data.code), (e: ApiError) => setError(e.message));
  const signIn = async () => {
    // The window must be opened in the click itself, or the browser blocks it; its address follows.
    const opened = window.open("", "_blank");
    setError(null);
    try {
      const { url } = await call<{ url: string }>(boot, "POST", "/app/api/slack/signin");
      if (opened) opened.location.href = url;
      else setLink(url);
      setWaiting(true);
    } catch (problem) {
      opened?.close();
      setError((problem as ApiError).message);
    }
  };
  return (
    <>
      <p>{t(boot.role === "moderator" ? "teacher" : "student")}</p>
      <div class="row">
        {canSignIn && <Button look="primary" testId="slack-signin" onClick={() => void signIn()}>{t("signIn")}</Button>}
        <Button testId="slack-show-code" onClick={() => void show()}>{t("code")}</Button>
      </div>
      <div role="status">
        {waiting && <p class="note">{t("waiting")}</p>}
        {code && (
          <>
            <p class="note">{t("type", { command: `/room connect ${code}` })}</p>
            <p class="code" data-testid="slack-code">{code}</p>
          </>
        )}
      </div>
      {link && (
        <p role="alert">
          {t("blocked")} <a href={link} target="_blank" rel="noopener">{t("signIn")}</a>
        </p>
      )}
      {error && <p role="alert">{error}</p>}
    </>
  );
}

function Log({ boot, actions, onOpen }: { boot: Boot; actions: Done[]; onOpen: () => void }) {
  const ref = useRef<HTMLDetailsElement>(null);
  return (
    <details ref={ref} class="log" data-testid="slack-log" onToggle={() => ref.current?.open && onOpen()}>
      <summary>{t("log", { count: actions.length })}</summary>
      <ul>
        {actions.map((done, index) => (
          <li key={index}>
            <time dateTime={done.at}>{new Date(done.at).toLocaleString(locale, { dateStyle: "short", timeStyle: "short" })}</time>{" "}
            {done.who}: {done.action} {done.channel && t("inChannel", { channel: done.channel })} –{" "}
            {done.result === "ok" ? t("done") : t("refused", { code: done.result.replaceAll("_", " ") })}
          </li>
        ))}
      </ul>
    </details>
  );
}
