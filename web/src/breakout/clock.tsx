/** The server's time on the page, and texts that are said once. */
import { useEffect, useState } from "preact/hooks";

/** The server's time, renewed while something counts. */
export function useNow(serverNow: () => number, running: boolean): number {
  const [, tick] = useState(0);
  useEffect(() => {
    if (!running) return;
    const timer = setInterval(() => tick((count) => count + 1), 250);
    return () => clearInterval(timer);
  }, [running]);
  // Asked for at each drawing: a time from before it ran would be said aloud once, minutes wrong.
  return serverNow();
}

/** Says its first text to screen readers and no later one. */
export function Once({ text }: { text: string }) {
  const [first] = useState(text);
  return <span class="sr-only" role="status">{first}</span>;
}
