/** Under the player of one recording: chapters for everybody, other files and the quality report for who may edit it. */
import { useState } from "preact/hooks";
import { locale } from "../ui/locale";
import { catalogue, length } from "../ui/text";

const t = catalogue({
  chapters: "Chapters",
  jump: "Go to {time}: {title}",
  files: "More files",
  composite: "Video, {name}",
  audio: "Audio only",
  trackAudio: "{name}’s audio",
  trackVideo: "{name}’s video",
  somebody: "unknown participant",
  coming: "Other versions in progress",
  comingAt: "{what}: {progress}, ready around {at}",
  comingSometime: "{what}: {progress}, queued",
  comingFailed: "{what}: failed. {error}",
  filmOf: "Video, {what}",
  report: "Quality report",
  good: "Good. Nothing is missing.",
  notes: { one: "Playable, with {count} issue", other: "Playable, with {count} issues" },
  technical: "Technical details",
  halts: "Computers that froze or slept",
  format: "Format",
  offset: "Audio/video sync",
  offsetFound: "within {p95} ms in 95% of {checked} checks",
  offsetUnknown: "couldn’t be checked",
  lost: "Lost packets",
  frozen: "Frozen video",
  frozenFound: "{seconds} s in total, longest {longest} s",
  gaps: "Not captured",
  missing: "On but not received",
  silent: "Unmuted but silent",
  spans: { one: "{count} time, {seconds} s in total", other: "{count} times, {seconds} s in total" },
  none: "none",
  shares: "Share of black, still and silent video",
  clock: "Largest clock difference",
  ppm: "{ppm} ppm",
  checksum: "SHA-256",
});

export interface Chapter {
  at_s: number;
  title: string;
}

export interface OtherFile {
  name: string;
  kind: "composite" | "audio" | "track_audio" | "track_video";
  title: string;
  duration_s: number;
  size_bytes: number;
  download_url: string;
  warnings: string[];
}

/** A film of the recording that was asked for afterwards and is not there (yet). */
export interface ComingFilm {
  id: string;
  options: { layout?: string; width?: number; height?: number; video_codec?: string };
  progress: number;
  ready_at: string | null;
  error: string | null;
}

interface Span {
  at_s: number | null;
  length_s: number;
}

export interface Quality {
  video_codec?: string;
  audio_codec?: string;
  black_share?: number;
  still_share?: number;
  silent_share?: number;
  lost_packets?: number;
  frozen_s?: number;
  freezes?: Span[];
  gaps?: Span[];
  missing?: Span[];
  silent_microphones?: Span[];
  clock_halts?: Span[];
  clock_ppm?: number;
  av_offset_ms?: { checked: number; p50: number | null; p95: number | null };
  sha256?: string;
}

const percent = (share: number | undefined) => new Intl.NumberFormat(locale, { style: "percent" }).format(share ?? 0);
const bytes = (size: number) =>
  new Intl.NumberFormat(locale, { style: "unit", unit: "megabyte", maximumFractionDigits: 1 }).format(size / 1e6);
const total = (spans: Span[]) => Math.round(spans.reduce((sum, span) => sum + span.length_s, 0) * 10) / 10;

/** The chapter that plays at `seconds`; -1 before the first. */
export function current(chapters: Chapter[], seconds: number): number {
  return chapters.findLastIndex((chapter) => chapter.at_s <= seconds + 0.05);
}

interface ChaptersProps {
  chapters: Chapter[];
  /** Where the film is, in seconds. */
  at: number;
  onJump: (seconds: number) => void;
}

export function Chapters({ chapters, at, onJump }: ChaptersProps) {
  if (chapters.length < 2) return null;
  const now = current(chapters, at);
  return (
    <section aria-label={t("chapters")}>
      <h2>{t("chapters")}</h2>
      <ol class="chapters" data-testid="chapters">
        {chapters.map((chapter, number) => (
          <li key={chapter.at_s}>
            <button
              type="button" aria-current={number === now ? "true" : undefined} onClick={() => onJump(chapter.at_s)}
              aria-label={t("jump", { time: length(chapter.at_s), title: chapter.title })}
            >
              <span class="time">{length(chapter.at_s)}</span> {chapter.title}
            </button>
          </li>
        ))}
      </ol>
    </section>
  );
}

function fileTitle(file: OtherFile): string {
  const name = file.title || t("somebody");
  if (file.kind === "composite") return t("composite", { name: file.title || file.name });
  if (file.kind === "audio") return t("audio");
  return file.kind === "track_audio" ? t("trackAudio", { name }) : t("trackVideo", { name });
}

export function Files({ files }: { files: OtherFile[] }) {
  if (!files.length) return null;
  return (
    <section aria-label={t("files")}>
      <h2>{t("files")}</h2>
      <ul class="files" data-testid="files">
        {files.map((file) => (
          <li key={file.name}>
            <a href={file.download_url} download>{fileTitle(file)}</a>
            <span class="note"> {length(file.duration_s)} · {bytes(file.size_bytes)}{file.warnings.length > 0 && ` · ${file.warnings.join("; ")}`}</span>
          </li>
        ))}
      </ul>
    </section>
  );
}

function comingLine(film: ComingFilm): string {
  const { layout, width, height, video_codec: codec } = film.options;
  const what = t("filmOf", { what: [layout, width && height ? `${width}×${height}` : undefined, codec].filter(Boolean).join(" ") });
  if (film.error !== null) return t("comingFailed", { what, error: film.error });
  const progress = percent(film.progress);
  if (film.ready_at === null) return t("comingSometime", { what, progress });
  const at = new Intl.DateTimeFormat(locale, { timeStyle: "short" }).format(new Date(film.ready_at));
  return t("comingAt", { what, progress, at });
}

export function Coming({ films }: { films: ComingFilm[] }) {
  if (!films.length) return null;
  return (
    <section aria-label={t("coming")}>
      <h2>{t("coming")}</h2>
      <ul class="files" data-testid="coming">
        {films.map((film) => <li key={film.id}>{comingLine(film)}</li>)}
      </ul>
    </section>
  );
}

function spans(found: Span[] | undefined): string {
  return found?.length ? t("spans", { count: found.length, seconds: total(found) }) : t("none");
}

function rows(quality: Quality): [string, string][] {
  const offset = quality.av_offset_ms;
  const freezes = quality.freezes ?? [];
  const longest = Math.max(0, ...freezes.map((span) => span.length_s));
  const made: [string, string][] = [
    [t("format"), [quality.video_codec, quality.audio_codec].filter(Boolean).join(", ") || t("none")],
    [t("offset"), offset && offset.p95 !== null ? t("offsetFound", { p95: offset.p95, checked: offset.checked }) : t("offsetUnknown")],
    [t("lost"), String(quality.lost_packets ?? 0)],
    [t("frozen"), freezes.length ? t("frozenFound", { seconds: quality.frozen_s ?? 0, longest }) : t("none")],
    [t("gaps"), spans(quality.gaps)],
    [t("missing"), spans(quality.missing)],
    [t("silent"), spans(quality.silent_microphones)],
    [t("halts"), spans(quality.clock_halts)],
    [t("shares"), [quality.black_share, quality.still_share, quality.silent_share].map(percent).join(", ")],
    [t("clock"), t("ppm", { ppm: quality.clock_ppm ?? 0 })],
  ];
  return quality.sha256 ? [...made, [t("checksum"), quality.sha256]] : made;
}

/** What a teacher wants to know first: is it good, and if not, what is wrong. Figures are for who asks for them. */
export function Report({ quality, warnings }: { quality: Quality; warnings: string[] }) {
  const [open, setOpen] = useState(false);
  return (
    <section class="report" aria-label={t("report")} data-testid="quality">
      <h2>{t("report")}</h2>
      <p>{warnings.length ? t("notes", { count: warnings.length }) : t("good")}</p>
      {warnings.length > 0 && <ul>{warnings.map((warning) => <li key={warning}>{sentence(warning)}</li>)}</ul>}
      <details open={open} onToggle={(event) => setOpen(event.currentTarget.open)}>
        <summary>{t("technical")}</summary>
        {open && (
          <dl>
            {rows(quality).map(([name, value]) => (
              <div key={name}><dt>{name}</dt><dd>{value}</dd></div>
            ))}
          </dl>
        )}
      </details>
    </section>
  );
}

/** A warning as it stands by itself: with a capital letter and a full stop. */
export function sentence(warning: string): string {
  const [first = ""] = warning;
  return `${first.toUpperCase()}${warning.slice(first.length)}${/[.!?]$/.test(warning) ? "" : "."}`;
}
