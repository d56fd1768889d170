/** Before the room: own picture, level, devices, a sound to try, who is inside, Join. */
import { Video, VideoOff, Mic, MicOff } from "lucide-preact";
import type { JSX } from "preact";
import { useEffect, useRef } from "preact/hooks";
import type { Media } from "../media/media";
import type { Before } from "./before";
import { DeviceSelects } from "./devices";
import type { Chimes } from "./sounds";
import { Picture } from "./picture";
import { locale } from "../ui/locale";
import { t } from "./texts";

interface CheckProps {
  media: Media;
  chimes: Chimes;
  room: string;
  /** One's own name, as the others will see it. */
  name: string;
  /** Null until the server has told. */
  before: Before | null;
  onJoin: () => void;
}

export function DeviceCheck({ media, chimes, room, name, before, onJoin }: CheckProps): JSX.Element {
  const join = useRef<HTMLButtonElement>(null);
  useEffect(() => {
    void media.prepare();
    join.current?.focus();
  }, [media]);
  const micOn = media.micOn.value;
  const cameraOn = media.cameraOn.value;
  const camera = media.camera.value;
  return (
    <main class="check">
      <form class="check-card" onSubmit={(event) => { event.preventDefault(); onJoin(); }}>
        <div class="check-picture">
          {camera === null
            ? <p role="status">{t(media.cameraStarting.value ? "check.camera_starting" : "check.camera_off")}</p>
            : <Picture track={camera} mirrored />}
          <p class="check-name" data-testid="check-name"><bdi>{name}</bdi></p>
          <div class="check-toggles">
            <Toggle on={micOn} label={t(micOn ? "tool.mute" : "tool.unmute")} run={() => void media.setMic(!micOn)}
              icon={micOn ? <Mic /> : <MicOff />} testId="check-mic" />
            <Toggle on={cameraOn} label={t(cameraOn ? "tool.camera_off" : "tool.camera_on")}
              run={() => void media.setCamera(!cameraOn)} icon={cameraOn ? <Video /> : <VideoOff />} testId="check-camera" />
          </div>
        </div>
        <div class="check-side">
          <h1>{t("check.title")}</h1>
          <p class="quiet">{room}</p>
          <Inside before={before} />
          <DeviceSelects media={media} chimes={chimes} />
          {before?.mute_on_entry === true && <p class="quiet" data-testid="check-muted">{t("check.muted")}</p>}
          <button ref={join} type="submit" class="button primary big" data-testid="join">{t("check.join")}</button>
          <p class="quiet small">{t("check.enter")}</p>
        </div>
      </form>
    </main>
  );
}

const MOST_NAMES = 3;

/** Who is in the room already, and whether it is being recorded. */
function Inside({ before }: { before: Before | null }): JSX.Element {
  const people = before?.people ?? [];
  const names = people.slice(0, MOST_NAMES).map((person) => person.name);
  const more = people.length - names.length;
  const listed = new Intl.ListFormat(locale, { type: "conjunction" }).format(more > 0 ? [...names, t("check.more", { count: more })] : names);
  return (
    <div class="check-inside" role="status">
      {before !== null && (
        <p data-testid="check-inside">{people.length === 0 ? t("check.empty") : t("check.inside", { count: people.length, names: listed })}</p>
      )}
      {before?.recording === true && <p class="check-recording" data-testid="check-recording"><span class="rec-dot" aria-hidden="true" /> {t("check.recording")}</p>}
    </div>
  );
}

interface ToggleProps {
  on: boolean;
  label: string;
  icon: JSX.Element;
  run: () => void;
  testId: string;
}

function Toggle({ on, label, icon, run, testId }: ToggleProps): JSX.Element {
  return (
    <button type="button" class={on ? "tool" : "tool off"} aria-label={label} title={label} data-testid={testId} onClick={run}>
      {icon}
    </button>
  );
}
