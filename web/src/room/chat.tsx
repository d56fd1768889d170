/** The chat of the present room, messages to the moderators, and what was written in rooms one has left. */
import { signal } from "@preact/signals";
import { Reply, SendHorizontal, X } from "lucide-preact";
import type { JSX } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { broadcastTarget } from "../breakout/sentences";
import type { ChatLine, RoomState } from "../protocol/types";
import { locale } from "../ui/locale";
import { limited } from "../ui/names";
import { roomName, usePage, type ChatTarget, type Page } from "./context";
import { linked } from "./links";
import { t } from "./texts";

/** A half-written message belongs to the room (or to the moderators, or the person) it was begun for. */
export function draftKey(roomId: string, target: ChatTarget): string {
  return typeof target === "string" ? (target === "room" ? roomId : "@moderators") : `@${target.person_id}`;
}

const drafts = signal<Readonly<Record<string, string>>>({});

export function draftOf(key: string): string {
  return drafts.value[key] ?? "";
}

export function setDraft(key: string, text: string): void {
  drafts.value = { ...drafts.value, [key]: text };
}

export function Chat({ state }: { state: RoomState }): JSX.Element {
  const page = usePage();
  const [failure, setFailure] = useState("");
  const [shown, setShown] = useState("");
  const list = useRef<HTMLDivElement>(null);
  const field = useRef<HTMLInputElement>(null);
  const { chat, earlier } = page.store;
  const before = earlier.value.find((room) => room.room_id === shown);
  const lines = before?.chat ?? chat.value;
  const target = page.chatTarget.value;
  const key = draftKey(state.you.room_id, target);
  useEffect(() => {
    page.unread.value = 0;
    list.current?.scrollTo({ top: list.current.scrollHeight });
  }, [lines, page]);
  useEffect(() => {
    // On a touch screen the keyboard would cover what somebody came to read.
    if (!window.matchMedia("(pointer: coarse)").matches) field.current?.focus();
  }, []);

  useEffect(() => {
    if (typeof target === "object") field.current?.focus();
  }, [target]);

  async function send(event: Event): Promise<void> {
    event.preventDefault();
    const text = draftOf(key).trim();
    if (text === "") return;
    setDraft(key, "");
    const to = target === "room" ? {} : target === "moderators" ? { to: target } : { person_id: target.person_id };
    const result = await page.store.send("send_chat", { text, ...to });
    setFailure(result.ok ? "" : t("chat.failed", { error: result.error.message }));
    if (!result.ok && draftOf(key) === "") setDraft(key, text);
  }

  const room = roomName(state, state.you.room_id);
  const label = typeof target === "object" ? t("chat.input.person", { name: target.name })
    : target === "moderators" ? t("chat.input.moderators") : t("chat.input", { room });
  return (
    <>
      {earlier.value.length > 0 && (
        <label class="chat-room">
          <span class="unseen">{t("chat.which")}</span>
          <select data-testid="chat-room" value={before?.room_id ?? ""} onChange={(event) => setShown(event.currentTarget.value)}>
            <option value="">{t("chat.now", { room })}</option>
            {earlier.value.map(({ room_id, name }) => <option key={room_id} value={room_id}>{t("chat.earlier", { room: name })}</option>)}
          </select>
        </label>
      )}
      <div class="chat" ref={list} tabIndex={0} role="log" aria-label={t("tool.chat")} data-testid="chat-log">
        {lines.length === 0 && <p class="quiet">{t("chat.empty")}</p>}
        {lines.map((line) => <Line key={line.seq} line={line} state={state} page={page} />)}
      </div>
      {failure !== "" && <p class="trouble" role="alert">{failure}</p>}
      {before === undefined ? (
        <>
          <Target state={state} page={page} />
          <form class="chat-form" onSubmit={(event) => void send(event)}>
            <input ref={field} data-testid="chat-input" aria-label={label} placeholder={label} value={draftOf(key)} dir="auto"
              autocomplete="off" onInput={(event) => setDraft(key, limited(event, 1000))} />
            <button type="submit" class="icon" aria-label={t("chat.send")} title={t("chat.send")}><SendHorizontal size={18} aria-hidden="true" /></button>
          </form>
        </>
      ) : <p class="quiet chat-past">{t("chat.past", { room: before.name })}</p>}
    </>
  );
}

/** To whom the next message goes: everybody here, the moderators, or the person who is being answered. */
function Target({ state, page }: { state: RoomState; page: Page }): JSX.Element | null {
  const target = page.chatTarget.value;
  if (typeof target === "object") {
    return (
      <p class="chat-target">
        <span>{t("chat.to_person", { name: target.name })}</span>
        <button type="button" class="icon" aria-label={t("chat.to_room")} title={t("chat.to_room")} onClick={() => (page.chatTarget.value = "room")}>
          <X size={16} aria-hidden="true" />
        </button>
      </p>
    );
  }
  if (state.you.role === "moderator") return null;
  return (
    <label class="chat-target">
      <span>{t("chat.to")}</span>
      <select data-testid="chat-to" value={target} onChange={(event) => (page.chatTarget.value = event.currentTarget.value === "moderators" ? "moderators" : "room")}>
        <option value="room">{t("chat.everyone")}</option>
        <option value="moderators">{t("chat.moderators")}</option>
      </select>
    </label>
  );
}

function Line({ line, state, page }: { line: ChatLine; state: RoomState; page: Page }): JSX.Element {
  const own = line.person_id === state.you.person_id;
  const scope = scopeOf(line, state);
  const writer = line.person_id;
  const answerable = writer !== null && line.to === "moderators" && !own && state.you.role === "moderator";
  return (
    <div class={["chat-line", own && "own", line.room_ids !== undefined ? "broadcast" : scope !== "" && "private"].filter(Boolean).join(" ")}>
      <p class="chat-who">
        <bdi>{line.name}</bdi> <time dateTime={line.at}>{timeOf(line.at)}</time>
        {scope !== "" && <span class="chat-scope">{scope}</span>}
      </p>
      <p class="chat-text" dir="auto">{linked(line.text).map(({ text, href }, index) => href === undefined
        ? text
        : <a key={index} href={href} target="_blank" rel="noopener noreferrer nofollow">{text}</a>)}</p>
      {answerable && (
        <button type="button" class="button small chat-reply" data-testid={`reply-${line.seq}`}
          onClick={() => (page.chatTarget.value = { person_id: writer, name: line.name })}>
          <Reply size={14} aria-hidden="true" /> {t("chat.reply")}
        </button>
      )}
    </div>
  );
}

/** Whom it reached, where that is not simply the room. */
function scopeOf(line: ChatLine, state: RoomState): string {
  if (line.room_ids !== undefined) return broadcastTarget(state, line.room_ids) ?? "";
  if (line.to === undefined || line.to === "room") return "";
  if (line.to === "person") {
    return line.to_person_id === state.you.person_id ? t("chat.only_you") : t("chat.only", { name: line.to_name ?? "" });
  }
  if (state.you.role !== "moderator" || line.room_id === state.you.room_id) return t("chat.only_moderators");
  return t("chat.only_moderators_from", { room: roomName(state, line.room_id ?? "") });
}

function timeOf(at: string): string {
  return new Date(at).toLocaleTimeString(locale, { hour: "2-digit", minute: "2-digit" });
}
