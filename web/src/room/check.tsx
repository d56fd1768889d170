/** Before the room: own picture, level, devices, Join. */
import { Video, VideoOff, Mic, MicOff } from "lucide-preact";
import type { JSX } from "preact";
import { useEffect, useRef } from "preact/hooks";
import type { Media } from "../media/media";
import { DeviceSelects } from "./devices";
import { Picture } from "./picture";
import { t } from "./texts";

interface CheckProps {
  media: Media;
  room: string;
  onJoin: () => void;
}

export function DeviceCheck({ media, room, onJoin }: CheckProps): JSX.Element {
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
          {camera === null ? <p>{t("check.camera_off")}</p> : <Picture track={camera} mirrored />}
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
          <DeviceSelects media={media} />
          <button ref={join} type="submit" class="button primary big" data-testid="join">{t("check.join")}</button>
          <p class="quiet small">{t("check.enter")}</p>
        </div>
      </form>
    </main>
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
