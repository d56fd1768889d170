/** Plays the others' sound: one element a line, all on the chosen loudspeaker; says when the browser will not play yet. */

export class Loudspeaker {
  private readonly elements = new Map<MediaStreamTrack, HTMLAudioElement>();
  private sinkId = "";

  constructor(private readonly onBlocked: (blocked: boolean) => void) {}

  /** Play exactly these tracks. */
  play(tracks: Iterable<MediaStreamTrack>): void {
    const wanted = new Set(tracks);
    for (const [track, element] of this.elements) {
      if (wanted.has(track)) continue;
      element.pause();
      element.srcObject = null;
      this.elements.delete(track);
    }
    for (const track of wanted) {
      if (this.elements.has(track)) continue;
      const element = new Audio();
      element.srcObject = new MediaStream([track]);
      this.elements.set(track, element);
      this.route(element);
      this.begin(element);
    }
  }

  /** After a click: try again. */
  unblock(): void {
    this.onBlocked(false);
    for (const element of this.elements.values()) this.begin(element);
  }

  choose(sinkId: string): void {
    this.sinkId = sinkId;
    for (const element of this.elements.values()) this.route(element);
  }

  private route(element: HTMLAudioElement): void {
    // Firefox and Safari may lack setSinkId; a loudspeaker that is gone leaves the default one.
    if (this.sinkId && "setSinkId" in element) element.setSinkId(this.sinkId).catch(() => undefined);
  }

  private begin(element: HTMLAudioElement): void {
    element.play().catch((error: unknown) => {
      if (error instanceof DOMException && error.name === "NotAllowedError") this.onBlocked(true);
    });
  }
}
