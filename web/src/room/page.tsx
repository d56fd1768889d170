/** The room page: device check, then the room, then a word of goodbye. */
import { effect } from "@preact/signals";
import type { JSX } from "preact";
import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { ControlBar } from "../breakout/bar";
import { BroadcastLine } from "../breakout/broadcasts";
import { Countdowns } from "../breakout/countdown";
import { breakoutNotice, useTimeNotices } from "../breakout/notices";
import { SelfChoice } from "../breakout/picker";
import { BreakoutSheets } from "../breakout/sheets";
import { Media } from "../media/media";
import { createStore, RoomContext } from "../protocol/store";
import type { EventMessage, RoomState } from "../protocol/types";
import { useBefore } from "./before";
import { DeviceCheck } from "./check";
import { createPage, done, PageContext, peopleHere, recordingHere, roomName, say, toast, togglePanel, usePage, type Page } from "./context";
import { DeviceSelects } from "./devices";
import { Dialog } from "./dialog";
import { guardExit, mayRejoin } from "./exit";
import { SidePanel } from "./panel";
import { Check, isDeclined, LayoutDialog, RecordedNotice, setDeclined, StartDialog, StopDialog } from "./recording";
import { BlockedBanner, NetworkMark } from "./network";
import { news } from "./news";
import { announcePeople, sounds, soundsWhileRecording } from "./preferences";
import { listenForShortcuts, ShortcutSwitch, SHORTCUTS } from "./shortcuts";
import type { Sound } from "./sounds";
import { Stage } from "./stage";
import { t, type TextKey } from "./texts";
import { Toasts } from "./toasts";
import { Toolbar } from "./toolbar";

/** What the server writes into the page (docs/page-api.md §1). */
export interface Boot {
  token: string;
  ws_url: string;
  session_id: string;
  person: { name: string };
  course: { title: string };
}

function build(boot: Boot): Page {
  let media: Media | null = null;
  const url = new URL(boot.ws_url, location.href);
  url.protocol = url.protocol.replace("http", "ws");
  const store = createStore({ url: url.href, token: boot.token, media: () => media });
  media = new Media(() => ({
    publish: (sdp, sources) => store.client.publish(sdp, sources),
    subscribed: (sdp, version) => store.client.subscribed(sdp, version),
    setMedia: (change) => store.send("set_media", change),
  }), () => toast(page, t("say.entered_muted")));
  const page = createPage(store, media, boot.token);
  expose(page);
  return page;
}

/** For tests: harmless data only. */
function expose({ store, media, chimes, awake }: Page): void {
  const stats = async (): Promise<object> => ({ connection: store.status.value, lines: media.lines.value, ...(await media.stats()) });
  const view = { get state() { return store.state.value; }, stats, played: chimes.played, get awake() { return awake.value; } };
  Object.defineProperty(window, "__sideroom", { value: view, configurable: true });
}

export function RoomPage({ boot }: { boot: Boot }): JSX.Element {
  const page = useMemo(() => build(boot), [boot]);
  // After a reload or a closed window one is back at once, with the devices as they were.
  const back = useMemo(() => mayRejoin(boot.session_id), [boot]);
  const [joined, setJoined] = useState(back);
  const { store, media } = page;
  useEffect(() => {
    if (!back) return;
    void media.prepare();
    store.client.start();
  }, [back, media, store]);
  useEffect(() => (joined ? guardExit(page, boot.session_id) : undefined), [joined, page, boot]);

  useEffect(() => effect(() => {
    const state = store.state.value;
    if (state === null) return;
    const here = peopleHere(state);
    media.fit(here.filter((person) => person.camera).length, here.some((person) => person.screen));
  }), [store, media]);
  useEffect(() => store.onEvent((event) => hear(page, event)), [page, store]);
  useEffect(() => {
    let before: RoomState | null = null;
    return store.state.subscribe((state) => {
      for (const { key, facts, recording_id, shown, sound } of state === null ? [] : news(before, state)) {
        if (recording_id !== undefined && page.stopped.has(recording_id)) continue;
        const people = key.startsWith("say.came") || key.startsWith("say.went");
        if (!people || announcePeople.on.value) (shown ? toast : say)(page, t(key, facts));
        if (sound !== undefined) chime(page, sound);
      }
      if (before !== null && state !== null && before.you.room_id !== state.you.room_id) chime(page, "notice");
      before = state;
    });
  }, [page, store]);
  useEffect(() => {
    if (store.status.value === "stopped") media.stop();
  }, [store.status.value, media, store]);

  if (store.status.value === "stopped") return <Goodbye code={store.ended.value?.code ?? ""} message={store.ended.value?.message ?? ""} />;
  if (!joined) return <Before page={page} boot={boot} onJoin={() => setJoined(true)} />;
  return (
    <RoomContext.Provider value={store}>
      <PageContext.Provider value={page}><Room /></PageContext.Provider>
    </RoomContext.Provider>
  );
}

/** The device check; who would be refused is told so before, not after it. */
function Before({ page, boot, onJoin }: { page: Page; boot: Boot; onJoin: () => void }): JSX.Element {
  const { media, store } = page;
  const { before, ended } = useBefore(boot.token);
  useEffect(() => {
    if (ended !== null) media.stop();
  }, [ended, media]);
  if (ended !== null) return <Goodbye code={ended} message="" />;
  const join = (): void => {
    onJoin();
    store.client.start();
  };
  return <DeviceCheck media={media} chimes={page.chimes} room={boot.course.title} name={boot.person.name} before={before} onJoin={join} />;
}

/** Events that ask something of this page or are worth a sentence. */
function hear(page: Page, event: EventMessage): void {
  const { store, media } = page;
  const me = store.you.value?.person_id;
  const notice = store.state.value === null ? null : breakoutNotice(store.state.value, event);
  if (notice !== null) toast(page, notice);
  switch (event.event) {
    case "participant_muted": {
      const people = event.data.person_ids;
      if (Array.isArray(people) && people.includes(me) && media.micOn.value) {
        void media.setMic(false, true);
        toast(page, t("say.muted"));
      }
      break;
    }
    case "message_broadcast":
      if (event.data.person_id !== me) say(page, `${t("broadcast.from", { name: String(event.data.name) })} ${String(event.data.text)}`);
      break;
    case "sharing_stopped": {
      const people = event.data.person_ids;
      if (Array.isArray(people) && people.includes(me) && media.screenOn.value) {
        void media.setScreen(false);
        toast(page, t("share.stopped", { name: String(event.data.name) }));
      }
      break;
    }
    case "sharing_changed":
      toast(page, t(event.data.who === "moderators" ? "share.only_moderators" : "share.everyone"));
      break;
    case "chat_sent":
      if (event.data.person_id === me) break;
      if (page.panel.value !== "chat" || document.hidden) chime(page, "message");
      if (page.panel.value === "chat") break;
      page.unread.value += 1;
      toast(page, t("chat.new", { name: String(event.data.name), text: excerpt(String(event.data.text)) }), () => togglePanel(page, "chat"));
      break;
    case "breakout_closing":
      chime(page, "notice");
      break;
    case "recording_invoked":
      if (event.data.room_id === store.state.value?.you.room_id) chime(page, "notice");
      break;
    case "recording_status_changed":
      if (event.data.status === "ERRORED") toast(page, t("rec.failed", { error: String(event.data.error ?? "") }));
  }
}

function chime(page: Page, sound: Sound): void {
  const state = page.store.state.value;
  page.chimes.sinkId = page.media.choice.value.speaker;
  page.chimes.play(sound, state === null ? null : recordingHere(state));
}

const EXCERPT_CHARS = 120;

function excerpt(text: string): string {
  const line = text.replace(/\s+/g, " ");
  return line.length > EXCERPT_CHARS ? `${line.slice(0, EXCERPT_CHARS - 1)}…` : line;
}

function Room(): JSX.Element {
  const page = usePage();
  const { store } = page;
  const state = store.state.value;
  useEffect(() => listenForShortcuts(page), [page]);
  const name = state === null ? "" : roomName(state, state.you.room_id);
  useEffect(() => {
    if (name === "") return;
    say(page, t("say.moved", { room: name }));
  }, [name, page]);
  const course = state?.session.course_title ?? "";
  const calls = state?.you.role === "moderator" ? Object.values(state.calls).filter((call) => call.status === "raised").length : 0;
  useEffect(() => {
    // Seen in the row of tabs too: which room, and whether somebody calls.
    if (name !== "") document.title = `${calls > 0 ? `(${calls}) ` : ""}${name} · ${course}`;
  }, [name, course, calls]);
  useTimeNotices(state, store.serverNow, (text) => toast(page, text));
  if (state === null) return <Joining />;
  return (
    <div class={page.panel.value === null ? "room" : "room with-panel"}>
      <div class="top">
        <header class="topbar">
          <h1><span class="course">{state.session.course_title} · </span><span data-testid="room-name">{name}</span></h1>
          <NetworkMark />
        </header>
        <ControlBar
          state={state} send={store.send} serverNow={store.serverNow} dashboardOpen={page.breakoutOpen.value}
          onDashboard={() => (page.breakoutOpen.value = !page.breakoutOpen.value)}
        />
        <Countdowns state={state} send={store.send} serverNow={store.serverNow} />
        <BroadcastLine state={state} chat={store.chat.value} />
      </div>
      <Banners />
      <Stage />
      <SidePanel />
      <Toolbar />
      <RecordedNotice />
      <SelfChoice state={state} send={store.send} />
      <Dialogs />
      {page.breakoutOpen.value && (
        <BreakoutSheets state={state} send={store.send} token={page.token} onClose={() => (page.breakoutOpen.value = false)} />
      )}
      <Toasts />
      <div class="unseen" aria-live="polite" data-testid="said">{page.said.value.map((line) => <p key={line.key}>{line.text}</p>)}</div>
    </div>
  );
}

/** A server usually answers in a blink; past this the person is told. */
const SLOW_MS = 5000;

function Joining(): JSX.Element {
  const [slow, setSlow] = useState(false);
  useEffect(() => {
    const timer = setTimeout(() => setSlow(true), SLOW_MS);
    return () => clearTimeout(timer);
  }, []);
  return <p class="waiting" role="status">{t(slow ? "connection.slow" : "check.joining")}</p>;
}

function Banners(): JSX.Element {
  const { store, media } = usePage();
  return (
    <div class="banners">
      {store.status.value === "reconnecting" && <p class="banner warn" role="status" data-testid="reconnecting">{t("connection.reconnecting")}</p>}
      {store.status.value === "online" && media.link.value === "blocked" && <BlockedBanner />}
      {media.withheld.value > 0 && <p class="banner" role="status" data-testid="hidden-pictures">{t("connection.hidden")}</p>}
      {media.blocked.value && (
        <p class="banner">{t("connection.blocked")} <button type="button" class="button primary" onClick={() => media.unblock()}>{t("connection.hear")}</button></p>
      )}
    </div>
  );
}

function Dialogs(): JSX.Element | null {
  const page = usePage();
  const { store, media } = page;
  const open = page.dialog.value;
  const close = (): void => void (page.dialog.value = null);
  if (open === null) return null;
  if (open === "record") return <StartDialog />;
  if (open === "stop") return <StopDialog />;
  if (open === "layout") return <LayoutDialog />;
  if (open === "settings") {
    return (
      <Dialog title={t("settings.title")} onClose={close}>
        <DeviceSelects media={media} chimes={page.chimes} />
        <Check label={t("rec.consent")} checked={isDeclined(page)} testId="settings-decline" onChange={(on) => void setDeclined(page, on)} />
        <p class="quiet">{t("rec.consent.note")}</p>
        <Check label={t("settings.sounds")} checked={sounds.on.value} testId="settings-sounds" onChange={sounds.set} />
        {sounds.on.value && (
          <Check label={t("settings.sounds_recording")} checked={soundsWhileRecording.on.value} testId="settings-sounds-recording" onChange={soundsWhileRecording.set} />
        )}
        <Check label={t("settings.announce")} checked={announcePeople.on.value} testId="settings-announce" onChange={announcePeople.set} />
      </Dialog>
    );
  }
  if (open === "shortcuts") {
    return (
      <Dialog title={t("shortcuts.title")} onClose={close}>
        <dl class="shortcuts">{SHORTCUTS.map((key) => <div key={key}><dt><kbd>{key.toUpperCase()}</kbd></dt><dd>{t(`shortcuts.${key}`)}</dd></div>)}</dl>
        <ShortcutSwitch />
      </Dialog>
    );
  }
  if (open === "end") {
    const count = Object.values(store.state.value?.people ?? {}).filter((person) => person.online).length;
    return (
      <Confirm title={t("end.title")} text={t("end.text", { count })} confirm={t("end.confirm", { count })} onClose={close}
        run={() => void store.send("end_session", {}).then((r) => done(page, r))} />
    );
  }
  const { name, person_id } = open.remove;
  return (
    <Confirm title={t("people.remove.title", { name })} text={t("people.remove.text", { name })} confirm={t("people.remove.confirm", { name })}
      onClose={close} run={() => void store.send("remove_participant", { person_id }).then((r) => done(page, r))} />
  );
}

interface ConfirmProps {
  title: string;
  text: string;
  confirm: string;
  onClose: () => void;
  run: () => void;
}

function Confirm({ title, text, confirm, onClose, run }: ConfirmProps): JSX.Element {
  return (
    <Dialog title={title} onClose={onClose} actions={
      <>
        <button type="button" class="button" onClick={onClose}>{t("cancel")}</button>
        <button type="button" class="button danger" data-testid="confirm-danger" onClick={() => { onClose(); run(); }}>{confirm}</button>
      </>
    }><p>{text}</p></Dialog>
  );
}

const ENDINGS: Record<string, TextKey> = {
  left: "ended.left", removed: "ended.removed", session_ended: "ended.session_ended", replaced: "ended.replaced",
  unauthenticated: "ended.unauthenticated", "4401": "ended.unauthenticated", "4409": "ended.replaced", "4410": "ended.session_ended",
};

function Goodbye({ code, message }: { code: string; message: string }): JSX.Element {
  const known = ENDINGS[code];
  const head = useRef<HTMLHeadingElement>(null);
  useEffect(() => {
    head.current?.focus();
    document.title = head.current?.textContent ?? "";
  }, []);
  const again: TextKey | null = code === "left" ? "ended.rejoin" : known === "ended.replaced" ? "ended.here" : null;
  return (
    <main class="goodbye">
      <h1 ref={head} tabIndex={-1}>{known === undefined ? message || t("ended.other") : t(known)}</h1>
      <p class="quiet">{t("ended.close")}</p>
      {again !== null && <button type="button" class="button primary" data-testid="rejoin" onClick={() => location.reload()}>{t(again)}</button>}
    </main>
  );
}
