/** How good the line is: a small mark beside the room's name. */
import { Signal, SignalLow, SignalMedium, WifiOff } from "lucide-preact";
import type { JSX } from "preact";
import { usePage } from "./context";
import { t } from "./texts";

export type Line = "good" | "fair" | "poor" | "lost";

const FAIR_MS = 250;
const POOR_MS = 600;

/** From the last round trip to the server, and whether pictures had to be hidden. */
export function lineQuality(online: boolean, rttMs: number | null, hidden: boolean): Line {
  if (!online) return "lost";
  if (hidden || (rttMs ?? 0) >= POOR_MS) return "poor";
  return (rttMs ?? 0) >= FAIR_MS ? "fair" : "good";
}

const ICONS = { good: Signal, fair: SignalMedium, poor: SignalLow, lost: WifiOff };

export function NetworkMark({ hidden }: { hidden: boolean }): JSX.Element {
  const { store } = usePage();
  const line = lineQuality(store.status.value === "online", store.rttMs.value, hidden);
  const Icon = ICONS[line];
  const label = t(`network.${line}`);
  return (
    <span class={`network ${line}`} role="img" aria-label={label} title={label} data-testid="network" data-line={line}>
      <Icon size={16} aria-hidden="true" />
    </span>
  );
}
