/** The three selects, the moving level meter, and what to do about a device that will not start. */
import type { JSX } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { listDevices, onDevicesChanged } from "../media/devices";
import { watchLevel } from "../media/level";
import type { Media } from "../media/media";
import { t } from "./texts";

const KINDS = [
  { kind: "mic", device: "audioinput", label: "check.mic" },
  { kind: "camera", device: "videoinput", label: "check.camera" },
  { kind: "speaker", device: "audiooutput", label: "check.speaker" },
] as const;

export function DeviceSelects({ media }: { media: Media }): JSX.Element {
  const [devices, setDevices] = useState<MediaDeviceInfo[]>([]);
  const { mic, camera, choice } = media;
  // Names appear once a device was allowed, so look again then.
  const allowed = `${mic.value?.id ?? ""} ${camera.value?.id ?? ""}`;
  useEffect(() => {
    let live = true;
    const look = (): void => void listDevices().then((found) => { if (live) setDevices(found); });
    look();
    const stop = onDevicesChanged(look);
    return () => { live = false; stop(); };
  }, [allowed]);
  return (
    <div class="device-selects">
      {KINDS.map(({ kind, device, label }) => {
        const mine = devices.filter((d) => d.kind === device && d.deviceId !== "default");
        if (kind === "speaker" && mine.length === 0) return null;
        const known = mine.some((d) => d.deviceId === choice.value[kind]);
        return (
          <label key={kind} class="device-field">
            <span>{t(label)}</span>
            <select value={known ? choice.value[kind] : ""} data-testid={`select-${kind}`}
              onChange={(event) => void media.choose(kind, event.currentTarget.value)}>
              <option value="">{t("check.default")}</option>
              {mine.map((d, index) => (
                <option key={d.deviceId} value={d.deviceId}>{d.label || t("check.unnamed", { number: index + 1 })}</option>
              ))}
            </select>
          </label>
        );
      })}
      <LevelMeter track={media.micOn.value ? mic.value : null} />
      <Troubles media={media} />
    </div>
  );
}

export function LevelMeter({ track }: { track: MediaStreamTrack | null }): JSX.Element {
  const bar = useRef<HTMLSpanElement>(null);
  useEffect(() => {
    if (track === null) return undefined;
    const stop = watchLevel(track, (level) => bar.current?.style.setProperty("--level", level.toFixed(3)));
    return () => { stop(); bar.current?.style.setProperty("--level", "0"); };
  }, [track]);
  return <span class="level" role="img" aria-label={t("check.level")}><span ref={bar} class="level-bar" /></span>;
}

export function Troubles({ media }: { media: Media }): JSX.Element {
  const mic = media.micTrouble.value;
  const camera = media.cameraTrouble.value;
  return (
    <div role="status">
      {mic !== null && <p class="trouble">{t(`trouble.mic.${mic}`)}</p>}
      {camera !== null && <p class="trouble">{t(`trouble.camera.${camera}`)}</p>}
      {(mic ?? camera) !== null && <p class="quiet">{t("check.listen")}</p>}
    </div>
  );
}
