/** For system administrators of the LMS, where the site allows it: the way to the administration page. */
import { useState } from "preact/hooks";
import { Button } from "../ui/kit";
import { ApiError, call, type Boot } from "../ui/page";
import { catalogue } from "../ui/text";

const t = catalogue({
  title: "Administration",
  text: "As an administrator of this LMS, you can manage Sideroom’s platforms, courses and API keys.",
  open: "Open administration",
  opening: "Opening…",
  blocked: "Your browser blocked the new window. Use this link within a minute:",
  link: "Administration page",
});

export function Administration({ boot }: { boot: Boot }) {
  const [busy, setBusy] = useState(false);
  const [link, setLink] = useState<string | null>(null);
  const [error, setError] = useState<string | null>(null);
  const open = async () => {
    // Opened in the click itself, or the browser blocks it; its address follows.
    const opened = window.open("", "_blank");
    setBusy(true);
    setError(null);
    setLink(null);
    try {
      const { url } = await call<{ url: string }>(boot, "POST", "/app/api/admin");
      if (opened) opened.location.href = url;
      else setLink(url);
    } catch (problem) {
      opened?.close();
      setError((problem as ApiError).message);
    }
    setBusy(false);
  };
  return (
    <section class="card">
      <h2>{t("title")}</h2>
      <p>{t("text")}</p>
      <div class="row"><Button testId="open-admin" disabled={busy} onClick={() => void open()}>{busy ? t("opening") : t("open")}</Button></div>
      {link && <p role="alert">{t("blocked")} <a href={link} target="_blank" rel="noopener">{t("link")}</a></p>}
      {error && <p role="alert">{error}</p>}
    </section>
  );
}
