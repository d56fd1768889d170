/** The toolbar at the bottom: one's own devices, hand, panels, the three dots, Leave. */
import {
  Circle, DoorOpen, Ellipsis, Grid2x2, Hand, Keyboard, LayoutGrid, Lock, LockOpen, MessageSquare, Mic, MicOff, MonitorUp, MonitorX, Pause, Play,
  PhoneOff, Settings, Square, Users, Video, VideoOff,
} from "lucide-preact";
import type { JSX } from "preact";
import { useEffect } from "preact/hooks";
import { MAIN } from "../breakout/logic";
import { Menu, type MenuItem } from "../ui/kit";
import { done, handOrder, recordingHere, toast, togglePanel, usePage, type Page } from "./context";
import { pauseOrResume, RecordingIndicator } from "./recording";
import { t } from "./texts";

/** May this person share here? */
export function mayShare(page: Page): boolean {
  const state = page.store.state.value;
  return state === null || state.session.sharing === "everyone" || state.you.role === "moderator";
}

export async function toggleScreen(page: Page): Promise<void> {
  if (!page.media.screenOn.value && !mayShare(page)) {
    toast(page, t("share.off"));
    return;
  }
  try {
    await page.media.setScreen(!page.media.screenOn.value);
  } catch (error) {
    // Choosing nothing is no fault.
    if (!(error instanceof DOMException && error.name === "NotAllowedError")) toast(page, t("trouble.screen"));
  }
}

export async function toggleHand(page: Page): Promise<void> {
  const state = page.store.state.value;
  if (state === null) return;
  const raised = state.people[state.you.person_id]?.hand_raised_at == null;
  done(page, await page.store.send("set_hand", { raised }));
}

export async function toggleDevice(page: Page, kind: "mic" | "camera"): Promise<void> {
  const { media } = page;
  if (kind === "mic") await media.setMic(!media.micOn.value);
  else await media.setCamera(!media.cameraOn.value);
  const trouble = kind === "mic" ? media.micTrouble.value : media.cameraTrouble.value;
  if (trouble !== null) toast(page, t(`trouble.${kind}.${trouble}`));
}

export function Toolbar(): JSX.Element | null {
  const page = usePage();
  const { media, store } = page;
  const unsendable = media.micTrouble.value === "codec" ? "mic" : media.cameraTrouble.value === "codec" ? "camera" : null;
  useEffect(() => {
    if (unsendable !== null) toast(page, t(`trouble.${unsendable}.codec`));
  }, [unsendable]);
  const state = store.state.value;
  if (state === null) return null;
  const micOn = media.micOn.value;
  const cameraOn = media.cameraOn.value;
  const sharing = media.screenOn.value;
  const raised = state.people[state.you.person_id]?.hand_raised_at != null;
  const canShare = typeof navigator.mediaDevices?.getDisplayMedia === "function";
  const moderator = state.you.role === "moderator";
  // Whom a moderator keeps waiting; the own hand is no news.
  const hands = moderator ? [...handOrder(state).keys()].filter((id) => id !== state.you.person_id).length : 0;
  const leaving: MenuItem[] = [
    { key: "leave", label: t("menu.leave"), icon: <DoorOpen size={18} />, testId: "menu-leave", onSelect: () => store.client.leave() },
    { key: "end", label: t("menu.end"), icon: <PhoneOff size={18} />, danger: true, testId: "menu-end", onSelect: () => (page.dialog.value = "end") },
  ];
  return (
    <footer class="toolbar" aria-label={t("tool.bar")}>
      <div class="toolbar-start"><RecordingIndicator /></div>
      <div class="toolbar-middle">
        <Tool label={t(micOn ? "tool.mute" : "tool.unmute")} hint="M" off={!micOn} testId="toggle-mic"
          run={() => void toggleDevice(page, "mic")}>{micOn ? <Mic /> : <MicOff />}</Tool>
        <Tool label={t(cameraOn ? "tool.camera_off" : "tool.camera_on")} hint="V" off={!cameraOn} testId="toggle-camera"
          run={() => void toggleDevice(page, "camera")}>{cameraOn ? <Video /> : <VideoOff />}</Tool>
        {canShare && (
          <Tool label={t(sharing ? "tool.unshare" : "tool.share")} hint="S" on={sharing} wide testId="share-screen"
            run={() => void toggleScreen(page)}>{sharing ? <MonitorX /> : <MonitorUp />}</Tool>
        )}
        {/* On a phone there is room for one of the two: a student's hand, or the people (with their hands) of a moderator. */}
        <Tool label={t(raised ? "tool.lower" : "tool.hand")} hint="H" on={raised} wide={moderator} testId="raise-hand" run={() => void toggleHand(page)}><Hand /></Tool>
        <Tool label={hands > 0 ? t("tool.people_hands", { count: hands }) : t("tool.people")} on={page.panel.value === "people"} opens wide={!moderator}
          testId="toggle-people" badge={hands} run={() => togglePanel(page, "people")}><Users /></Tool>
        <Tool label={page.unread.value > 0 ? t("tool.chat_unread", { count: page.unread.value }) : t("tool.chat")} on={page.panel.value === "chat"} opens testId="toggle-chat" badge={page.unread.value} run={() => togglePanel(page, "chat")}><MessageSquare /></Tool>
        <Menu label={t("tool.more")} testId="more" face="tool" up items={() => moreItems(page, canShare)}><Ellipsis aria-hidden="true" /></Menu>
      </div>
      <div class="toolbar-end">
        {moderator
          ? <Menu label={t("tool.leave")} testId="leave" face="tool leave" up items={leaving}><PhoneOff aria-hidden="true" /><span class="wide">{t("tool.leave")}</span></Menu>
          : <button type="button" class="tool leave" data-testid="leave" aria-label={t("tool.leave")} title={t("tool.leave")} onClick={() => store.client.leave()}>
              <PhoneOff aria-hidden="true" /><span class="wide">{t("tool.leave")}</span>
            </button>}
      </div>
    </footer>
  );
}

function moreItems(page: Page, canShare: boolean): MenuItem[] {
  const state = page.store.state.value;
  const items: MenuItem[] = [];
  if (state?.you.role === "moderator") {
    const recording = recordingHere(state);
    if (recording === null) {
      items.push({ key: "record", label: t("menu.record"), icon: <Circle size={18} />, testId: "menu-record", onSelect: () => (page.dialog.value = "record") });
    } else {
      const paused = recording.desired === "paused";
      items.push(
        { key: "pause", label: t(paused ? "menu.resume" : "menu.pause"), icon: paused ? <Play size={18} /> : <Pause size={18} />,
          testId: "menu-pause-recording", onSelect: () => void pauseOrResume(page, recording) },
        { key: "layout", label: t("menu.layout"), icon: <LayoutGrid size={18} />, testId: "menu-layout", onSelect: () => (page.dialog.value = "layout") },
        { key: "stop", label: t("menu.stop"), icon: <Square size={18} />, testId: "menu-stop-recording", onSelect: () => (page.dialog.value = "stop") },
      );
    }
    const locked = state.rooms[MAIN]?.locked === true;
    const { sharing } = state.session;
    items.push(
      { key: "lock", label: t(locked ? "lock.unlock" : "lock.lock"), icon: locked ? <LockOpen size={18} /> : <Lock size={18} />, testId: "menu-lock",
        onSelect: () => void page.store.send("lock_room", { room_id: MAIN, locked: !locked }).then((r) => done(page, r) && toast(page, t(locked ? "lock.unlocked" : "lock.locked"))) },
      { key: "sharing", label: t(sharing === "everyone" ? "sharing.moderators" : "sharing.everyone"), icon: <MonitorUp size={18} />, testId: "menu-sharing",
        onSelect: () => void page.store.send("set_sharing", { who: sharing === "everyone" ? "moderators" : "everyone" }).then((r) => done(page, r)) },
    );
    items.push({ key: "breakout", label: t("menu.breakout"), icon: <Grid2x2 size={18} />, testId: "menu-breakout", onSelect: () => (page.breakoutOpen.value = true) });
  }
  const narrow = window.matchMedia("(max-width: 639px)").matches;
  if (narrow) items.push(...narrowItems(page, canShare));
  items.push({ key: "settings", label: t("menu.settings"), icon: <Settings size={18} />, testId: "menu-settings", onSelect: () => (page.dialog.value = "settings") });
  // A phone has no keys to press.
  if (!narrow && !window.matchMedia("(hover: none) and (pointer: coarse)").matches) {
    items.push({ key: "shortcuts", label: t("menu.shortcuts"), icon: <Keyboard size={18} />, testId: "menu-shortcuts", onSelect: () => (page.dialog.value = "shortcuts") });
  }
  return items;
}

/** What the narrow bar has no room for. */
function narrowItems(page: Page, canShare: boolean): MenuItem[] {
  const state = page.store.state.value;
  const items: MenuItem[] = [];
  if (canShare) {
    const sharing = page.media.screenOn.value;
    items.push({
      key: "share", label: t(sharing ? "tool.unshare" : "tool.share"), icon: sharing ? <MonitorX size={18} /> : <MonitorUp size={18} />,
      testId: "menu-share", onSelect: () => void toggleScreen(page),
    });
  }
  if (state?.you.role === "moderator") {
    const raised = state.people[state.you.person_id]?.hand_raised_at != null;
    items.push({ key: "hand", label: t(raised ? "tool.lower" : "tool.hand"), icon: <Hand size={18} />, testId: "menu-hand", onSelect: () => void toggleHand(page) });
  } else {
    items.push({ key: "people", label: t("tool.people"), icon: <Users size={18} />, testId: "menu-people", onSelect: () => togglePanel(page, "people") });
  }
  return items;
}

interface ToolProps {
  label: string;
  hint?: string;
  /** Switched off: drawn in red, as the muted microphone. */
  off?: boolean;
  on?: boolean;
  /** Not on narrow screens, where the three dots have it. */
  wide?: boolean;
  badge?: number;
  /** Opens and closes something, rather than being called otherwise when on. */
  opens?: boolean;
  testId: string;
  run: () => void;
  children: JSX.Element;
}

function Tool({ label, hint, off, on, wide, badge = 0, opens, testId, run, children }: ToolProps): JSX.Element {
  const classes = ["tool", off === true && "off", on === true && "on", wide === true && "wide"].filter(Boolean).join(" ");
  const title = hint === undefined ? label : `${label} (${hint})`;
  return (
    <button type="button" class={classes} aria-label={label} title={title} data-testid={testId} aria-keyshortcuts={hint} aria-expanded={opens === true ? on === true : undefined} onClick={run}>
      {children}{badge > 0 && <span class="unread" aria-hidden="true">{badge > 9 ? "9+" : badge}</span>}
    </button>
  );
}
