/** A secret that is shown once, with a button to copy it. */
import { useState } from "preact/hooks";
import { Button, Dialog } from "../ui/kit";
import { t } from "./texts";

interface SecretProps {
  title: string;
  /** What it is for, and that it is not shown again. */
  text: string;
  secret: string;
  onClose: () => void;
}

export function SecretDialog({ title, text, secret, onClose }: SecretProps) {
  const [copied, setCopied] = useState(false);
  const copy = () => void navigator.clipboard.writeText(secret).then(() => setCopied(true), () => undefined);
  return (
    <Dialog
      title={title}
      onClose={onClose}
      foot={
        <>
          <Button onClick={copy}>{copied ? t("copied") : t("copy")}</Button>
          <Button look="primary" testId="secret-done" onClick={onClose}>{t("done")}</Button>
        </>
      }
    >
      <p>{text}</p>
      <p class="secret" data-testid="secret">{secret}</p>
    </Dialog>
  );
}
