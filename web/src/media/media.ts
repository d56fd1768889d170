/** A person's sound and picture in the room: own devices out, the others in, made anew when a connection fails. */
import { batch, signal } from "@preact/signals";
import { backoffMs } from "../protocol/backoff";
import type { IceServer, MediaSource, Result, SubscribeMessage, TrackLine, Welcome } from "../protocol/types";
import type { MediaPort } from "../protocol/store";
import { detailFor } from "./detail";
import { explain, loadChoice, openDevice, openScreen, saveChoice, type Kind, type Trouble } from "./devices";
import { Publisher, type Tracks } from "./publisher";
import { Loudspeaker } from "./speaker";
import { Subscriber } from "./subscriber";

/** What media asks of the protocol. */
export interface Wire {
  publish(sdp: string, sources: Record<string, MediaSource>): boolean;
  subscribed(sdp: string, version: number): boolean;
  setMedia(change: { mic?: boolean; camera?: boolean; screen?: boolean }): Promise<Result>;
}

const ANSWER_MS = 8_000;
const BLOCKED_MS = 8_000;

export type Link = "connecting" | "connected" | "blocked";

export interface MediaAddress {
  protocol: "udp" | "tcp";
  ip: string;
  port: number;
}

/** The server's own addresses in its description. */
export function addressesIn(sdp: string): MediaAddress[] {
  const found = new Map<string, MediaAddress>();
  for (const [, protocol, ip = "", port] of sdp.matchAll(/^a=candidate:\S+ 1 (udp|tcp) \d+ (\S+) (\d+) typ host/gim)) {
    found.set(`${protocol} ${ip} ${port}`, { protocol: protocol?.toLowerCase() === "tcp" ? "tcp" : "udp", ip, port: Number(port) });
  }
  return [...found.values()];
}

export function trackKey(personId: string, source: MediaSource): string {
  return `${personId}/${source}`;
}

export class Media implements MediaPort {
  readonly choice = signal(loadChoice());
  readonly micOn = signal(false);
  readonly cameraOn = signal(false);
  readonly screenOn = signal(false);
  readonly micTrouble = signal<Trouble | null>(null);
  readonly cameraTrouble = signal<Trouble | null>(null);
  /** The camera was asked for and shows nothing yet. */
  readonly cameraStarting = signal(false);
  /** Own tracks, for the meter and the own tile. */
  readonly mic = signal<MediaStreamTrack | null>(null);
  readonly camera = signal<MediaStreamTrack | null>(null);
  readonly screen = signal<MediaStreamTrack | null>(null);
  /** The others' tracks by `trackKey`. */
  readonly remote = signal<ReadonlyMap<string, MediaStreamTrack>>(new Map());
  readonly lines = signal<TrackLine[]>([]);
  /** The browser lets no sound play before a click. */
  readonly blocked = signal(false);
  /** How the own sound and picture travel; `blocked`: not at all, for longer than a good network needs. */
  readonly link = signal<Link>("connecting");
  /** Where the server takes media, as it told last: what a firewall must let through. */
  readonly server = signal<MediaAddress[]>([]);
  /** Pictures that the server keeps back because this line cannot carry them. */
  readonly withheld = signal(0);

  private screenAudio: MediaStreamTrack | null = null;
  private publisher: Publisher | null = null;
  private subscriber: Subscriber | null = null;
  private iceServers: IceServer[] = [];
  private attempt = 0;
  private detail = detailFor(1, false);
  private pending = 0;
  private welcomed = false;
  private stopped = false;
  private retryTimer: ReturnType<typeof setTimeout> | undefined;
  private answerTimer: ReturnType<typeof setTimeout> | undefined;
  private linkTimer: ReturnType<typeof setTimeout> | undefined;
  private readonly loudspeaker = new Loudspeaker((blocked) => (this.blocked.value = blocked));

  /** `wire` is asked only after the first welcome; `onEnteredMuted`: the course switched the microphone off on the way in. */
  constructor(private readonly wire: () => Wire, private readonly onEnteredMuted: () => void = () => undefined) {
    this.loudspeaker.choose(this.choice.value.speaker);
  }

  // -- own devices ---------------------------------------------------------------------------------------------

  /** Open what the remembered choice wants; trouble is kept in signals, nothing is thrown. */
  async prepare(): Promise<void> {
    const { micOn, cameraOn } = this.choice.value;
    this.cameraStarting.value = cameraOn;
    const camera = cameraOn ? this.setCamera(true).finally(() => (this.cameraStarting.value = false)) : null;
    await Promise.all([micOn ? this.setMic(true) : null, camera]);
  }

  async setMic(on: boolean, byOther = false): Promise<void> {
    if (on && this.mic.value === null && !(await this.open("mic"))) return;
    const track = this.mic.value;
    if (track !== null) track.enabled = on;
    this.micOn.value = on;
    if (!byOther) this.remember({ micOn: on });
    await this.publisher?.set("mic", on ? track : null);
    if (!byOther) await this.tell({ mic: on });
  }

  async setCamera(on: boolean): Promise<void> {
    if (on && this.camera.value === null && !(await this.open("camera"))) return;
    if (!on) {
      // Stopped, not only hidden: the camera's light goes out.
      this.camera.value?.stop();
      this.camera.value = null;
    }
    this.cameraOn.value = on;
    this.remember({ cameraOn: on });
    await this.publisher?.set("camera", this.camera.value);
    await this.tell({ camera: on });
  }

  async setScreen(on: boolean): Promise<void> {
    if (on) {
      const stream = await openScreen();
      const [picture] = stream.getVideoTracks();
      if (picture === undefined) return;
      picture.contentHint = "detail";
      picture.onended = () => void this.setScreen(false);
      this.screenAudio = stream.getAudioTracks()[0] ?? null;
      this.screen.value = picture;
    } else {
      this.screen.value?.stop();
      this.screenAudio?.stop();
      this.screen.value = this.screenAudio = null;
    }
    this.screenOn.value = on;
    await this.publisher?.set("screen", this.screen.value);
    await this.publisher?.set("screen_audio", this.screenAudio);
    await this.tell({ screen: on });
  }

  /** Use another device from now on; whether it is on stays as it is. */
  async choose(kind: Kind | "speaker", deviceId: string): Promise<void> {
    this.remember({ [kind]: deviceId });
    if (kind === "speaker") {
      this.loudspeaker.choose(deviceId);
      return;
    }
    const on = kind === "mic" ? this.micOn.value : this.cameraOn.value;
    this.drop(kind);
    if (!on) return;
    if (!(await this.open(kind))) {
      await this.failed(kind);
      return;
    }
    await this.publisher?.set(kind, kind === "mic" ? this.mic.value : this.camera.value);
  }

  private drop(kind: Kind): void {
    const held = kind === "mic" ? this.mic : this.camera;
    if (held.value !== null) held.value.onended = null;
    held.value?.stop();
    held.value = null;
  }

  private async open(kind: Kind): Promise<boolean> {
    const trouble = kind === "mic" ? this.micTrouble : this.cameraTrouble;
    if (trouble.value === "codec") return false; // another device changes nothing
    try {
      const track = await openDevice(kind, this.choice.value[kind]);
      if (this.stopped) {
        track.stop();
        return false;
      }
      this.drop(kind);
      track.onended = () => void this.unplugged(kind);
      trouble.value = null;
      (kind === "mic" ? this.mic : this.camera).value = track;
      return true;
    } catch (error) {
      trouble.value = explain(error);
      return false;
    }
  }

  /** A device was pulled out: the default one takes over, or the line goes silent and says so. */
  private async unplugged(kind: Kind): Promise<void> {
    this.drop(kind);
    const on = kind === "mic" ? this.micOn.value : this.cameraOn.value;
    if (!on) return;
    if (await this.open(kind)) await this.publisher?.set(kind, kind === "mic" ? this.mic.value : this.camera.value);
    else await this.failed(kind);
  }

  /** The room has so many cameras, and a screen on stage or not. */
  fit(cameras: number, sharing: boolean): void {
    const detail = detailFor(cameras, sharing);
    if (detail === this.detail) return;
    this.detail = detail;
    this.applyDetail();
  }

  private applyDetail(): void {
    // A closed connection refuses; the next one gets it after its answer.
    this.publisher?.setDetail(this.detail).catch(() => undefined);
  }

  private async failed(kind: Kind): Promise<void> {
    (kind === "mic" ? this.micOn : this.cameraOn).value = false;
    await this.publisher?.set(kind, null);
    await this.tell(kind === "mic" ? { mic: false } : { camera: false });
  }

  /** The server has no codec for what this browser would send: off, with the reason. */
  private async unsendable(kind: Kind): Promise<void> {
    (kind === "mic" ? this.micTrouble : this.cameraTrouble).value = "codec";
    this.drop(kind);
    await this.failed(kind);
  }

  private remember(change: Partial<ReturnType<typeof loadChoice>>): void {
    this.choice.value = { ...this.choice.value, ...change };
    saveChoice(this.choice.value);
  }

  private async tell(change: { mic?: boolean; camera?: boolean; screen?: boolean }): Promise<void> {
    if (!this.welcomed) return;
    this.pending += 1;
    await this.wire().setMedia(change);
    this.pending -= 1;
  }

  // -- connections ---------------------------------------------------------------------------------------------

  onWelcome(message: Welcome): void {
    this.iceServers = message.ice_servers;
    this.welcomed = true;
    const me = message.state.people[message.you.person_id];
    if (message.resumed && this.publisher !== null) {
      // A moderator may have muted us while we were away; what we asked for meanwhile is on its way already.
      if (this.pending === 0 && this.micOn.value && me?.mic === false) void this.setMic(false, true);
      if (this.pending === 0 && this.screenOn.value && me?.screen === false) void this.setScreen(false);
      if (!["connected", "connecting"].includes(this.publisher.state)) this.restart();
      return;
    }
    // The server forwards no microphone before it is switched on; the button says so, too.
    if (message.enters_muted && this.micOn.value) {
      void this.setMic(false, true);
      this.onEnteredMuted();
    }
    // What is refused here would be refused with microphone and camera.
    if (this.screenOn.value && message.state.session.sharing === "moderators" && message.you.role !== "moderator") void this.setScreen(false);
    void this.tell({ mic: this.micOn.value, camera: this.cameraOn.value, screen: this.screenOn.value });
    this.restart();
  }

  onReset(): void {
    this.attempt = 0;
    this.restart();
  }

  onPublished(sdp: string): void {
    clearTimeout(this.answerTimer);
    this.server.value = addressesIn(sdp);
    const publisher = this.publisher;
    publisher?.answered(sdp).then(
      (refused) => {
        this.attempt = 0;
        this.applyDetail();
        for (const kind of ["mic", "camera"] as const) if (refused.includes(kind)) void this.unsendable(kind);
      },
      () => this.retry(publisher),
    );
  }

  onSubscribe(message: SubscribeMessage): void {
    this.subscriber ??= this.makeSubscriber();
    this.subscriber.take(message);
    this.withheld.value = message.withheld;
  }

  /** At once, not when the pause before the next try is over. */
  reconnect(): void {
    this.attempt = 0;
    this.restart();
  }

  /** Look whether both connections are up; a break that lasts is told. */
  private watchLink(): void {
    if (this.publisher?.state === "connected" && this.subscriber?.state === "connected") {
      clearTimeout(this.linkTimer);
      this.linkTimer = undefined;
      this.link.value = "connected";
    } else if (this.linkTimer === undefined && this.link.value !== "blocked" && !this.stopped) {
      this.linkTimer = setTimeout(() => {
        this.linkTimer = undefined;
        this.link.value = "blocked";
      }, BLOCKED_MS);
    }
  }

  onError(code: string): void {
    if (code === "media_unavailable" || code === "bad_sdp") this.retry(this.publisher);
  }

  unblock(): void {
    this.loudspeaker.unblock();
  }

  async stats(): Promise<{ publish: string | null; subscribe: string | null; counts: Record<string, number> }> {
    const counts = (await this.subscriber?.counts()) ?? {};
    return { publish: this.publisher?.state ?? null, subscribe: this.subscriber?.state ?? null, counts };
  }

  stop(): void {
    this.stopped = true;
    clearTimeout(this.retryTimer);
    clearTimeout(this.answerTimer);
    clearTimeout(this.linkTimer);
    this.publisher?.close();
    this.subscriber?.close();
    this.drop("mic");
    this.drop("camera");
    this.screen.value?.stop();
    this.screenAudio?.stop();
    this.loudspeaker.play([]);
  }

  private retry(failed: Publisher | null): void {
    if (this.stopped || failed !== this.publisher) return;
    clearTimeout(this.retryTimer);
    this.retryTimer = setTimeout(() => this.restart(), backoffMs(this.attempt, Math.random()));
    this.attempt += 1;
  }

  private makeSubscriber(): Subscriber {
    return new Subscriber(
      this.iceServers,
      (sdp, version) => this.wire().subscribed(sdp, version),
      (tracks) => this.show(tracks),
      (state) => this.changed(this.publisher, state),
    );
  }

  private changed(publisher: Publisher | null, state: RTCPeerConnectionState): void {
    if (publisher !== this.publisher) return;
    this.watchLink();
    if (state === "failed") this.retry(publisher);
  }

  /** Both connections anew: a publish offer with new credentials makes the server begin both again. */
  private restart(): void {
    if (this.stopped) return;
    clearTimeout(this.retryTimer);
    clearTimeout(this.answerTimer);
    this.publisher?.close();
    this.subscriber?.close();
    this.subscriber = null;
    const publisher = new Publisher(this.iceServers, (state) => this.changed(publisher, state));
    this.publisher = publisher;
    this.watchLink();
    publisher.offer(this.own()).then(
      ({ sdp, sources }) => {
        if (publisher !== this.publisher) return;
        // Without a connection the next welcome brings us here again.
        if (!this.wire().publish(sdp, sources)) return;
        this.answerTimer = setTimeout(() => this.retry(publisher), ANSWER_MS);
      },
      () => this.retry(publisher),
    );
  }

  private own(): Tracks {
    return {
      mic: this.micOn.value ? this.mic.value : null,
      camera: this.camera.value,
      screen: this.screen.value,
      screen_audio: this.screenAudio,
    };
  }

  private show(tracks: ReadonlyMap<TrackLine, MediaStreamTrack>): void {
    const remote = new Map<string, MediaStreamTrack>();
    const sounds: MediaStreamTrack[] = [];
    for (const [line, track] of tracks) {
      remote.set(trackKey(line.person_id, line.source), track);
      if (track.kind === "audio") sounds.push(track);
    }
    batch(() => {
      this.remote.value = remote;
      this.lines.value = [...tracks.keys()];
    });
    this.loudspeaker.play(sounds);
  }
}
