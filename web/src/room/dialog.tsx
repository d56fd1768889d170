/** The room's dialogs. */
import type { ComponentChildren, JSX } from "preact";
import { Dialog as Frame } from "../ui/kit";
import { t } from "./texts";

interface DialogProps {
  title: string;
  onClose: () => void;
  children: ComponentChildren;
  actions?: ComponentChildren;
}

/** The kit's dialog; without actions of its own it gets Close. */
export function Dialog({ title, onClose, children, actions }: DialogProps): JSX.Element {
  const close = <button type="button" class="button" onClick={onClose}>{t("close")}</button>;
  return <Frame title={title} onClose={onClose} foot={actions ?? close}>{children}</Frame>;
}
