/** Who is here: tiles, or a shared screen on stage with a strip of tiles. */
import { useSignal } from "@preact/signals";
import { CircleSlash, Hand, MicOff, MonitorUp, WifiOff } from "lucide-preact";
import type { JSX } from "preact";
import { useRef } from "preact/hooks";
import { trackKey } from "../media/media";
import type { PersonView } from "../protocol/types";
import { initials } from "../ui/names";
import { done, handOrder, peopleHere, recordingHere, sharers, usePage } from "./context";
import { Picture } from "./picture";
import { seats } from "./seats";
import { t } from "./texts";

export function Stage(): JSX.Element | null {
  const page = usePage();
  const { store, media } = page;
  const seated = useRef<string[]>([]);
  const chosen = useSignal<string | null>(null);
  const latest = useRef<string | null>(null);
  const state = store.state.value;
  if (state === null) return null;
  const people = peopleHere(state);
  const me = state.you.person_id;
  const hands = handOrder(state);
  const screens = sharers(people).filter((person) => person.person_id !== me && screenOf(person, me, media) !== null);
  // The latest share is shown until somebody chooses another one.
  const sharer = screens.find((person) => person.person_id === chosen.value) ?? screens[0];
  const shown = sharer === undefined ? null : screenOf(sharer, me, media);
  const pictures = new Set(people.filter((p) => media.remote.value.has(trackKey(p.person_id, "camera"))).map((p) => p.person_id));
  seated.current = seats(people.map((p) => p.person_id), store.speakers.value, pictures, seated.current);
  const more = people.length - seated.current.length;
  const columns = columnsFor(seated.current.length + (more > 0 ? 1 : 0));
  const newest = screens[0]?.person_id ?? null;
  if (newest !== latest.current) {
    latest.current = newest;
    chosen.value = null;
  }
  const alone = people.length === 1 && shown === null;
  // What is said on top takes its own room, so that it lies on nobody's face.
  const noted = alone || media.screenOn.value;
  return (
    <main class={[shown === null ? "stage" : "stage sharing", noted ? "noted" : ""].join(" ").trim()} aria-label={t("tool.people")}>
      <OwnShare />
      {shown !== null && sharer !== undefined && (
        <figure class="share">
          <Picture track={shown} class="whole" />
          <figcaption class="name">{t("stage.screen", { name: sharer.name })}</figcaption>
          <ShareTools screens={screens} sharer={sharer} choose={(id) => (chosen.value = id)} moderator={state.you.role === "moderator"} />
        </figure>
      )}
      <ul class="tiles" style={{ "--columns": columns, "--rows": Math.ceil((seated.current.length + Math.min(more, 1)) / columns) }}>
        {seated.current.map((id) => {
          const person = state.people[id];
          return person && <Tile key={id} person={person} own={id === me} place={hands.get(id)} />;
        })}
        {more > 0 && (
          <li class="tile">
            <button type="button" class="button" data-testid="more-people" onClick={() => (page.panel.value = "people")}>
              {t("stage.more", { count: more })}
            </button>
          </li>
        )}
      </ul>
      {alone && !media.screenOn.value && <p class="quiet alone">{t("stage.alone")}</p>}
    </main>
  );
}

/** “You're sharing your screen · Stop”, in place of one's own screen in one's own screen. */
function OwnShare(): JSX.Element | null {
  const page = usePage();
  if (!page.media.screenOn.value) return null;
  return (
    <p class="own-share" role="status" data-testid="own-share">
      <MonitorUp size={18} aria-hidden="true" /> {t("stage.sharing")}
      <button type="button" class="button small danger" data-testid="stop-own-share" onClick={() => void page.media.setScreen(false)}>{t("share.stop")}</button>
    </p>
  );
}

interface ShareToolsProps { screens: PersonView[]; sharer: PersonView; choose: (personId: string) => void; moderator: boolean }

/** Whose screen to look at when several are shared, and for moderators a way to end it. */
function ShareTools({ screens, sharer, choose, moderator }: ShareToolsProps): JSX.Element | null {
  const page = usePage();
  if (screens.length < 2 && !moderator) return null;
  const stop = (): void => void page.store.send("stop_sharing", { person_id: sharer.person_id }).then((r) => done(page, r));
  return (
    <div class="share-tools">
      {screens.length > 1 && (
        <div role="group" aria-label={t("stage.choose")}>
          {screens.map((person) => (
            <button key={person.person_id} type="button" class="button small" aria-pressed={person === sharer} data-testid={`see-share-${person.person_id}`}
              onClick={() => choose(person.person_id)}>{person.name}</button>
          ))}
        </div>
      )}
      {moderator && (
        <button type="button" class="button small" data-testid="stop-share" aria-label={t("share.stop_of", { name: sharer.name })} onClick={stop}>{t("share.stop")}</button>
      )}
    </div>
  );
}

function screenOf(person: PersonView, me: string, media: ReturnType<typeof usePage>["media"]): MediaStreamTrack | null {
  if (person.person_id === me) return media.screen.value;
  return media.remote.value.get(trackKey(person.person_id, "screen")) ?? null;
}

function columnsFor(count: number): number {
  return Math.max(1, Math.ceil(Math.sqrt(count)));
}

interface TileProps {
  person: PersonView;
  own: boolean;
  /** Where the person stands among the raised hands. */
  place: number | undefined;
}

function Tile({ person, own, place }: TileProps): JSX.Element {
  const { store, media } = usePage();
  const state = store.state.value;
  const recorded = state !== null && recordingHere(state) !== null;
  const remote = person.camera ? media.remote.value.get(trackKey(person.person_id, "camera")) : undefined;
  const track = own ? media.camera.value : (remote ?? null);
  const muted = own ? !media.micOn.value : !person.mic;
  const speaking = !muted && store.speakers.value.includes(person.person_id);
  const trouble = own ? undefined : store.troubles.value[person.person_id];
  const name = own ? t("people.you", { name: person.name }) : person.name;
  return (
    <li class={speaking ? "tile speaking" : "tile"} data-testid={`tile-${person.person_id}`} data-name={person.name}
      data-video={track === null ? "off" : "on"}>
      {track === null ? <span class="initials" aria-hidden="true">{initials(person.name)}</span> : <Picture track={track} mirrored={own} />}
      <span class="plate">
        {muted && <span class="mark" data-testid="muted-mark"><MicOff size={14} aria-label={t("people.muted")} /></span>}
        <span class="name"><bdi>{name}</bdi></span>
        {person.declines_recording && recorded && <span class="mark"><CircleSlash size={14} aria-label={t("rec.out")} /></span>}
      </span>
      {trouble !== undefined && (
        <span class="tile-trouble" data-testid="tile-trouble"><WifiOff size={16} aria-hidden="true" /> {t(`tile.${trouble}`, { name: person.name })}</span>
      )}
      {place !== undefined && (
        <span class="hand" role="img" aria-label={t("people.hand_place", { place })}><Hand size={18} aria-hidden="true" /><span aria-hidden="true">{place}</span></span>
      )}
    </li>
  );
}
