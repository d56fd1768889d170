/**
 * One person's connection with the server: hello and resume, heartbeats, commands with ids, coming back after a loss.
 * Knows no page: whoever uses it gets callbacks. Time and sockets can be given for tests.
 */
import { afterClose, backoffMs } from "./backoff";
import type {
  ClientMessage, CommandName, Commands, ConnectionStatus, Ended, MediaSource, Result, ServerMessage,
} from "./types";

/** A command asked for without a connection waits so long for one. */
export const KEEP_COMMAND_MS = 10_000;
/** A command that got no answer so long is answered `offline`. */
const ANSWER_MS = 20_000;
const WELCOME_MS = 8_000;

export interface ClientOptions {
  url: string;
  token: string;
  onMessage: (message: ServerMessage) => void;
  onStatus: (status: ConnectionStatus, ended: Ended | null) => void;
  /** For tests; the browser's own otherwise. */
  makeSocket?: (url: string) => WebSocket;
  newId?: () => string;
}

interface Waiting {
  text: string;
  resolve: (result: Result) => void;
  sent: boolean;
  timer: ReturnType<typeof setTimeout>;
}

const OFFLINE: Result = {
  ok: false,
  error: { code: "offline", message: "You’re offline, so this wasn’t done. Try again.", facts: {} },
};

export class Client {
  status: ConnectionStatus = "connecting";
  /** What to add to Date.now() to get the server's time, in ms. */
  clockOffsetMs = 0;
  /** Last round trip in ms; null before the first. */
  rttMs: number | null = null;

  private socket: WebSocket | null = null;
  private connectionId: string | null = null;
  private lastSeq = 0;
  private attempt = 0;
  private welcomed = false;
  private heartbeatMs = 10_000;
  private lastHeard = 0;
  private ended: Ended | null = null;
  private retryTimer: ReturnType<typeof setTimeout> | undefined;
  private welcomeTimer: ReturnType<typeof setTimeout> | undefined;
  private heartbeat: ReturnType<typeof setInterval> | undefined;
  private readonly waiting = new Map<string, Waiting>();

  constructor(private readonly options: ClientOptions) {}

  start(): void {
    if (typeof window !== "undefined") {
      window.addEventListener("online", this.hurry);
      window.addEventListener("offline", this.lost);
    }
    this.open();
  }

  /** Leave pressed: the person goes at once, without the grace time. */
  leave(): void {
    this.write({ type: "leave" });
    this.stop({ code: "left", message: "" });
  }

  stop(ended: Ended): void {
    this.ended = ended;
    clearTimeout(this.retryTimer);
    if (typeof window !== "undefined") {
      window.removeEventListener("online", this.hurry);
      window.removeEventListener("offline", this.lost);
    }
    this.abandon(true);
    for (const [id] of this.waiting) this.answer(id, OFFLINE);
    this.setStatus("stopped");
  }

  /** Ask for a command. Without a connection it is kept and sent again with the same id, so it happens at most once. */
  send = <N extends CommandName>(name: N, args: Commands[N]): Promise<Result> => {
    if (this.status === "stopped") return Promise.resolve(OFFLINE);
    const id = this.options.newId?.() ?? randomId();
    const text = JSON.stringify({ type: "command", id, name, args } satisfies ClientMessage);
    return new Promise((resolve) => {
      const wait: Waiting = { text, resolve, sent: false, timer: setTimeout(() => this.answer(id, OFFLINE), KEEP_COMMAND_MS) };
      this.waiting.set(id, wait);
      if (this.welcomed) this.transmit(id, wait);
    });
  };

  publish(sdp: string, sources: Record<string, MediaSource>): boolean {
    return this.write({ type: "publish", sdp, sources });
  }

  subscribed(sdp: string, version: number): boolean {
    return this.write({ type: "subscribed", sdp, version });
  }

  /** The server's time now, in ms since 1970. */
  serverNow(): number {
    return Date.now() + this.clockOffsetMs;
  }

  // -- the socket ----------------------------------------------------------------------------------------------

  private open(): void {
    clearTimeout(this.retryTimer);
    this.abandon(false);
    const socket = this.options.makeSocket?.(this.options.url) ?? new WebSocket(this.options.url);
    this.socket = socket;
    this.welcomeTimer = setTimeout(() => this.drop(socket, 4408), WELCOME_MS);
    socket.onopen = () => {
      const { token } = this.options;
      this.write({ type: "hello", version: 1, token, last_seq: this.lastSeq, resume: this.connectionId });
    };
    socket.onmessage = (event: MessageEvent) => {
      if (socket === this.socket && typeof event.data === "string") this.read(event.data);
    };
    socket.onclose = (event: CloseEvent) => this.drop(socket, event.code);
  }

  private drop(socket: WebSocket, code: number): void {
    if (socket !== this.socket) return;
    this.abandon(true);
    const next = afterClose(code);
    if (this.ended !== null || next.stop) {
      this.stop(this.ended ?? { code: String(code), message: "" });
      return;
    }
    this.setStatus(this.connectionId === null ? "connecting" : "reconnecting");
    const wait = next.waitMs ?? backoffMs(this.attempt, Math.random());
    this.attempt += 1;
    this.retryTimer = setTimeout(() => this.open(), wait);
  }

  private abandon(close: boolean): void {
    const socket = this.socket;
    this.socket = null;
    this.welcomed = false;
    clearTimeout(this.welcomeTimer);
    clearInterval(this.heartbeat);
    for (const wait of this.waiting.values()) {
      if (!wait.sent) continue;
      // Its answer is lost; the same id brings it back.
      wait.sent = false;
    }
    if (socket !== null && close) {
      socket.onclose = null;
      socket.close();
    }
  }

  private readonly hurry = (): void => {
    if (this.status === "stopped" || this.welcomed) return;
    this.attempt = 0;
    if (this.socket !== null) this.abandon(true);
    this.open();
  };

  private readonly lost = (): void => {
    if (this.socket !== null) this.drop(this.socket, 1006);
  };

  private write(message: ClientMessage): boolean {
    if (this.socket?.readyState !== 1) return false;
    this.socket.send(JSON.stringify(message));
    return true;
  }

  private beat(): void {
    if (performance.now() - this.lastHeard > 2.5 * this.heartbeatMs && this.socket !== null) {
      this.drop(this.socket, 4408);
      return;
    }
    this.write({ type: "ping", t: performance.now() });
  }

  // -- messages ------------------------------------------------------------------------------------------------

  private read(text: string): void {
    this.lastHeard = performance.now();
    let message: ServerMessage;
    try {
      message = JSON.parse(text) as ServerMessage;
    } catch {
      return;
    }
    switch (message.type) {
      case "welcome":
        this.welcome(message.connection_id, message.server_time, message.heartbeat_s);
        this.lastSeq = message.seq;
        this.options.onMessage(message);
        this.setStatus("online");
        for (const [id, wait] of this.waiting) this.transmit(id, wait);
        return;
      case "result":
        this.answer(message.id, message);
        return;
      case "pong":
        this.rttMs = performance.now() - message.t;
        this.clockOffsetMs = Date.parse(message.server_time) + this.rttMs / 2 - Date.now();
        break;
      case "bye":
        if (["timeout", "rate_limited", "restart"].includes(message.code)) return;
        this.ended = { code: message.code, message: message.message };
        return;
      case "error":
        if (typeof message.id === "string") this.answer(message.id, { ok: false, error: message });
        break;
      case "event":
      case "state":
        this.lastSeq = message.seq;
    }
    this.options.onMessage(message);
  }

  private welcome(connectionId: string, serverTime: string, heartbeatS: number): void {
    clearTimeout(this.welcomeTimer);
    this.connectionId = connectionId;
    this.clockOffsetMs = Date.parse(serverTime) - Date.now();
    this.heartbeatMs = heartbeatS * 1000;
    this.attempt = 0;
    this.welcomed = true;
    clearInterval(this.heartbeat);
    this.heartbeat = setInterval(() => this.beat(), this.heartbeatMs);
    this.beat();
  }

  private transmit(id: string, wait: Waiting): void {
    clearTimeout(wait.timer);
    wait.timer = setTimeout(() => this.answer(id, OFFLINE), ANSWER_MS);
    wait.sent = true;
    this.socket?.send(wait.text);
  }

  private answer(id: string, result: Result): void {
    const wait = this.waiting.get(id);
    if (wait === undefined) return;
    clearTimeout(wait.timer);
    this.waiting.delete(id);
    wait.resolve(result);
  }

  private setStatus(status: ConnectionStatus): void {
    if (status === this.status && status !== "stopped") return;
    this.status = status;
    this.options.onStatus(status, this.ended);
  }
}

function randomId(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(12));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
