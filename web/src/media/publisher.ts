/** The publish connection: four lines made once (mic, camera, screen, screen sound); tracks come and go by replaceTrack. */
import type { Detail } from "./detail";
import type { IceServer, MediaSource } from "../protocol/types";

export const SOURCES: readonly MediaSource[] = ["mic", "camera", "screen", "screen_audio"];
const BITRATES: Record<MediaSource, number> = { mic: 40_000, camera: 600_000, screen: 1_500_000, screen_audio: 96_000 };

export type Tracks = Partial<Record<MediaSource, MediaStreamTrack | null>>;

/** The mids of the lines that an answer rejects: it has no codec for them. */
export function rejectedMids(sdp: string): string[] {
  const sections = sdp.split(/\r?\n(?=m=)/).filter((section) => /^m=\w+ 0 /.test(section));
  return sections.flatMap((section) => /^a=mid:(\S+)/m.exec(section)?.[1] ?? []);
}

export class Publisher {
  private readonly connection: RTCPeerConnection;
  private readonly lines = new Map<MediaSource, RTCRtpTransceiver>();
  closed = false;

  /** `onState`: the connection came up, went down, or (failed) cannot go on. */
  constructor(iceServers: IceServer[], onState: (state: RTCPeerConnectionState) => void) {
    this.connection = new RTCPeerConnection({ iceServers, bundlePolicy: "max-bundle" });
    for (const source of SOURCES) {
      const kind = source === "mic" || source === "screen_audio" ? "audio" : "video";
      const sendEncodings = [{ maxBitrate: BITRATES[source] }];
      this.lines.set(source, this.connection.addTransceiver(kind, { direction: "sendonly", sendEncodings }));
    }
    this.connection.onconnectionstatechange = () => {
      if (!this.closed) onState(this.connection.connectionState);
    };
  }

  get state(): RTCPeerConnectionState {
    return this.connection.connectionState;
  }

  /** Our offer and which source each of its lines carries. */
  async offer(tracks: Tracks): Promise<{ sdp: string; sources: Record<string, MediaSource> }> {
    for (const source of SOURCES) await this.set(source, tracks[source] ?? null);
    await this.connection.setLocalDescription(await this.connection.createOffer());
    const sources: Record<string, MediaSource> = {};
    for (const [source, line] of this.lines) if (line.mid !== null) sources[line.mid] = source;
    return { sdp: this.connection.localDescription?.sdp ?? "", sources };
  }

  /** Take the answer; the sources that this browser has no codec of ours for. */
  async answered(sdp: string): Promise<MediaSource[]> {
    if (this.closed || this.connection.signalingState !== "have-local-offer") return [];
    const rejected = new Set(rejectedMids(sdp));
    const refused = SOURCES.filter((source) => rejected.has(this.lines.get(source)?.mid ?? ""));
    await this.connection.setRemoteDescription({ type: "answer", sdp });
    return refused;
  }

  async set(source: MediaSource, track: MediaStreamTrack | null): Promise<void> {
    const line = this.lines.get(source);
    // A line that the answer rejected is stopped for good.
    if (!this.closed && line?.currentDirection !== "stopped") await line?.sender.replaceTrack(track);
  }

  /** How fine the camera is sent from now on; takes effect without a new offer. */
  async setDetail({ scale, bitrate, rate }: Detail): Promise<void> {
    const sender = this.lines.get("camera")?.sender;
    if (sender === undefined || this.closed) return;
    const parameters = sender.getParameters();
    const [encoding] = parameters.encodings;
    if (encoding === undefined) return; // not negotiated yet: it is set again after the answer
    encoding.scaleResolutionDownBy = scale;
    encoding.maxBitrate = bitrate;
    encoding.maxFramerate = rate;
    await sender.setParameters(parameters);
  }

  close(): void {
    this.closed = true;
    this.connection.close();
  }
}
