/** Tells somebody who looks at the course as a role sees it (Sakai's “View Site As”) that this is a preview. */
import { catalogue } from "./text";
import type { Boot } from "./page";

const t = catalogue({
  text: "You’re viewing this course as {role}. A preview isn’t on the roster and has no recordings.",
});

export function PreviewNote({ boot }: { boot: Pick<Boot, "preview"> }) {
  if (!boot.preview) return null;
  return <p class="preview" role="note" data-testid="preview">{t("text", { role: boot.preview })}</p>;
}
