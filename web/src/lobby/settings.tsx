/** The course's room settings: who opens the room, who may share a screen, whether participants enter muted. */
import { useState } from "preact/hooks";
import { Button } from "../ui/kit";
import { call, type ApiError, type Boot } from "../ui/page";
import { catalogue } from "../ui/text";

const t = catalogue({
  title: "Room settings",
  show: "Change room settings",
  opens: "Who can open the room",
  anyone: "Anyone in the course",
  after_end: "Anyone, until a moderator ends it for everyone",
  moderators_open: "Moderators only",
  opensNote: "After “End for everyone”, participants wait until a moderator opens the room again.",
  sharing: "Who can share their screen",
  everyone: "Everyone",
  moderators: "Moderators only",
  muteOnEntry: "Mute participants when they join",
  muteOnEntryNote: "They can unmute themselves. Moderators join as they like.",
  saved: "Saved.",
});

interface Settings {
  opens: "anyone" | "after_end" | "moderators";
  sharing: "everyone" | "moderators";
  mute_on_entry: boolean;
}
const PATH = "/app/api/course/room";
const OPENS = [["after_end", t("after_end")], ["anyone", t("anyone")], ["moderators", t("moderators_open")]] as const;
const SHARING = [["everyone", t("everyone")], ["moderators", t("moderators")]] as const;

export function RoomSettings({ boot }: { boot: Boot }) {
  const [settings, setSettings] = useState<Settings | null>(null);
  const [note, setNote] = useState<string | null>(null);
  const [error, setError] = useState<string | null>(null);
  const failed = (problem: ApiError) => setError(problem.message);
  const show = () => call<Settings>(boot, "GET", PATH).then(setSettings, failed);
  const change = (part: Partial<Settings>) => {
    setNote(null);
    setError(null);
    return call<Settings>(boot, "PUT", PATH, part).then((data) => {
      setSettings(data);
      setNote(t("saved"));
    }, failed);
  };
  return (
    <section class="card" data-testid="room-settings">
      <h2>{t("title")}</h2>
      {!settings && <div class="row"><Button testId="show-room-settings" onClick={() => void show()}>{t("show")}</Button></div>}
      {settings && (
        <>
          <div class="field">
            <label for="room-opens">{t("opens")}</label>
            <select id="room-opens" data-testid="room-opens" value={settings.opens} onChange={(event) => void change({ opens: event.currentTarget.value as Settings["opens"] })}>
              {OPENS.map(([value, label]) => <option key={value} value={value}>{label}</option>)}
            </select>
            {settings.opens === "after_end" && <p class="note">{t("opensNote")}</p>}
          </div>
          <div class="field">
            <label for="room-sharing">{t("sharing")}</label>
            <select id="room-sharing" data-testid="room-sharing" value={settings.sharing} onChange={(event) => void change({ sharing: event.currentTarget.value as Settings["sharing"] })}>
              {SHARING.map(([value, label]) => <option key={value} value={value}>{label}</option>)}
            </select>
          </div>
          <div class="field">
            <label class="choice">
              <input type="checkbox" data-testid="room-mute" checked={settings.mute_on_entry} aria-describedby="room-mute-note"
                onChange={(event) => void change({ mute_on_entry: event.currentTarget.checked })} />
              <span>{t("muteOnEntry")}</span>
            </label>
            <p class="note" id="room-mute-note">{t("muteOnEntryNote")}</p>
          </div>
        </>
      )}
      {note && <p role="status">{note}</p>}
      {error && <p role="alert">{error}</p>}
    </section>
  );
}
