/** The side panel (a bottom sheet on narrow screens): people, and the chat of the present room. */
import { EllipsisVertical, Hand, MicOff, SendHorizontal, X } from "lucide-preact";
import type { JSX } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { broadcastTarget } from "../breakout/sentences";
import type { PersonView, RoomState } from "../protocol/types";
import { Menu, type MenuItem } from "../ui/kit";
import { locale } from "../ui/locale";
import { fold } from "../ui/names";
import { pure } from "../ui/pure";
import { done, peopleHere, roomName, usePage, type Page } from "./context";
import { t } from "./texts";

export function SidePanel(): JSX.Element | null {
  const page = usePage();
  const open = page.panel.value;
  const state = page.store.state.value;
  const box = useRef<HTMLElement>(null);
  const shown = open !== null && state !== null;
  useEffect(() => {
    if (!shown) return undefined;
    const before = document.activeElement;
    box.current?.focus();
    return () => queueMicrotask(() => {
      if (document.activeElement === document.body && before instanceof HTMLElement) before.focus();
    });
  }, [shown]);
  if (open === null || state === null) return null;
  const close = (): void => void (page.panel.value = null);
  const onKey = (event: KeyboardEvent): void => {
    if (event.key !== "Escape" || event.defaultPrevented) return;
    event.preventDefault();
    close();
  };
  return (
    <aside ref={box} class="panel" tabIndex={-1} aria-label={t(open === "chat" ? "tool.chat" : "tool.people")} onKeyDown={onKey}>
      <header class="panel-head">
        {(["people", "chat"] as const).map((name) => (
          <button key={name} type="button" class="tab" aria-pressed={open === name} onClick={() => (page.panel.value = name)}>
            {t(name === "chat" ? "tool.chat" : "tool.people")}
          </button>
        ))}
        <button type="button" class="icon end" aria-label={t("close")} title={t("close")} onClick={close}>
          <X size={18} aria-hidden="true" />
        </button>
      </header>
      {open === "chat" ? <Chat state={state} /> : <People state={state} />}
    </aside>
  );
}

function Chat({ state }: { state: RoomState }): JSX.Element {
  const page = usePage();
  const [text, setText] = useState("");
  const [failure, setFailure] = useState("");
  const list = useRef<HTMLOListElement>(null);
  const lines = page.store.chat.value;
  useEffect(() => {
    page.unread.value = 0;
    list.current?.scrollTo({ top: list.current.scrollHeight });
  }, [lines, page]);

  async function send(event: Event): Promise<void> {
    event.preventDefault();
    const line = text.trim();
    if (line === "") return;
    setText("");
    const result = await page.store.send("send_chat", { text: line });
    setFailure(result.ok ? "" : t("chat.failed", { error: result.error.message }));
    if (!result.ok) setText(line);
  }

  const label = t("chat.input", { room: roomName(state, state.you.room_id) });
  return (
    <>
      <ol class="chat" ref={list} tabIndex={0} aria-label={t("tool.chat")}>
        {lines.length === 0 && <li class="quiet">{t("chat.empty")}</li>}
        {lines.map((line) => (
          <li key={line.seq} class={[line.person_id === state.you.person_id ? "own" : "", line.room_ids === undefined ? "" : "broadcast"].join(" ").trim()}>
            <span class="chat-who"><bdi>{line.name}</bdi> <time dateTime={line.at}>{timeOf(line.at)}</time>{line.room_ids !== undefined && <> · <span class="chat-target">{broadcastTarget(state, line.room_ids)}</span></>}</span>
            <span class="chat-text" dir="auto">{line.text}</span>
          </li>
        ))}
      </ol>
      {failure !== "" && <p class="trouble" role="alert">{failure}</p>}
      <form class="chat-form" onSubmit={(event) => void send(event)}>
        <input data-testid="chat-input" aria-label={label} placeholder={label} value={text} maxLength={1000} dir="auto"
          autocomplete="off" onInput={(event) => setText(event.currentTarget.value)} />
        <button type="submit" class="icon" aria-label={t("chat.send")} title={t("chat.send")}><SendHorizontal size={18} aria-hidden="true" /></button>
      </form>
    </>
  );
}

function timeOf(at: string): string {
  return new Date(at).toLocaleTimeString(locale, { hour: "2-digit", minute: "2-digit" });
}

/** With fewer people nobody needs to search. */
const SEARCH_FROM = 12;

/** Raised hands on top, first raised first; the others in the order they came. */
function handsFirst(people: PersonView[]): PersonView[] {
  const hands = people.filter((p) => p.hand_raised_at !== null).sort((a, b) => (a.hand_raised_at ?? "").localeCompare(b.hand_raised_at ?? ""));
  return [...hands, ...people.filter((p) => p.hand_raised_at === null)];
}

function People({ state }: { state: RoomState }): JSX.Element {
  const page = usePage();
  const [words, setWords] = useState("");
  const here = peopleHere(state);
  const elsewhere = Object.values(state.people).filter((p) => p.online && p.room_id !== state.you.room_id);
  const moderator = state.you.role === "moderator";
  const running = state.breakout.status === "running";
  const many = here.length + elsewhere.length >= SEARCH_FROM;
  const sought = many ? fold(words) : "";
  const found = (people: PersonView[]): PersonView[] => (sought ? people.filter((p) => fold(p.name).includes(sought)) : people);
  const row = (person: PersonView, room: string): JSX.Element => (
    <Row key={person.person_id} person={person} own={person.person_id === state.you.person_id} room={room} moderator={moderator} running={running} page={page} />
  );
  const near = found(handsFirst(here));
  const far = found(elsewhere);
  return (
    <div class="people">
      <div class="people-head">
        <h2>{t("people.title", { count: here.length })}</h2>
        {moderator && (
          <button type="button" class="button small" onClick={() => void page.store.send("mute_participant", {}).then((r) => done(page, r))}>
            {t("people.mute_all")}
          </button>
        )}
      </div>
      {many && (
        <input class="people-search" type="search" aria-label={t("people.search")} placeholder={t("people.search")} value={words} data-testid="people-search"
          onInput={(event) => setWords(event.currentTarget.value)} />
      )}
      {near.length + far.length === 0 && <p class="quiet" role="status">{t("people.nobody")}</p>}
      <ul>{near.map((person) => row(person, ""))}</ul>
      {far.length > 0 && (
        <>
          <h2>{t("people.elsewhere")}</h2>
          <ul>{far.map((person) => row(person, roomName(state, person.room_id)))}</ul>
        </>
      )}
    </div>
  );
}

interface RowProps {
  person: PersonView;
  own: boolean;
  /** The name of the room of somebody elsewhere; empty here. */
  room: string;
  moderator: boolean;
  /** A breakout: people can be moved. */
  running: boolean;
  page: Page;
}

/** Of three hundred rows only those of people who changed are drawn anew. */
const Row = pure<RowProps>(({ person, own, room, moderator, running, page }) => (
  <li class="person">
    <span class="person-name">
      <bdi>{own ? t("people.you", { name: person.name }) : person.name}</bdi>
      {person.role === "moderator" && <small>{t("people.moderator")}</small>}
      {room !== "" && <small>{room}</small>}
    </span>
    {person.hand_raised_at !== null && <Hand size={16} aria-label={t("people.hand")} />}
    {room === "" && !person.mic && <MicOff size={16} aria-label={t("people.muted")} />}
    {moderator && (!own || person.hand_raised_at !== null || running) && (
      <Menu label={t("people.actions", { name: person.name })} items={() => actions(page, person, own)} face="icon" testId={`actions-${person.person_id}`}>
        <EllipsisVertical size={18} aria-hidden="true" />
      </Menu>
    )}
  </li>
));

function actions(page: Page, person: PersonView, own: boolean): MenuItem[] {
  const { person_id } = person;
  const { send } = page.store;
  const state = page.store.state.value;
  const items: MenuItem[] = [];
  if (!own && person.mic) {
    items.push({ key: "mute", label: t("people.mute"), onSelect: () => void send("mute_participant", { person_id }).then((r) => done(page, r)) });
  }
  if (!own && person.screen) {
    const run = (): void => void send("stop_sharing", { person_id }).then((r) => done(page, r));
    items.push({ key: "share", label: t("share.stop_of", { name: person.name }), onSelect: run, testId: `stop-share-${person_id}` });
  }
  if (person.hand_raised_at !== null) {
    const run = (): void => void send("set_hand", { raised: false, person_id }).then((r) => done(page, r));
    items.push({ key: "lower", label: t("people.lower"), onSelect: run });
  }
  if (state?.breakout.status === "running") {
    for (const { room_id, name } of Object.values(state.rooms)) {
      if (room_id === person.room_id) continue;
      const run = (): void => void send("move_participant", { person_id, room_id }).then((r) => done(page, r));
      items.push({ key: room_id, label: t("people.move", { room: name }), onSelect: run });
    }
  }
  if (!own && person.role !== "moderator") {
    items.push({ key: "remove", label: t("people.remove"), danger: true, onSelect: () => (page.dialog.value = { remove: person }) });
  }
  return items;
}
