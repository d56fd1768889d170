/** The side panel (a bottom sheet on narrow screens): people, and the chat of the present room. */
import { EllipsisVertical, Hand, MicOff, X } from "lucide-preact";
import type { JSX } from "preact";
import { useLayoutEffect, useRef, useState } from "preact/hooks";
import type { PersonView, RoomState } from "../protocol/types";
import { Menu, type MenuItem } from "../ui/kit";
import { fold } from "../ui/names";
import { pure } from "../ui/pure";
import { Chat } from "./chat";
import { done, handOrder, peopleHere, roomName, usePage, type Page } from "./context";
import { t } from "./texts";

export function SidePanel(): JSX.Element | null {
  const page = usePage();
  const open = page.panel.value;
  const state = page.store.state.value;
  const box = useRef<HTMLElement>(null);
  const shown = open !== null && state !== null;
  useLayoutEffect(() => {
    if (!shown) return undefined;
    const before = document.activeElement;
    box.current?.focus(); // the chat then takes it into its field
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
  const hands = handOrder(state);
  const elsewhere = Object.values(state.people).filter((p) => p.online && p.room_id !== state.you.room_id);
  const moderator = state.you.role === "moderator";
  const running = state.breakout.status === "running";
  const many = here.length + elsewhere.length >= SEARCH_FROM;
  const sought = many ? fold(words) : "";
  const found = (people: PersonView[]): PersonView[] => (sought ? people.filter((p) => fold(p.name).includes(sought)) : people);
  const row = (person: PersonView, room: string): JSX.Element => (
    <Row key={person.person_id} person={person} own={person.person_id === state.you.person_id} room={room} moderator={moderator} running={running} page={page} place={hands.get(person.person_id)} />
  );
  const near = found(handsFirst(here));
  const far = found(elsewhere);
  return (
    <div class="people">
      <div class="people-head">
        <h2>{t("people.title", { count: here.length })}</h2>
      </div>
      {moderator && (
        <div class="people-tools">
          <button type="button" class="button small" onClick={() => void page.store.send("mute_participant", {}).then((r) => done(page, r))}>
            {t("people.mute_all")}
          </button>
          {hands.size > 0 && (
            <button type="button" class="button small" data-testid="lower-all"
              onClick={() => void page.store.send("lower_hands", { room_id: state.you.room_id }).then((r) => done(page, r))}>
              {t("people.lower_all")}
            </button>
          )}
        </div>
      )}
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
  /** Where the person stands among the raised hands here. */
  place: number | undefined;
}

/** Of three hundred rows only those of people who changed are drawn anew. */
const Row = pure<RowProps>(({ person, own, room, moderator, running, page, place }) => (
  <li class="person">
    <span class="person-name">
      <bdi>{own ? t("people.you", { name: person.name }) : person.name}</bdi>
      {person.role === "moderator" && <small>{t("people.moderator")}</small>}
      {room !== "" && <small>{room}</small>}
    </span>
    {person.hand_raised_at !== null && (
      <span class="person-hand" role="img" aria-label={place === undefined ? t("people.hand") : t("people.hand_place", { place })}>
        <Hand size={16} aria-hidden="true" />{place !== undefined && <span aria-hidden="true">{place}</span>}
      </span>
    )}
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
