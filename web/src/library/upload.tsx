/** A button that takes a file of the person's own into My Media, with its progress. */
import { Upload as UploadIcon } from "lucide-preact";
import { useRef, useState } from "preact/hooks";
import { Button } from "../ui/kit";
import { locale } from "../ui/locale";
import type { Boot } from "../ui/page";
import { catalogue } from "../ui/text";

const t = catalogue({
  choose: "Upload",
  hint: "MP4, WebM, M4A or MP3",
  sending: "Uploading {name}: {percent}",
  checking: "Checking {name}…",
  cancel: "Cancel upload",
  failed: "Upload failed. Check your connection and try again.",
});

interface UploadProps {
  boot: Boot;
  onDone: (entryId: string) => void;
}

interface Under {
  name: string;
  share: number;
}

const ACCEPT = ".mp4,.m4v,.webm,.m4a,.mp3,video/mp4,video/webm,audio/mp4,audio/mpeg";
const percent = (share: number) => new Intl.NumberFormat(locale, { style: "percent" }).format(share);

export function Upload({ boot, onDone }: UploadProps) {
  const input = useRef<HTMLInputElement>(null);
  const request = useRef<XMLHttpRequest | null>(null);
  const [under, setUnder] = useState<Under | null>(null);
  const [error, setError] = useState<string | null>(null);
  const send = (file: File) => {
    // fetch tells nothing of what has been sent so far; a lecture of a gigabyte needs that.
    const call = new XMLHttpRequest();
    request.current = call;
    const end = (problem: string | null) => {
      request.current = null;
      setUnder(null);
      setError(problem);
    };
    call.open("POST", `/app/api/uploads?name=${encodeURIComponent(file.name)}`);
    call.setRequestHeader("Authorization", `Bearer ${boot.token}`);
    call.setRequestHeader("Content-Type", "application/octet-stream");
    call.upload.onprogress = (event) => setUnder({ name: file.name, share: event.total ? event.loaded / event.total : 0 });
    call.onerror = () => end(t("failed"));
    call.onabort = () => end(null);
    call.onload = () => {
      const answer = JSON.parse(call.responseText || "{}") as { entry_id?: string; error?: { message: string } };
      end(answer.entry_id ? null : (answer.error?.message ?? t("failed")));
      if (answer.entry_id) onDone(answer.entry_id);
    };
    setError(null);
    setUnder({ name: file.name, share: 0 });
    call.send(file);
  };
  const chosen = (event: Event) => {
    const field = event.currentTarget as HTMLInputElement;
    const file = field.files?.[0];
    field.value = "";
    if (file) send(file);
  };
  return (
    <div class="stack">
      <input ref={input} type="file" accept={ACCEPT} hidden data-testid="upload-file" aria-label={t("choose")} onChange={chosen} />
      <div class="row">
        {under ? (
          <>
            <p role="status">{under.share < 1 ? t("sending", { name: under.name, percent: percent(under.share) }) : t("checking", { name: under.name })}</p>
            <Button small onClick={() => request.current?.abort()}>{t("cancel")}</Button>
          </>
        ) : (
          <>
            <Button testId="upload" onClick={() => input.current?.click()}><UploadIcon size={18} aria-hidden="true" /> {t("choose")}</Button>
            <span class="note">{t("hint")}</span>
          </>
        )}
      </div>
      {error && <p role="alert">{error}</p>}
    </div>
  );
}
