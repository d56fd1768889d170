/** The subscribe connection: answers the server's offers one after the other, only the newest that waits. */
import type { IceServer, SubscribeMessage, TrackLine } from "../protocol/types";

export class Subscriber {
  private connection: RTCPeerConnection | null = null;
  private ufrag = "";
  private waiting: SubscribeMessage | null = null;
  private busy = false;
  private closed = false;
  private lines: TrackLine[] = [];

  constructor(
    private readonly iceServers: IceServer[],
    private readonly answer: (sdp: string, version: number) => void,
    private readonly onTracks: (tracks: ReadonlyMap<TrackLine, MediaStreamTrack>) => void,
    /** As the publisher's; a description that cannot be used is `failed` too. */
    private readonly onState: (state: RTCPeerConnectionState) => void,
  ) {}

  take(message: SubscribeMessage): void {
    if (this.closed) return;
    this.lines = message.tracks;
    if (message.sdp !== null) this.waiting = message;
    if (!this.busy) void this.work();
  }

  private async work(): Promise<void> {
    this.busy = true;
    try {
      while (this.waiting !== null) {
        const next: SubscribeMessage = this.waiting;
        this.waiting = null;
        if (next.sdp !== null) await this.accept(next.sdp, next.version);
      }
    } catch {
      if (!this.closed) this.onState("failed");
    } finally {
      this.busy = false;
    }
    this.tell();
  }

  private async accept(sdp: string, version: number): Promise<void> {
    const ufrag = /^a=ice-ufrag:(.+)$/m.exec(sdp)?.[1]?.trim() ?? "";
    if (this.connection === null || ufrag !== this.ufrag) this.renew(ufrag);
    const connection = this.connection;
    if (connection === null) return;
    await connection.setRemoteDescription({ type: "offer", sdp });
    await connection.setLocalDescription(await connection.createAnswer());
    if (connection === this.connection) this.answer(connection.localDescription?.sdp ?? "", version);
  }

  /** The server began this connection anew (other ICE credentials): so do we. */
  private renew(ufrag: string): void {
    this.connection?.close();
    const connection = new RTCPeerConnection({ iceServers: this.iceServers, bundlePolicy: "max-bundle" });
    this.connection = connection;
    this.ufrag = ufrag;
    connection.onconnectionstatechange = () => {
      if (connection === this.connection && !this.closed) this.onState(connection.connectionState);
    };
  }

  private tell(): void {
    if (this.closed) return;
    const byMid = new Map<string, MediaStreamTrack>();
    for (const line of this.connection?.getTransceivers() ?? []) {
      if (line.mid !== null) byMid.set(line.mid, line.receiver.track);
    }
    const tracks = new Map<TrackLine, MediaStreamTrack>();
    for (const line of this.lines) {
      const track = byMid.get(line.mid);
      if (track !== undefined) tracks.set(line, track);
    }
    this.onTracks(tracks);
  }

  get state(): RTCPeerConnectionState | null {
    return this.connection?.connectionState ?? null;
  }

  /** Decoded video frames and received audio samples of each line. */
  async counts(): Promise<Record<string, number>> {
    const counts: Record<string, number> = {};
    const report = await this.connection?.getStats();
    report?.forEach((entry: Record<string, unknown>) => {
      if (entry.type !== "inbound-rtp" || typeof entry.mid !== "string") return;
      const count = entry.kind === "video" ? entry.framesDecoded : entry.totalSamplesReceived;
      counts[entry.mid] = typeof count === "number" ? count : 0;
    });
    return counts;
  }

  close(): void {
    this.closed = true;
    this.connection?.close();
    this.connection = null;
  }
}
