/** How good the line is: a small mark beside the room's name. */
import { Signal, SignalLow, SignalMedium, WifiOff } from "lucide-preact";
import type { JSX } from "preact";
import { useRef } from "preact/hooks";
import type { Link } from "../media/media";
import { toast, usePage } from "./context";
import { t } from "./texts";

export type Line = "good" | "fair" | "poor" | "lost";

const FAIR_MS = 250;
const POOR_MS = 600;

/** From the last round trip to the server, whether pictures had to be hidden, and whether sound and picture travel at all. */
export function lineQuality(online: boolean, rttMs: number | null, hidden: boolean, link: Link = "connected"): Line {
  if (!online || link === "blocked") return "lost";
  if (hidden || (rttMs ?? 0) >= POOR_MS) return "poor";
  return (rttMs ?? 0) >= FAIR_MS ? "fair" : "good";
}

const ICONS = { good: Signal, fair: SignalMedium, poor: SignalLow, lost: WifiOff };

export function NetworkMark(): JSX.Element {
  const { store, media } = usePage();
  const blocked = media.link.value === "blocked";
  const line = lineQuality(store.status.value === "online", store.rttMs.value, media.withheld.value > 0, media.link.value);
  const Icon = ICONS[line];
  const label = blocked && store.status.value === "online" ? t("network.blocked") : t(`network.${line}`);
  return (
    <span class={`network ${line}`} role="img" aria-label={label} title={label} data-testid="network" data-line={line}>
      <Icon size={16} aria-hidden="true" />
    </span>
  );
}

/** Nobody hears or sees this person: what happens now, and what their administrator can do about it. */
export function BlockedBanner(): JSX.Element {
  const page = usePage();
  const { media } = page;
  const advice = useRef<HTMLPreElement>(null);
  const rules = media.server.value.map(({ protocol, ip, port }) => t("blocked.rule", { protocol: protocol.toUpperCase(), ip, port: String(port) }));
  const text = [t("blocked.advice", { host: location.hostname }), ...rules].join("\n");
  const copy = (): void => {
    navigator.clipboard.writeText(text).then(() => toast(page, t("blocked.copied")), () => {
      // Not allowed here: marked, so that the keyboard can copy it.
      if (advice.current !== null) getSelection()?.selectAllChildren(advice.current);
    });
  };
  return (
    <div class="banner warn blocked" role="alert" data-testid="media-blocked">
      <p>{t("blocked.text")}</p>
      <button type="button" class="button" data-testid="media-retry" onClick={() => media.reconnect()}>{t("blocked.retry")}</button>
      <details>
        <summary>{t("blocked.tell")}</summary>
        <pre ref={advice} data-testid="media-advice">{text}</pre>
        <button type="button" class="button small" onClick={copy}>{t("blocked.copy")}</button>
      </details>
    </div>
  );
}
