/** Five soft sounds, made here: no file to load, and quiet beside a voice. */
import type { RecordingView } from "../protocol/types";
import { sounds, soundsWhileRecording } from "./preferences";

/** Somebody came · a hand · a message · a help call · look up: you were moved, the breakout ends, a recording begins. */
export type Sound = "join" | "hand" | "message" | "call" | "notice";

interface Tone {
  /** Hz */
  pitch: number;
  /** Seconds from the sound's beginning. */
  at: number;
  length: number;
}

/** Peak amplitude; a voice has about 0.3. */
const LOUDNESS = 0.08;
const TUNES: Record<Sound, readonly Tone[]> = {
  join: [{ pitch: 523, at: 0, length: 0.25 }],
  hand: [{ pitch: 659, at: 0, length: 0.2 }, { pitch: 880, at: 0.12, length: 0.35 }],
  message: [{ pitch: 784, at: 0, length: 0.15 }],
  call: [{ pitch: 880, at: 0, length: 0.25 }, { pitch: 659, at: 0.18, length: 0.25 }, { pitch: 880, at: 0.36, length: 0.4 }],
  notice: [{ pitch: 440, at: 0, length: 0.2 }, { pitch: 554, at: 0.15, length: 0.4 }],
};
/** The same sound again so soon is not played: thirty people may come at once. */
const REST_MS = 1500;

/** A recording hears what the loudspeakers play, so the room is silent then unless somebody wants it otherwise. */
export function mayPlay(recording: RecordingView | null, on: boolean, whileRecording: boolean): boolean {
  return on && (whileRecording || recording?.status !== "RECORDING");
}

export class Chimes {
  private context: AudioContext | null = null;
  private readonly playedAt = new Map<Sound, number>();
  /** The loudspeaker in use; empty: the default one. */
  sinkId = "";
  /** What was played, the newest last. */
  readonly played: Sound[] = [];

  /** `recording`: the one of the room one is in. */
  play(sound: Sound, recording: RecordingView | null): void {
    if (!mayPlay(recording, sounds.on.value, soundsWhileRecording.on.value)) return;
    const now = Date.now();
    if (now - (this.playedAt.get(sound) ?? -REST_MS) < REST_MS) return;
    this.playedAt.set(sound, now);
    this.sound(sound);
  }

  /** At once and in any case: somebody tries their loudspeaker. Resolves when it has been played. */
  async test(): Promise<void> {
    const ends = this.sound("call");
    await new Promise((resolve) => setTimeout(resolve, ends * 1000));
  }

  private sound(sound: Sound): number {
    this.played.push(sound);
    this.context ??= new AudioContext();
    const context = this.context as AudioContext & { setSinkId?: (id: string) => Promise<void>; sinkId?: unknown };
    if (context.setSinkId !== undefined && context.sinkId !== this.sinkId) context.setSinkId(this.sinkId).catch(() => undefined);
    void context.resume();
    let end = 0;
    for (const tone of TUNES[sound]) {
      this.tone(context, tone);
      end = Math.max(end, tone.at + tone.length);
    }
    // A running context costs a thread: it rests until the next sound.
    const count = this.played.length;
    setTimeout(() => {
      if (this.played.length === count) void context.suspend();
    }, end * 1000 + 300);
    return end;
  }

  private tone(context: AudioContext, { pitch, at, length }: Tone): void {
    const from = context.currentTime + 0.02 + at;
    const oscillator = context.createOscillator();
    const gain = context.createGain();
    oscillator.type = "sine";
    oscillator.frequency.value = pitch;
    gain.gain.setValueAtTime(0, from);
    gain.gain.linearRampToValueAtTime(LOUDNESS, from + 0.02);
    gain.gain.exponentialRampToValueAtTime(0.0005, from + length);
    oscillator.connect(gain).connect(context.destination);
    oscillator.start(from);
    oscillator.stop(from + length);
  }
}
