/** What the room page knows, as signals. Fed by the client's messages; components read it through `useRoom()`. */
import { signal, type Signal } from "@preact/signals";
import { createContext } from "preact";
import { useContext } from "preact/hooks";
import { Client, type ClientOptions } from "./client";
import { applyPatch } from "./patch";
import type {
  ChatLine, ConnectionStatus, EarlierChat, Ended, EventMessage, RoomState, Send, ServerMessage, SubscribeMessage, Trouble, Welcome, You,
} from "./types";

export interface RoomStore {
  state: Signal<RoomState | null>;
  you: Signal<You | null>;
  chat: Signal<ChatLine[]>;
  /** Of rooms one was in before, the last one first. */
  earlier: Signal<EarlierChat[]>;
  status: Signal<ConnectionStatus>;
  ended: Signal<Ended | null>;
  /** Loudest first, in one's own room. */
  speakers: Signal<string[]>;
  /** People in one's own room whose line is in trouble. */
  troubles: Signal<Readonly<Record<string, Trouble>>>;
  slack: Signal<boolean>;
  /** The last round trip to the server; null before the first. */
  rttMs: Signal<number | null>;
  client: Client;
  send: Send;
  /** The server's time in ms, for countdowns. */
  serverNow: () => number;
  /** Hear every event after it was applied; returns how to stop. */
  onEvent: (listener: (event: EventMessage) => void) => () => void;
}

/** Where media messages go; the store itself does not know WebRTC. */
export interface MediaPort {
  onWelcome(message: Welcome): void;
  onPublished(sdp: string): void;
  onSubscribe(message: SubscribeMessage): void;
  onReset(): void;
  onError(code: string): void;
}

type StoreOptions = Pick<ClientOptions, "url" | "token" | "makeSocket"> & { media: () => MediaPort | null };

export function createStore(options: StoreOptions): RoomStore {
  const state = signal<RoomState | null>(null);
  const you = signal<You | null>(null);
  const chat = signal<ChatLine[]>([]);
  const earlier = signal<EarlierChat[]>([]);
  const status = signal<ConnectionStatus>("connecting");
  const ended = signal<Ended | null>(null);
  const speakers = signal<string[]>([]);
  const troubles = signal<Readonly<Record<string, Trouble>>>({});
  const slack = signal(false);
  const rttMs = signal<number | null>(null);
  const listeners = new Set<(event: EventMessage) => void>();

  function take(message: ServerMessage): void {
    const media = options.media();
    switch (message.type) {
      case "welcome":
        troubles.value = {};
        you.value = message.you;
        state.value = message.state;
        chat.value = message.chat;
        earlier.value = message.earlier;
        slack.value = message.slack;
        media?.onWelcome(message);
        break;
      case "state":
        if (state.value?.you.room_id !== message.state.you.room_id) speakers.value = [];
        state.value = message.state;
        chat.value = message.chat;
        earlier.value = message.earlier;
        break;
      case "event":
        takeEvent(message);
        break;
      case "speakers":
        speakers.value = message.person_ids;
        break;
      case "troubles":
        troubles.value = message.people;
        break;
      case "published":
        media?.onPublished(message.sdp);
        break;
      case "subscribe":
        media?.onSubscribe(message);
        break;
      case "media_reset":
        media?.onReset();
        break;
      case "pong":
        rttMs.value = client.rttMs;
        break;
      case "error":
        media?.onError(message.code);
    }
  }

  function takeEvent(message: EventMessage): void {
    if (state.value !== null) state.value = applyPatch(state.value, message.patch);
    const { data } = message;
    if (message.event === "chat_sent" || message.event === "message_broadcast") {
      chat.value = [...chat.value.slice(-199), { ...(data as unknown as ChatLine), seq: message.seq, at: message.at }];
    }
    for (const listener of listeners) listener(message);
  }

  const client = new Client({
    ...options,
    onMessage: take,
    onStatus: (next, why) => {
      status.value = next;
      ended.value = why;
    },
  });
  return {
    state, you, chat, earlier, status, ended, speakers, troubles, slack, rttMs, client,
    send: client.send,
    serverNow: () => client.serverNow(),
    onEvent: (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
  };
}

export const RoomContext = createContext<RoomStore | null>(null);

/** The page's store; only inside the room page. */
export function useRoom(): RoomStore {
  const store = useContext(RoomContext);
  if (store === null) throw new Error("useRoom is for the room page only");
  return store;
}
