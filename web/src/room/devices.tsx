/** The three selects, the moving level meter, and what to do about a device that will not start. */
import { Volume2 } from "lucide-preact";
import type { JSX } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { listDevices, onDevicesChanged } from "../media/devices";
import { watchLevel } from "../media/level";
import type { Media } from "../media/media";
import type { Chimes } from "./sounds";
import { t } from "./texts";

const KINDS = [
  { kind: "mic", device: "audioinput", label: "check.mic" },
  { kind: "camera", device: "videoinput", label: "check.camera" },
  { kind: "speaker", device: "audiooutput", label: "check.speaker" },
] as const;

export function DeviceSelects({ media, chimes }: { media: Media; chimes: Chimes }): JSX.Element {
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
        const meter = kind === "mic" && <LevelMeter track={media.micOn.value ? mic.value : null} />;
        const tryOut = kind === "speaker" && <SpeakerTest media={media} chimes={chimes} />;
        if (kind === "speaker" && mine.length === 0) return <div key={kind} class="device-group">{tryOut}</div>;
        const known = mine.some((d) => d.deviceId === choice.value[kind]);
        const usual = defaultName(kind === "mic" ? mic.value : kind === "camera" ? camera.value : null, devices, device);
        return (
          <div key={kind} class="device-group">
          <label class="device-field">
            <span>{t(label)}</span>
            <select value={known ? choice.value[kind] : ""} data-testid={`select-${kind}`}
              onChange={(event) => void media.choose(kind, event.currentTarget.value)}>
              <option value="">{usual === "" ? t("check.default") : t("check.default_named", { name: usual })}</option>
              {mine.map((d, index) => (
                <option key={d.deviceId} value={d.deviceId}>{d.label || t("check.unnamed", { number: index + 1 })}</option>
              ))}
            </select>
          </label>
          {meter}{tryOut}
          </div>
        );
      })}
      <Troubles media={media} />
    </div>
  );
}

/** Which device “default” is: the browser's own word for it, else the one that is open. */
function defaultName(open: MediaStreamTrack | null, devices: readonly MediaDeviceInfo[], kind: MediaDeviceKind): string {
  const told = devices.find((d) => d.kind === kind && d.deviceId === "default")?.label ?? "";
  return told.replace(/^[^-–]*[-–] */, "") || (open?.label ?? "");
}

/** Plays a sound on the chosen loudspeaker: whoever hears it will hear the class. */
function SpeakerTest({ media, chimes }: { media: Media; chimes: Chimes }): JSX.Element {
  const [state, setState] = useState<"idle" | "playing" | "played">("idle");
  const play = async (): Promise<void> => {
    setState("playing");
    chimes.sinkId = media.choice.value.speaker;
    await chimes.test();
    setState("played");
  };
  return (
    <div class="speaker-test">
      <button type="button" class="button small" data-testid="test-speaker" disabled={state === "playing"} onClick={() => void play()}>
        <Volume2 size={16} aria-hidden="true" /> {t("check.test_speaker")}
      </button>
      <span role="status">{state === "playing" ? t("check.playing") : state === "played" ? t("check.played") : ""}</span>
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
  return (
    <span class="level-field">
      <span class="quiet" aria-hidden="true">{t("check.level")}</span>
      <span class="level" role="img" aria-label={t("check.level")}><span ref={bar} class="level-bar" /></span>
    </span>
  );
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
