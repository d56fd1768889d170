/** The lobby inside the course's frame: who is there, one big button, and how to connect Slack. */
import { ArrowLeft, Circle } from "lucide-preact";
import { useEffect, useState } from "preact/hooks";
import { Avatar, Button, Empty, Spinner } from "../ui/kit";
import { ApiError, call, type Boot } from "../ui/page";
import { PreviewNote } from "../ui/preview";
import { catalogue } from "../ui/text";
import { frameCan } from "../ui/frame";
import { LibraryPage } from "../library/library";
import { Attendance } from "./attendance";
import { Roles } from "./roles";
import { RoomSettings } from "./settings";
import { SlackCard } from "./slack";
import { Administration } from "./administration";
import "./lobby.css";

const t = catalogue({
  live: "Live now",
  quiet: "No one is in the room yet.",
  people: { one: "{count} person is in the room", other: "{count} people are in the room" },
  rest: { one: "and {count} more", other: "and {count} more" },
  open: "Open room",
  opening: "Opening…",
  window: "The room opens in a new window.",
  closed: "The room opens in a new window.",
  waits: "Waiting for a moderator to open the room. This page updates automatically.",
  locked: "A moderator locked this room. Ask them to let you in; this page updates automatically.",
  blocked: "Your browser blocked the new window. Use this link:",
  breakout: "Breakout rooms are open.",
  recordings: { one: "My recordings ({count})", other: "My recordings ({count})" },
  back: "Back to the room",
  loading: "Loading…",
  failed: "This page couldn’t be loaded",
  again: "Try again",
});

interface Lobby {
  room: { title: string; course_title: string };
  live: boolean;
  people: { name: string; role: string; room: string }[];
  breakout: { status: string };
  recordings: number;
  /** A teacher of the course: decides who moderates and whether attendance is scored. */
  may_set_roles: boolean;
  /** A moderator must open this room first. */
  waits: boolean;
  /** A moderator lets nobody new in. */
  locked: boolean;
  slack: { enabled: boolean; linked: boolean };
}
const REFRESH_MS = 4000;

export function LobbyPage({ boot }: { boot: Boot }) {
  const [lobby, setLobby] = useState<Lobby | null>(null);
  const [error, setError] = useState<string | null>(null);
  const [library, setLibrary] = useState(false);
  const load = () =>
    call<Lobby>(boot, "GET", "/app/api/lobby").then(
      (data) => {
        setLobby(data);
        setError(null);
      },
      (problem: ApiError) => setError(problem.message),
    );
  useEffect(() => {
    void load();
    const timer = setInterval(() => {
      if (!document.hidden) void load();
    }, REFRESH_MS);
    return () => clearInterval(timer);
  }, []);
  if (library)
    return (
      <>
        <div class="row"><Button look="quiet" onClick={() => setLibrary(false)}><ArrowLeft class="flip" size={18} aria-hidden="true" /> {t("back")}</Button></div>
        <LibraryPage boot={boot} />
      </>
    );
  if (!lobby && error)
    return (
      <Empty title={t("failed")} text={error}>
        <Button look="primary" onClick={() => void load()}>{t("again")}</Button>
      </Empty>
    );
  if (!lobby) return <Spinner label={t("loading")} />;
  return (
    <main class="lobby">
      <PreviewNote boot={boot} />
      <header class="stack">
        <h1>{lobby.room.title}</h1>
        <p class="note">{lobby.room.course_title}</p>
      </header>
      <section class="card">
        <Present lobby={lobby} />
        <OpenRoom boot={boot} closed={lobby.waits ? "waits" : lobby.locked ? "locked" : null} />
        {!boot.preview && <div class="row"><Button testId="my-recordings" onClick={() => setLibrary(true)}>{t("recordings", { count: lobby.recordings })}</Button></div>}
        {error && <p role="alert">{error}</p>}
      </section>
      {lobby.slack.enabled && <SlackCard boot={boot} linked={lobby.slack.linked} onChange={load} />}
      {lobby.may_set_roles && <RoomSettings boot={boot} />}
      {lobby.may_set_roles && <Roles boot={boot} />}
      {lobby.may_set_roles && <Attendance boot={boot} />}
      {boot.admin && <Administration boot={boot} />}
    </main>
  );
}

function Present({ lobby }: { lobby: Lobby }) {
  if (!lobby.people.length) return <p>{t("quiet")}</p>;
  return (
    <div class="stack">
      <p>
        <span class="live"><Circle size={10} fill="currentColor" aria-hidden="true" /> {t("live")}</span> · {t("people", { count: lobby.people.length })}
        {lobby.breakout.status === "running" && ` · ${t("breakout")}`}
      </p>
      <ul class="people">
        {lobby.people.slice(0, 24).map((person, place) => (
          <li key={place}>
            <Avatar name={person.name} />
            {person.name}
          </li>
        ))}
        {lobby.people.length > 24 && <li class="rest">{t("rest", { count: lobby.people.length - 24 })}</li>}
      </ul>
    </div>
  );
}

function OpenRoom({ boot, closed }: { boot: Boot; closed: "waits" | "locked" | null }) {
  const [can] = useState(frameCan);
  const [busy, setBusy] = useState(false);
  const [link, setLink] = useState<string | null>(null);
  const [error, setError] = useState<string | null>(null);
  const open = async () => {
    // The window must be opened in the click itself, or the browser blocks it; its address follows.
    // An LMS that opened us in a window of our own needs no second one.
    const opened = can.top ? window : window.open("", "_blank");
    setBusy(true);
    setError(null);
    try {
      const { url } = await call<{ url: string }>(boot, "POST", "/app/api/handoff");
      if (opened) opened.location.href = url;
      else setLink(url);
    } catch (problem) {
      if (opened !== window) opened?.close();
      setError((problem as ApiError).message);
    }
    setBusy(false);
  };
  return (
    <div class="stack" data-testid="frame" data-camera={can.camera} data-microphone={can.microphone} data-screen={can.screen} data-top={can.top}>
      <div class="row">
        <Button look="primary" big testId="open-room" disabled={busy || closed !== null} onClick={() => void open()}>
          {busy ? t("opening") : t("open")}
        </Button>
      </div>
      {closed !== null && <p role="status" data-testid="closed">{t(closed)}</p>}
      {!can.top && <p class="note">{can.camera && can.microphone ? t("window") : t("closed")}</p>}
      {link && (
        <p role="alert">
          {t("blocked")} <a href={link} target="_blank" rel="noopener">{t("open")}</a>
        </p>
      )}
      {error && <p role="alert">{error}</p>}
    </div>
  );
}
