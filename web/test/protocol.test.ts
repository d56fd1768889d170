import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { afterClose, backoffMs } from "../src/protocol/backoff";
import { Client } from "../src/protocol/client";
import { applyPatch } from "../src/protocol/patch";
import type { ConnectionStatus, PersonView, RoomState, ServerMessage } from "../src/protocol/types";

function person(id: string, roomId = "main"): PersonView {
  return {
    person_id: id, name: id, role: "participant", room_id: roomId, assigned_room_id: null,
    online: true, mic: false, camera: false, screen: false, screen_since: null, hand_raised_at: null, declines_recording: false,
  };
}

const state: RoomState = {
  session: { session_id: "s1", course_title: "BIO 101", room_title: "Room", status: "open", opened_at: null, sharing: "everyone" },
  you: { person_id: "bob", room_id: "main", assigned_room_id: null, role: "participant" },
  people: { bob: person("bob"), alice: person("alice") },
  rooms: { main: { room_id: "main", name: "Main room", number: 0, locked: false } },
  breakout: {
    status: "none", run: 0, assign: "auto", time_limit_s: null, countdown_s: 5, may_return: true, record: false,
    started_at: null, ends_at: null,
  },
  transitions: {}, calls: {}, recordings: {},
};

describe("patches", () => {
  test("entities of a collection are replaced, added and removed; the rest keeps its identity", () => {
    const next = applyPatch(state, { people: { bob: person("bob", "r1"), alice: null, cleo: person("cleo") } });
    expect(Object.keys(next.people)).toEqual(["bob", "cleo"]);
    expect(next.people.bob?.room_id).toBe("r1");
    expect(next.rooms).toBe(state.rooms);
    expect(state.people.alice).toBeDefined();
  });

  test("other members are replaced whole, nulls inside them included", () => {
    const breakout = { ...state.breakout, status: "running" as const, ends_at: null };
    expect(applyPatch(state, { breakout }).breakout).toEqual(breakout);
    expect(applyPatch(state, null)).toBe(state);
  });
});

describe("coming back", () => {
  test("waits 0.25, 0.5, 1, 2, 4, 4 s within a fifth", () => {
    for (const [attempt, base] of [250, 500, 1000, 2000, 4000, 4000].entries()) {
      expect(backoffMs(attempt, 0)).toBe(base * 0.8);
      expect(backoffMs(attempt, 0.999)).toBeLessThanOrEqual(base * 1.2);
    }
  });

  test("removed, replaced and ended pages stay away", () => {
    for (const code of [4401, 4403, 4409, 4410]) expect(afterClose(code).stop).toBe(true);
    expect(afterClose(1012)).toEqual({ stop: false, waitMs: null });
    expect(afterClose(4429)).toEqual({ stop: false, waitMs: 10_000 });
  });
});

class FakeSocket {
  static all: FakeSocket[] = [];
  readyState = 0;
  sent: Record<string, unknown>[] = [];
  onopen: (() => void) | null = null;
  onmessage: ((event: { data: string }) => void) | null = null;
  onclose: ((event: { code: number }) => void) | null = null;
  constructor() {
    FakeSocket.all.push(this);
  }
  send(text: string): void {
    this.sent.push(JSON.parse(text) as Record<string, unknown>);
  }
  close(): void {
    this.readyState = 3;
  }
  welcome(resumed: boolean): void {
    this.readyState = 1;
    this.onopen?.();
    this.hear({
      type: "welcome", connection_id: "c1", resumed, enters_muted: false, server_time: new Date(Date.now() + 60_000).toISOString(),
      you: { person_id: "bob", role: "participant", name: "Bob" }, seq: 7, state, chat: [], earlier: [], ice_servers: [], slack: false, heartbeat_s: 10,
    });
  }
  hear(message: ServerMessage): void {
    this.onmessage?.({ data: JSON.stringify(message) });
  }
  commands(): Record<string, unknown>[] {
    return this.sent.filter((message) => message.type === "command");
  }
}

describe("the connection", () => {
  let statuses: ConnectionStatus[];
  let client: Client;
  const newest = (): FakeSocket => FakeSocket.all.at(-1) as FakeSocket;

  beforeEach(() => {
    vi.useFakeTimers();
    FakeSocket.all = [];
    statuses = [];
    client = new Client({
      url: "ws://here/ws", token: "t", onMessage: () => undefined, onStatus: (status) => statuses.push(status),
      makeSocket: () => new FakeSocket() as unknown as WebSocket,
    });
    client.start();
  });
  afterEach(() => {
    client.stop({ code: "left", message: "" });
    vi.useRealTimers();
  });

  test("resumes with its connection id and the last seq", () => {
    newest().welcome(false);
    newest().hear({ type: "event", seq: 9, at: "", event: "updated", data: {}, patch: null });
    newest().onclose?.({ code: 1006 });
    vi.advanceTimersByTime(400);
    newest().welcome(true);
    expect(FakeSocket.all).toHaveLength(2);
    expect(newest().sent[0]).toMatchObject({ type: "hello", resume: "c1", last_seq: 9 });
    expect(statuses).toEqual(["online", "reconnecting", "online"]);
  });

  test("an unanswered command is sent again with the same id, once answered never more", async () => {
    newest().welcome(false);
    const asked = client.send("set_hand", { raised: true });
    const id = newest().commands()[0]?.id;
    newest().onclose?.({ code: 1012 });
    vi.advanceTimersByTime(400);
    newest().welcome(true);
    expect(newest().commands().map((command) => command.id)).toEqual([id]);
    newest().hear({ type: "result", id: String(id), ok: true, seq: 8 });
    await expect(asked).resolves.toMatchObject({ ok: true, seq: 8 });
    newest().onclose?.({ code: 1012 });
    vi.advanceTimersByTime(400);
    newest().welcome(true);
    expect(newest().commands()).toEqual([]);
  });

  test("a command kept for 10 s without a connection is given up", async () => {
    const asked = client.send("send_chat", { text: "hello" });
    vi.advanceTimersByTime(10_000);
    await expect(asked).resolves.toMatchObject({ ok: false, error: { code: "offline" } });
    newest().welcome(false);
    expect(newest().commands()).toEqual([]);
  });

  test("stays away when the server says so", () => {
    newest().welcome(false);
    newest().hear({ type: "bye", code: "removed", message: "" });
    newest().onclose?.({ code: 4403 });
    vi.advanceTimersByTime(60_000);
    expect(FakeSocket.all).toHaveLength(1);
    expect(statuses.at(-1)).toBe("stopped");
  });

  test("knows the server's time", () => {
    newest().welcome(false);
    expect(client.serverNow() - Date.now()).toBe(60_000);
  });
});
