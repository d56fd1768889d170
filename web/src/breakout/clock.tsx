/** The server's time on the page, and texts that are said once. */
import { useEffect, useState } from "preact/hooks";

/** The server's time, renewed while something counts. */
export function useNow(serverNow: () => number, running: boolean): number {
  const [now, setNow] = useState(serverNow());
  useEffect(() => {
    if (!running) return;
    setNow(serverNow());
    const timer = setInterval(() => setNow(serverNow()), 250);
    return () => clearInterval(timer);
  }, [running]);
  return now;
}

/** Says its first text to screen readers and no later one. */
export function Once({ text }: { text: string }) {
  const [first] = useState(text);
  return <span class="sr-only" role="status">{first}</span>;
}
