/** The room's dialogs and the menu that opens above its round button. */
import type { ComponentChildren, JSX } from "preact";
import { useEffect, useId, useRef, useState } from "preact/hooks";
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

export interface MenuItem {
  key: string;
  label: string;
  icon?: JSX.Element;
  danger?: boolean;
  testId?: string;
  run: () => void;
}

interface MenuProps {
  label: string;
  items: MenuItem[];
  children: ComponentChildren;
  class?: string;
  testId?: string;
}

/** A button with a menu. Arrows move, Enter chooses, Escape closes and gives the focus back. */
export function Menu({ label, items, children, class: className, testId }: MenuProps): JSX.Element {
  const [open, setOpen] = useState(false);
  const root = useRef<HTMLDivElement>(null);
  const button = useRef<HTMLButtonElement>(null);
  const id = useId();

  useEffect(() => {
    if (!open) return undefined;
    root.current?.querySelector<HTMLElement>("[role=menuitem]")?.focus();
    const outside = (event: Event): void => {
      if (event.target instanceof Node && root.current?.contains(event.target) !== true) setOpen(false);
    };
    document.addEventListener("pointerdown", outside);
    return () => document.removeEventListener("pointerdown", outside);
  }, [open]);

  function close(): void {
    setOpen(false);
    button.current?.focus();
  }

  function onKeyDown(event: KeyboardEvent): void {
    if (!open) return;
    const entries = Array.from(root.current?.querySelectorAll<HTMLElement>("[role=menuitem]") ?? []);
    const at = entries.findIndex((entry) => entry === document.activeElement);
    const moves: Record<string, number> = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: -1 };
    const to = moves[event.key];
    if (event.key === "Escape") close();
    else if (event.key === "Tab") setOpen(false);
    else if (to !== undefined) entries.at(to % entries.length)?.focus();
    else return;
    if (event.key !== "Tab") event.preventDefault();
    event.stopPropagation();
  }

  return (
    <div class="pop-root" ref={root} onKeyDown={onKeyDown}>
      <button ref={button} type="button" class={className ?? "tool"} aria-label={label} title={label} data-testid={testId}
        aria-haspopup="menu" aria-expanded={open} aria-controls={id} onClick={() => setOpen(!open)}>
        {children}
      </button>
      {open && (
        <div class="pop" role="menu" id={id} aria-label={label}>
          {items.map((item) => (
            <button key={item.key} type="button" role="menuitem" tabIndex={-1} data-testid={item.testId}
              class={item.danger ? "pop-item danger" : "pop-item"} onClick={() => { close(); item.run(); }}>
              {item.icon}<span>{item.label}</span>
            </button>
          ))}
        </div>
      )}
    </div>
  );
}
