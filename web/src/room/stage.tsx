/** Who is here: tiles, or a shared screen on stage with a strip of tiles. */
import { CircleSlash, Hand, MicOff } from "lucide-preact";
import type { JSX } from "preact";
import { useRef } from "preact/hooks";
import { trackKey } from "../media/media";
import type { PersonView } from "../protocol/types";
import { initials } from "../ui/names";
import { peopleHere, recordingHere, usePage } from "./context";
import { Picture } from "./picture";
import { seats } from "./seats";
import { t } from "./texts";

export function Stage(): JSX.Element | null {
  const page = usePage();
  const { store, media } = page;
  const seated = useRef<string[]>([]);
  const state = store.state.value;
  if (state === null) return null;
  const people = peopleHere(state);
  const me = state.you.person_id;
  const sharer = people.find((person) => person.screen && screenOf(person, me, media) !== null);
  const shown = sharer === undefined ? null : screenOf(sharer, me, media);
  const pictures = new Set(people.filter((p) => media.remote.value.has(trackKey(p.person_id, "camera"))).map((p) => p.person_id));
  seated.current = seats(people.map((p) => p.person_id), store.speakers.value, pictures, seated.current);
  const more = people.length - seated.current.length;
  const columns = columnsFor(seated.current.length + (more > 0 ? 1 : 0));
  return (
    <main class={shown === null ? "stage" : "stage sharing"} aria-label={t("tool.people")}>
      {shown !== null && sharer !== undefined && (
        <figure class="share">
          <Picture track={shown} class="whole" />
          <figcaption class="name">{t("stage.screen", { name: sharer.name })}</figcaption>
        </figure>
      )}
      <ul class="tiles" style={{ "--columns": columns, "--rows": Math.ceil((seated.current.length + Math.min(more, 1)) / columns) }}>
        {seated.current.map((id) => {
          const person = state.people[id];
          return person && <Tile key={id} person={person} own={id === me} />;
        })}
        {more > 0 && (
          <li class="tile">
            <button type="button" class="button" data-testid="more-people" onClick={() => (page.panel.value = "people")}>
              {t("stage.more", { count: more })}
            </button>
          </li>
        )}
      </ul>
      {people.length === 1 && shown === null && <p class="quiet alone">{t("stage.alone")}</p>}
    </main>
  );
}

function screenOf(person: PersonView, me: string, media: ReturnType<typeof usePage>["media"]): MediaStreamTrack | null {
  if (person.person_id === me) return media.screen.value;
  return media.remote.value.get(trackKey(person.person_id, "screen")) ?? null;
}

function columnsFor(count: number): number {
  return Math.max(1, Math.ceil(Math.sqrt(count)));
}

function Tile({ person, own }: { person: PersonView; own: boolean }): JSX.Element {
  const { store, media } = usePage();
  const state = store.state.value;
  const recorded = state !== null && recordingHere(state) !== null;
  const remote = person.camera ? media.remote.value.get(trackKey(person.person_id, "camera")) : undefined;
  const track = own ? media.camera.value : (remote ?? null);
  const muted = own ? !media.micOn.value : !person.mic;
  const speaking = !muted && store.speakers.value.includes(person.person_id);
  const name = own ? t("people.you", { name: person.name }) : person.name;
  return (
    <li class={speaking ? "tile speaking" : "tile"} data-testid={`tile-${person.person_id}`} data-name={person.name}
      data-video={track === null ? "off" : "on"}>
      {track === null ? <span class="initials" aria-hidden="true">{initials(person.name)}</span> : <Picture track={track} mirrored={own} />}
      <span class="name">
        {muted && <MicOff size={14} aria-label={t("people.muted")} />}
        <bdi>{name}</bdi>
        {person.declines_recording && recorded && <CircleSlash size={14} aria-label={t("rec.out")} />}
      </span>
      {person.hand_raised_at !== null && <span class="hand"><Hand size={18} aria-label={t("people.hand")} /></span>}
    </li>
  );
}
