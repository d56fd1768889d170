/** My Media, the course's Media Gallery and the breakout recordings folder: cards, search, and an entry with its player. */
import { ArrowLeft, Play } from "lucide-preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { Button, Dialog, Empty, Spinner } from "../ui/kit";
import { locale } from "../ui/locale";
import { limited } from "../ui/names";
import { ApiError, call, type Boot } from "../ui/page";
import { PreviewNote } from "../ui/preview";
import { catalogue, day, length } from "../ui/text";
import { Chapters, Coming, Files, Report, type Chapter, type ComingFilm, type OtherFile, type Quality } from "./details";
import { Upload } from "./upload";
import "./library.css";

const t = catalogue({
  mine: "My Media",
  channel: "Media Gallery",
  folder: "Breakout room recordings",
  unowned: "Class recordings",
  search: "Search recordings",
  loading: "Loading…",
  failed: "This couldn’t be loaded",
  again: "Try again",
  privacy: "Sideroom keeps your name, e-mail address and course roles as your LMS sends them, what you wrote and did in sessions, and the recordings below. Delete your recordings here; ask your administrator about the rest.",
  emptyTitle: "No recordings yet",
  emptyMine: "Recordings you start appear here.",
  emptyChannel: "This course’s recordings appear here when they’re ready.",
  emptyUnowned: "Recordings that start automatically or through another system, and don’t belong to one person, appear here for the course’s moderators.",
  emptyFolder: "Each recorded breakout room gets a separate recording here.",
  nothing: "No results",
  nothingText: "Try a different search.",
  processing: "Processing {percent}",
  readyAt: "Processing {percent}, ready around {time}",
  failedEntry: "Failed",
  expired: "Expired",
  unpublished: "Not published",
  more: "More",
  back: "Back",
  download: "Download",
  publish: "Publish to Media Gallery",
  unpublish: "Unpublish",
  rename: "Rename",
  delete: "Delete",
  deleteTitle: "Delete “{title}”?",
  deleteText: "The recording will be deleted for everyone. You can’t undo this.",
  deleteConfirm: "Delete",
  cancel: "Cancel",
  save: "Save",
  title: "Title",
  by: "Recorded by {name}",
  expires: "Kept until {date}",
  deleted: "Deleted.",
  player: "Player: {title}",
  unplayable: "This recording can’t be played here. Download it, or tell your administrator.",
  warning: "Quality report: {text}",
  chapters: "Chapters",
  copies: "Copies",
  copyWaiting: "{name}: waiting",
  copyCopying: "{name}: copying, {percent}",
  copyDone: "{name}: confirmed {date}",
  copyFailed: "{name}: not copied. {reason}",
  copyAgain: "Next attempt {date}.",
});

type Scope = "mine" | "channel" | "folder" | "unowned";

interface Entry {
  entry_id: string;
  title: string;
  course_title: string;
  room_name: string;
  recorded_at: string;
  /** Of its date: the course's. */
  time_zone: string;
  duration_s: number;
  size_bytes: number;
  status: "processing" | "ready" | "failed" | "expired";
  progress: number;
  ready_at: string | null;
  error: string | null;
  published: boolean;
  owner_name: string;
  may_edit: boolean;
  thumb_url: string | null;
  file_url: string | null;
  download_url: string | null;
  expires_at: string | null;
  warnings: string[];
  /** Empty for people who may not change the recording. */
  copies: Copy[];
}

interface Copy {
  id: string;
  name: string;
  status: "waiting" | "copying" | "done" | "failed";
  percent: number;
  error: string | null;
  next_try_time: string | null;
  confirmed_time: string | null;
}

function copyText({ name, status, percent: share, error, next_try_time, confirmed_time }: Copy): string {
  if (status === "waiting") return t("copyWaiting", { name });
  if (status === "copying") return t("copyCopying", { name, percent: percent(share / 100) });
  if (status === "done") return t("copyDone", { name, date: confirmed_time ? day(confirmed_time) : "" });
  const again = next_try_time ? ` ${t("copyAgain", { date: day(next_try_time) })}` : "";
  return t("copyFailed", { name, reason: error ?? "" }) + again;
}

/** What one recording's page has besides. */
interface FullEntry extends Entry {
  chapters_url: string | null;
  chapters: Chapter[];
  tracks: OtherFile[];
  coming: ComingFilm[];
  quality: Quality | null;
}

interface Listing {
  entries: Entry[];
  total: number;
  page: number;
  scopes: Scope[];
}

const REFRESH_MS = 5000;
/** Course, room and date, each once: a recording that nobody renamed is called by its room. */
const about = (entry: Entry): string[] =>
  [entry.course_title, entry.room_name === entry.title ? "" : entry.room_name, day(entry.recorded_at, entry.time_zone)].filter(Boolean);
const clock = (at: string) => new Intl.DateTimeFormat(locale, { timeStyle: "short" }).format(new Date(at));
const percent = (share: number) => new Intl.NumberFormat(locale, { style: "percent" }).format(share);

export function LibraryPage({ boot }: { boot: Boot }) {
  const [open, setOpen] = useState<string | null>(boot.entry_id ?? null);
  const [scope, setScope] = useState<Scope>(boot.page === "gallery" || boot.preview ? "channel" : "mine");
  // Kept here, so that it is still there when one comes back from a recording.
  const [query, setQuery] = useState("");
  if (open) return <EntryPage boot={boot} entryId={open} onBack={boot.page === "entry" ? undefined : () => setOpen(null)} />;
  return <List boot={boot} scope={scope} query={query} onScope={setScope} onQuery={setQuery} onOpen={setOpen} />;
}

interface ListProps {
  boot: Boot;
  scope: Scope;
  query: string;
  onQuery: (query: string) => void;
  onScope: (scope: Scope) => void;
  onOpen: (entryId: string) => void;
}

function List({ boot, scope, query, onScope, onQuery, onOpen }: ListProps) {
  const [listing, setListing] = useState<Listing | null>(null);
  const [entries, setEntries] = useState<Entry[]>([]);
  const [error, setError] = useState<string | null>(null);
  const shown = useRef(0);
  const asked = useRef(0);
  const load = async (page = 0) => {
    const mine = ++asked.current;
    try {
      const path = `/app/api/media?scope=${scope}&page=${page}&q=${encodeURIComponent(query)}`;
      const data = await call<Listing>(boot, "GET", path);
      if (mine !== asked.current) return; // a newer question (another tab, other words) is under way
      shown.current = page;
      setListing(data);
      setEntries((before) => (page === 0 ? data.entries : [...before, ...data.entries]));
      setError(null);
    } catch (problem) {
      if (mine === asked.current) setError((problem as ApiError).message);
    }
  };
  useEffect(() => {
    const soon = setTimeout(() => void load(), query ? 250 : 0);
    const timer = setInterval(() => {
      if (!document.hidden && shown.current === 0) void load();
    }, REFRESH_MS);
    return () => {
      clearTimeout(soon);
      clearInterval(timer);
    };
  }, [scope, query]);
  const scopes: Scope[] = listing?.scopes ?? [scope];
  const empty = { mine: t("emptyMine"), channel: t("emptyChannel"), folder: t("emptyFolder"), unowned: t("emptyUnowned") }[scope];
  return (
    <main class="library">
      <PreviewNote boot={boot} />
      <h1>{t(scope)}</h1>
      {boot.privacy && <p class="note" data-testid="privacy">{t("privacy")}</p>}
      <nav class="tabs">
        {scopes.map((each) => (
          <button
            key={each} type="button" aria-current={each === scope ? "page" : undefined} data-testid={`tab-${each}`}
            onClick={() => {
              setListing(null);
              setEntries([]);
              onScope(each);
            }}
          >
            {t(each)}
          </button>
        ))}
      </nav>
      <input
        class="input search" type="search" data-testid="search" placeholder={t("search")} aria-label={t("search")} value={query}
        onInput={(event) => onQuery(event.currentTarget.value)}
      />
      {scope === "mine" && boot.role !== "guest" && <Upload boot={boot} onDone={() => void load()} />}
      {error && (
        <Empty title={t("failed")} text={error}><Button onClick={() => void load()}>{t("again")}</Button></Empty>
      )}
      {!error && !listing && <Spinner label={t("loading")} />}
      {!error && listing && entries.length === 0 && <Empty title={t(query ? "nothing" : "emptyTitle")} text={query ? t("nothingText") : empty} />}
      <ul class="grid">
        {entries.map((entry) => <li key={entry.entry_id}><Card entry={entry} onOpen={onOpen} /></li>)}
      </ul>
      {listing && entries.length < listing.total && (
        <div class="row"><Button onClick={() => void load(listing.page + 1)}>{t("more")}</Button></div>
      )}
    </main>
  );
}

function statusText(entry: Entry): string {
  if (entry.status === "processing") {
    const facts = { percent: percent(entry.progress) };
    return entry.ready_at ? t("readyAt", { ...facts, time: clock(entry.ready_at) }) : t("processing", facts);
  }
  if (entry.status === "failed") return t("failedEntry");
  if (entry.status === "expired") return t("expired");
  return length(entry.duration_s);
}

function Card({ entry, onOpen }: { entry: Entry; onOpen: (entryId: string) => void }) {
  return (
    <button
      type="button" class="entry" data-testid="entry-card" data-title={entry.title} data-status={entry.status}
      data-room={entry.room_name} onClick={() => onOpen(entry.entry_id)}
    >
      <span class="thumb">
        {entry.thumb_url ? <img src={entry.thumb_url} alt="" loading="lazy" /> : <Play aria-hidden="true" />}
        <span class={`badge${entry.status === "failed" ? " warn" : ""}`}>{statusText(entry)}</span>
      </span>
      <h3>{entry.title}</h3>
      <p class="note">{about(entry).join(" · ")}</p>
      {entry.status === "ready" && !entry.published && <p><span class="badge warn">{t("unpublished")}</span></p>}
    </button>
  );
}

interface EntryProps {
  boot: Boot;
  entryId: string;
  /** Missing where the page shows this one recording only. */
  onBack?: () => void;
}

function EntryPage({ boot, entryId, onBack }: EntryProps) {
  const [entry, setEntry] = useState<FullEntry | null>(null);
  const [at, setAt] = useState(0);
  const player = useRef<HTMLVideoElement>(null);
  const [error, setError] = useState<string | null>(null);
  const [asking, setAsking] = useState<"delete" | "rename" | null>(null);
  const renewed = useRef(false);
  const place = useRef<{ time: number; playing: boolean } | null>(null);
  const path = `/app/api/media/${encodeURIComponent(entryId)}`;
  const failed = (problem: unknown) => setError((problem as ApiError).message);
  const load = () => call<FullEntry>(boot, "GET", path).then(setEntry, failed);
  const change = (body: object) =>
    call<Entry>(boot, "PATCH", path, body).then((data) => {
      setEntry((before) => before && { ...before, ...data });
      setAsking(null);
    }, failed);
  useEffect(() => {
    void load();
  }, [entryId]);
  useEffect(() => {
    if (entry?.status !== "processing") return;
    const timer = setInterval(() => void load(), REFRESH_MS);
    return () => clearInterval(timer);
  }, [entry?.status]);
  if (!entry)
    return error ? (
      <Empty title={t("failed")} text={error}>{onBack && <Button onClick={onBack}>{t("back")}</Button>}</Empty>
    ) : (
      <Spinner label={t("loading")} />
    );
  const remove = () => call(boot, "DELETE", path).then(() => {
    if (onBack) return onBack();
    setEntry(null);
    setError(t("deleted"));
  }, failed);
  const renew = (event: Event) => {
    const video = event.currentTarget as HTMLVideoElement;
    if (renewed.current) return setError(t("unplayable"));
    renewed.current = true;
    place.current = { time: video.currentTime, playing: !video.paused };
    void load();
  };
  const resume = (event: Event) => {
    const video = event.currentTarget as HTMLVideoElement;
    if (!place.current) return;
    video.currentTime = place.current.time;
    if (place.current.playing) void video.play().catch(() => undefined);
    place.current = null;
  };
  const jump = (seconds: number) => {
    if (!player.current) return;
    player.current.currentTime = seconds;
    void player.current.play().catch(() => undefined);
  };
  return (
    <main class="library" data-testid="entry">
      {onBack && <div class="row"><Button look="quiet" onClick={onBack} testId="back"><ArrowLeft class="flip" size={18} aria-hidden="true" /> {t("back")}</Button></div>}
      {entry.file_url ? (
        // A signed link has an end: when it is over, a fresh one is fetched and playing goes on.
        <video
          ref={player} controls playsInline preload="metadata" src={entry.file_url} poster={entry.thumb_url ?? undefined} data-testid="player"
          aria-label={t("player", { title: entry.title })} onError={renew} onLoadedMetadata={resume} onPlaying={() => { renewed.current = false; }}
          onTimeUpdate={(event) => setAt(Math.floor(event.currentTarget.currentTime))}
        >
          {entry.chapters_url && <track kind="chapters" src={entry.chapters_url} srcLang="en" label={t("chapters")} default />}
        </video>
      ) : (
        <Empty title={statusText(entry)} text={entry.error ?? undefined} />
      )}
      <h1>{entry.title}</h1>
      <p class="note">
        {[...about(entry), length(entry.duration_s)].join(" · ")}
        {entry.owner_name && ` · ${t("by", { name: entry.owner_name })}`}
        {entry.expires_at && ` · ${t("expires", { date: day(entry.expires_at) })}`}
      </p>
      {!entry.quality && entry.warnings.length > 0 && <p class="note">{t("warning", { text: entry.warnings.join("; ") })}</p>}
      {entry.copies.length > 0 && (
        <ul class="note" aria-label={t("copies")} data-testid="copies">
          {entry.copies.map((copy) => <li key={copy.id}>{copyText(copy)}</li>)}
        </ul>
      )}
      {error && <p role="alert">{error}</p>}
      <div class="row">
        {entry.download_url && <a class="btn" href={entry.download_url} data-testid="download">{t("download")}</a>}
        {entry.may_edit && (
          <>
            <Button testId="publish" onClick={() => void change({ published: !entry.published })}>
              {entry.published ? t("unpublish") : t("publish")}
            </Button>
            <Button onClick={() => setAsking("rename")}>{t("rename")}</Button>
            <Button look="danger" testId="delete" onClick={() => setAsking("delete")}>{t("delete")}</Button>
          </>
        )}
      </div>
      <Chapters chapters={entry.chapters} at={at} onJump={jump} />
      <Files files={entry.tracks} />
      <Coming films={entry.coming} />
      {entry.quality && <Report quality={entry.quality} warnings={entry.warnings} />}
      {asking === "rename" && <Rename entry={entry} onSave={(title) => void change({ title })} onClose={() => setAsking(null)} />}
      {asking === "delete" && (
        <Dialog
          title={t("deleteTitle", { title: entry.title })}
          onClose={() => setAsking(null)}
          foot={
            <>
              <Button onClick={() => setAsking(null)}>{t("cancel")}</Button>
              <Button look="danger" testId="confirm-delete" onClick={() => void remove()}>{t("deleteConfirm")}</Button>
            </>
          }
        >
          <p>{t("deleteText")}</p>
        </Dialog>
      )}
    </main>
  );
}

function Rename({ entry, onSave, onClose }: { entry: Entry; onSave: (title: string) => void; onClose: () => void }) {
  const [title, setTitle] = useState(entry.title);
  return (
    <Dialog title={t("rename")} onClose={onClose}>
      <form
        class="stack"
        onSubmit={(event) => {
          event.preventDefault();
          onSave(title);
        }}
      >
        <div class="field">
          <label for="entry-title">{t("title")}</label>
          <input id="entry-title" value={title} required onInput={(event) => setTitle(limited(event, 200))} />
        </div>
        <div class="row"><Button look="primary" type="submit">{t("save")}</Button><Button onClick={onClose}>{t("cancel")}</Button></div>
      </form>
    </Dialog>
  );
}
