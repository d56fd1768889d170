/** A video element for one track. */
import type { JSX } from "preact";
import { useEffect, useRef } from "preact/hooks";

export function Picture({ track, mirrored, class: className }: { track: MediaStreamTrack; mirrored?: boolean; class?: string }): JSX.Element {
  const element = useRef<HTMLVideoElement>(null);
  useEffect(() => {
    const video = element.current;
    if (video === null) return undefined;
    video.srcObject = new MediaStream([track]);
    video.play().catch(() => undefined); // muted video may always play; a rejected promise means it was replaced
    return () => { video.srcObject = null; };
  }, [track]);
  return <video ref={element} class={`picture ${mirrored ? "mirrored" : ""} ${className ?? ""}`} muted autoplay playsInline />;
}
