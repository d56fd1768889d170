/** The page that an LMS opens to insert something: own media, the course's, a room of its own, the whole gallery. */
import { Check, Play, X } from "lucide-preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { Upload } from "../library/upload";
import { Button, Dialog, Empty, Spinner } from "../ui/kit";
import { limited } from "../ui/names";
import { ApiError, call } from "../ui/page";
import { catalogue, day, length } from "../ui/text";
import { send, toggled, type Choice, type DeepLinkBoot } from "./answer";
import "../library/library.css";
import "./selector.css";

const t = catalogue({
  title: "Insert into your course",
  one: "Choose one item to insert.",
  several: "Choose what to insert. Each item becomes a separate link.",
  mine: "My Media",
  channel: "Media Gallery",
  folder: "Breakout room recordings",
  unowned: "Class recordings",
  room: "Room",
  search: "Search recordings",
  loading: "Loading…",
  failed: "This couldn’t be loaded",
  again: "Try again",
  emptyTitle: "Nothing here yet",
  emptyMine: "Recordings you start and files you upload appear here.",
  emptyChannel: "This course’s recordings appear here when they’re ready.",
  emptyUnowned: "Recordings that start automatically or through another system, and don’t belong to one person, appear here for the course’s moderators.",
  emptyFolder: "Each recorded breakout room gets a separate recording here.",
  nothing: "No results. Try a different search.",
  notReady: "Processing",
  notYours: "Only its owner can insert it",
  chosen: "Chosen",
  preview: "Preview",
  previewOf: "Preview: {title}",
  close: "Close",
  more: "More",
  wholeGallery: "Insert the whole gallery",
  wholeGalleryChosen: "Whole gallery chosen",
  roomText: "A separate room with its own link.",
  roomName: "Room name",
  roomExample: "Group A",
  wait: "Participants wait until a moderator opens the room",
  record: "Recording",
  recordCourse: "Use the course’s setting",
  recordOn: "When the first person joins",
  recordOff: "Only when started manually",
  layout: "Recording layout",
  grid: "Grid",
  speaker: "Active speaker",
  stage: "Stage with sidebar",
  addRoom: "Choose this room",
  points: "Points in the gradebook (0: none)",
  count: { one: "{count} chosen", other: "{count} chosen" },
  none: "Nothing chosen yet",
  remove: "Remove",
  insert: "Insert",
  cancel: "Cancel",
});

type Scope = "mine" | "channel" | "folder" | "unowned";
type Tab = Scope | "room";

interface Entry {
  entry_id: string;
  title: string;
  course_title: string;
  room_name: string;
  recorded_at: string;
  duration_s: number;
  status: string;
  mime: string;
  may_edit: boolean;
  thumb_url: string | null;
  file_url: string | null;
}

interface Listing {
  entries: Entry[];
  total: number;
  page: number;
  scopes: Scope[];
}

export function SelectorPage({ boot }: { boot: DeepLinkBoot }) {
  const link = boot.deep_link;
  const [tab, setTab] = useState<Tab>("mine");
  const [scopes, setScopes] = useState<Tab[]>(["mine"]);
  const [chosen, setChosen] = useState<Choice[]>([]);
  const [points, setPoints] = useState(0);
  const [busy, setBusy] = useState(false);
  const toggle = (choice: Choice) => setChosen((before) => toggled(before, choice, link.multiple));
  const leave = (choices: Choice[]) => {
    setBusy(true);
    send(boot, choices, points);
  };
  // Who only takes part can insert what is their own, so the course's places would show nothing to choose.
  const tabs: Tab[] = boot.role === "moderator" ? [...scopes, ...(link.rooms ? (["room"] as const) : [])] : ["mine"];
  return (
    <main class="library selector" data-testid="selector">
      <header class="stack">
        <h1>{link.title || t("title")}</h1>
        <p class="note">{link.multiple ? t("several") : t("one")}</p>
      </header>
      <nav class="tabs">
        {tabs.map((each) => (
          <button key={each} type="button" aria-current={each === tab ? "page" : undefined} data-testid={`tab-${each}`} onClick={() => setTab(each)}>
            {t(each)}
          </button>
        ))}
      </nav>
      {tab === "room" ? (
        <RoomForm onAdd={(choice) => setChosen((before) => (link.multiple ? [...before, choice] : [choice]))} />
      ) : (
        <Entries key={tab} boot={boot} scope={tab} chosen={chosen} onToggle={toggle} onScopes={setScopes} />
      )}
      <footer class="foot">
        <Summary chosen={chosen} onRemove={(choice) => setChosen(chosen.filter((other) => other !== choice))} />
        {link.points && chosen.length > 0 && (
          <label class="row points">
            {t("points")}
            <input
              class="input" type="number" min={0} max={10000} step="any" value={points} data-testid="points"
              onInput={(event) => setPoints(Math.max(0, Number(event.currentTarget.value) || 0))}
            />
          </label>
        )}
        <div class="row">
          <Button onClick={() => leave([])} disabled={busy} testId="cancel">{t("cancel")}</Button>
          <Button look="primary" disabled={busy || chosen.length === 0} testId="insert" onClick={() => leave(chosen)}>{t("insert")}</Button>
        </div>
      </footer>
    </main>
  );
}

function Summary({ chosen, onRemove }: { chosen: Choice[]; onRemove: (choice: Choice) => void }) {
  if (!chosen.length) return <p class="note" role="status">{t("none")}</p>;
  return (
    <div class="row" role="status">
      <span>{t("count", { count: chosen.length })}</span>
      {chosen.map((choice) => (
        <Button key={`${choice.kind}${choice.title}`} small class="taken" onClick={() => onRemove(choice)}>
          <span>{choice.title}</span> <X size={14} aria-hidden="true" /> <span class="sr-only">{t("remove")}</span>
        </Button>
      ))}
    </div>
  );
}

interface EntriesProps {
  boot: DeepLinkBoot;
  scope: Scope;
  chosen: Choice[];
  onToggle: (choice: Choice) => void;
  onScopes: (scopes: Tab[]) => void;
}

function Entries({ boot, scope, chosen, onToggle, onScopes }: EntriesProps) {
  const [listing, setListing] = useState<Listing | null>(null);
  const [entries, setEntries] = useState<Entry[]>([]);
  const [query, setQuery] = useState("");
  const [error, setError] = useState<string | null>(null);
  const [shown, setShown] = useState<Entry | null>(null);
  const asked = useRef(0);
  const load = async (page = 0) => {
    const mine = ++asked.current;
    try {
      const data = await call<Listing>(boot, "GET", `/app/api/media?scope=${scope}&page=${page}&q=${encodeURIComponent(query)}`);
      if (mine !== asked.current) return; // newer words are under way
      setListing(data);
      setEntries((before) => (page === 0 ? data.entries : [...before, ...data.entries]));
      onScopes(data.scopes);
      setError(null);
    } catch (problem) {
      if (mine === asked.current) setError((problem as ApiError).message);
    }
  };
  useEffect(() => {
    const soon = setTimeout(() => void load(), query ? 250 : 0);
    return () => clearTimeout(soon);
  }, [query]);
  const gallery: Choice = { kind: "gallery", title: t("channel") };
  const hasGallery = chosen.some((choice) => choice.kind === "gallery");
  const empty = { mine: t("emptyMine"), channel: t("emptyChannel"), folder: t("emptyFolder"), unowned: t("emptyUnowned") }[scope];
  return (
    <>
      <div class="row spread">
        <input
          class="input search" type="search" data-testid="search" placeholder={t("search")} aria-label={t("search")} value={query}
          onInput={(event) => setQuery(event.currentTarget.value)}
        />
        {scope === "mine" && <Upload boot={boot} onDone={() => void load()} />}
        {scope === "channel" && boot.deep_link.gallery && (
          <Button testId="choose-gallery" aria-pressed={hasGallery} onClick={() => onToggle(gallery)}>
            {hasGallery ? t("wholeGalleryChosen") : t("wholeGallery")}
          </Button>
        )}
      </div>
      {error && <Empty title={t("failed")} text={error}><Button onClick={() => void load()}>{t("again")}</Button></Empty>}
      {!error && !listing && <Spinner label={t("loading")} />}
      {!error && listing && entries.length === 0 && <Empty title={t("emptyTitle")} text={query ? t("nothing") : empty} />}
      <ul class="grid">
        {entries.map((entry) => (
          <li key={entry.entry_id}>
            <Card entry={entry} chosen={chosen} onToggle={onToggle} onPreview={() => setShown(entry)} />
          </li>
        ))}
      </ul>
      {listing && entries.length < listing.total && (
        <div class="row"><Button onClick={() => void load(listing.page + 1)}>{t("more")}</Button></div>
      )}
      {shown && <Preview entry={shown} onClose={() => setShown(null)} />}
    </>
  );
}

interface CardProps {
  entry: Entry;
  chosen: Choice[];
  onToggle: (choice: Choice) => void;
  onPreview: () => void;
}

function Card({ entry, chosen, onToggle, onPreview }: CardProps) {
  const isChosen = chosen.some((choice) => choice.kind === "media" && choice.entry_id === entry.entry_id);
  const problem = entry.status !== "ready" ? t("notReady") : entry.may_edit ? null : t("notYours");
  return (
    <div class={`entry${isChosen ? " chosen" : ""}`} data-testid="choice" data-title={entry.title}>
      <button
        type="button" class="pick" aria-pressed={isChosen} disabled={problem !== null} data-testid="pick"
        onClick={() => onToggle({ kind: "media", entry_id: entry.entry_id, title: entry.title })}
      >
        <span class="name">{entry.title}</span>
        <span class="thumb">
          {entry.thumb_url ? <img src={entry.thumb_url} alt="" loading="lazy" /> : <Play aria-hidden="true" />}
          {isChosen && <span class="mark"><Check size={18} aria-hidden="true" /> {t("chosen")}</span>}
          <span class="badge">{problem ?? length(entry.duration_s)}</span>
        </span>
        <span class="note">{[entry.course_title, entry.room_name, day(entry.recorded_at)].filter(Boolean).join(" · ")}</span>
      </button>
      {entry.file_url && <Button look="quiet" small testId="preview" onClick={onPreview}><Play size={16} aria-hidden="true" /> {t("preview")}</Button>}
    </div>
  );
}

function Preview({ entry, onClose }: { entry: Entry; onClose: () => void }) {
  return (
    <Dialog title={entry.title} onClose={onClose} foot={<Button onClick={onClose}>{t("close")}</Button>} testId="preview-dialog">
      <video controls playsInline autoplay preload="metadata" src={entry.file_url ?? undefined} poster={entry.thumb_url ?? undefined} aria-label={t("previewOf", { title: entry.title })} data-testid="player" />
    </Dialog>
  );
}

const RECORD = [
  ["recordCourse", null],
  ["recordOn", true],
  ["recordOff", false],
] as const;
const LAYOUTS = ["", "grid", "speaker", "stage"] as const;

function RoomForm({ onAdd }: { onAdd: (choice: Choice) => void }) {
  const [title, setTitle] = useState("");
  const [wait, setWait] = useState(false);
  const [record, setRecord] = useState(0);
  const [layout, setLayout] = useState<(typeof LAYOUTS)[number]>("");
  return (
    <form
      class="stack room-form"
      onSubmit={(event) => {
        event.preventDefault();
        onAdd({ kind: "room", title: title.trim(), wait, record: RECORD[record]?.[1] ?? null, layout });
        setTitle("");
      }}
    >
      <p>{t("roomText")}</p>
      <div class="field">
        <label for="room-name">{t("roomName")}</label>
        <input id="room-name" data-testid="room-name" value={title} required pattern=".*\S.*" placeholder={t("roomExample")} onInput={(event) => setTitle(limited(event, 200))} />
      </div>
      <label class="choice">
        <input type="checkbox" checked={wait} data-testid="room-wait" onChange={(event) => setWait(event.currentTarget.checked)} />
        <span>{t("wait")}</span>
      </label>
      <div class="field">
        <label for="room-record">{t("record")}</label>
        <select id="room-record" data-testid="room-record" value={record} onChange={(event) => setRecord(event.currentTarget.selectedIndex)}>
          {RECORD.map(([key], index) => <option key={key} value={index}>{t(key)}</option>)}
        </select>
      </div>
      <div class="field">
        <label for="room-layout">{t("layout")}</label>
        <select id="room-layout" data-testid="room-layout" value={layout} onChange={(event) => setLayout(event.currentTarget.value as typeof layout)}>
          {LAYOUTS.map((each) => <option key={each} value={each}>{t(each || "recordCourse")}</option>)}
        </select>
      </div>
      <div class="row"><Button type="submit" testId="add-room">{t("addRoom")}</Button></div>
    </form>
  );
}
