/** The small set of controls that every page uses. No knowledge of rooms or media. */
import type { ComponentChildren, JSX, VNode } from "preact";
import { X } from "lucide-preact";
import { useEffect, useId, useLayoutEffect, useRef, useState } from "preact/hooks";
import { keepInView } from "./height";
import { initials } from "./names";
import "./tokens.css";
import "./kit.css";

type ButtonLook = "primary" | "danger" | "quiet" | "";

interface ButtonProps extends Omit<JSX.HTMLAttributes<HTMLButtonElement>, "size"> {
  look?: ButtonLook;
  small?: boolean;
  big?: boolean;
  disabled?: boolean;
  testId?: string;
  type?: "button" | "submit";
}

export function Button({ look = "", small, big, testId, children, class: extra, type = "button", ...rest }: ButtonProps) {
  const names = ["btn", look, small ? "small" : "", big ? "big" : "", typeof extra === "string" ? extra : ""];
  return (
    <button type={type} class={names.filter(Boolean).join(" ")} data-testid={testId} {...rest}>
      {children}
    </button>
  );
}

interface IconButtonProps extends ButtonProps {
  label: string;
}

/** A button that shows an icon only: its label is spoken and shown on hover. */
export function IconButton({ label, class: extra, ...rest }: IconButtonProps) {
  return <Button {...rest} class={`icon ${typeof extra === "string" ? extra : ""}`} aria-label={label} title={label} />;
}

/** Gives the focus back to where it was, once what was open is out of the page (a modal dialog lets nothing else have it). */
function useFocusReturn(begin: () => void): void {
  useEffect(() => {
    const before = document.activeElement;
    begin();
    return () =>
      queueMicrotask(() => {
        const lost = document.activeElement === null || document.activeElement === document.body;
        if (lost && before instanceof HTMLElement) before.focus();
      });
  }, []);
}

interface DialogProps {
  title: string;
  onClose: () => void;
  children?: ComponentChildren;
  foot?: ComponentChildren;
  testId?: string;
}

const openings = new Set<() => void>();

/** Be told after a modal dialog was opened; returns how to stop. */
export function onDialogOpened(listener: () => void): () => void {
  openings.add(listener);
  return () => openings.delete(listener);
}

/** A modal dialog: focus goes in and comes back, Escape closes. */
export function Dialog({ title, onClose, children, foot, testId }: DialogProps) {
  const ref = useRef<HTMLDialogElement>(null);
  const id = useId();
  useEffect(() => (ref.current ? keepInView(ref.current) : undefined), []);
  useFocusReturn(() => {
    ref.current?.showModal();
    for (const listener of openings) listener();
  });
  return (
    <dialog
      ref={ref}
      class="dialog"
      aria-labelledby={id}
      data-testid={testId}
      onCancel={(event) => {
        event.preventDefault();
        onClose();
      }}
    >
      <h2 id={id}>{title}</h2>
      <div class="body">{children}</div>
      {foot && <div class="foot">{foot}</div>}
    </dialog>
  );
}

interface SheetProps {
  title: string;
  closeLabel: string;
  onClose: () => void;
  wide?: boolean;
  /** Of a wide one: leaves the other half to what is behind it, where there is room for both. */
  half?: boolean;
  head?: ComponentChildren;
  foot?: ComponentChildren;
  children?: ComponentChildren;
  testId?: string;
}

/**
 * When what had the focus disappears (a person moved to another column, “Start” was pressed), the focus goes to what now bears
 * the same test id, else to the sheet itself: somebody at the keyboard never has to begin at the top of the page again.
 */
function useFocusKept(ref: { current: HTMLElement | null }): void {
  const last = useRef<HTMLElement | null>(null);
  useEffect(() => {
    const remember = (event: Event): void => {
      const target = event.target as HTMLElement;
      last.current = ref.current?.contains(target) ? target : null;
    };
    document.addEventListener("focusin", remember);
    document.addEventListener("pointerdown", remember);
    return () => {
      document.removeEventListener("focusin", remember);
      document.removeEventListener("pointerdown", remember);
    };
  }, []);
  useEffect(() => {
    const lost = last.current;
    if (lost === null || lost.isConnected || document.activeElement !== document.body) return;
    const id = lost.dataset.testid;
    const heir = id ? ref.current?.querySelector<HTMLElement>(`[data-testid="${CSS.escape(id)}"]`) : null;
    (heir ?? ref.current)?.focus();
  });
}

/** A side sheet (a bottom sheet on narrow screens) that does not block the room behind it. */
export function Sheet({ title, closeLabel, onClose, wide, half, head, foot, children, testId }: SheetProps) {
  const ref = useRef<HTMLElement>(null);
  const id = useId();
  useFocusReturn(() => ref.current?.focus());
  useFocusKept(ref);
  const closing = useRef(onClose);
  closing.current = onClose;
  useEffect(() => {
    // Also from outside it: whoever pressed a button in the sheet that is gone since stands on no element at all.
    const onKey = (event: KeyboardEvent): void => {
      const elsewhere = (event.target as Element | null)?.closest?.("input, textarea, select, dialog[open]");
      if (event.key !== "Escape" || event.defaultPrevented || document.querySelector("dialog[open]")) return;
      if (!elsewhere || ref.current?.contains(elsewhere)) closing.current();
    };
    document.addEventListener("keydown", onKey);
    return () => document.removeEventListener("keydown", onKey);
  }, []);
  return (
    <section
      ref={ref}
      class={["sheet", wide ? "wide" : "", half ? "half" : ""].filter(Boolean).join(" ")}
      role="dialog"
      aria-labelledby={id}
      tabIndex={-1}
      data-testid={testId}
    >
      <header>
        <h2 id={id}>{title}</h2>
        {head}
        <IconButton label={closeLabel} look="quiet" onClick={onClose}>
          <X size={20} aria-hidden="true" />
        </IconButton>
      </header>
      <div class="content">{children}</div>
      {foot && <footer>{foot}</footer>}
    </section>
  );
}

export interface MenuItem {
  /** Where two items may have one label. */
  key?: string;
  label: string;
  onSelect: () => void;
  icon?: VNode;
  danger?: boolean;
  testId?: string;
}

interface MenuProps {
  label: string;
  /** As a function where making them is worth putting off until the menu is opened. */
  items: MenuItem[] | (() => MenuItem[]);
  children: ComponentChildren;
  up?: boolean;
  look?: ButtonLook;
  small?: boolean;
  /** The button's class, where a page draws its buttons in its own way. */
  face?: string;
  testId?: string;
}

const EDGE_PX = 8;

/** Beside its button, on the side with room for it and wholly in the window; fixed, so that no scrolling box cuts it off. */
function place(list: HTMLElement, button: DOMRect, up: boolean): void {
  Object.assign(list.style, { top: "", bottom: "", maxHeight: "" });
  const { width, height } = list.getBoundingClientRect();
  const [above, below] = [button.top - 6 - EDGE_PX, window.innerHeight - button.bottom - 6 - EDGE_PX];
  const upwards = up ? above >= height || above > below : below < height && above > below;
  const left = document.documentElement.dir === "rtl" ? button.left : button.right - width;
  list.style.left = `${Math.max(EDGE_PX, Math.min(left, window.innerWidth - width - EDGE_PX))}px`;
  list.style.maxHeight = `${upwards ? above : below}px`;
  if (upwards) list.style.bottom = `${window.innerHeight - button.top + 6}px`;
  else list.style.top = `${button.bottom + 6}px`;
}

/** A menu button: arrows, Home, End, first letter, Escape. */
export function Menu({ label, items, children, up, look = "quiet", small, face, testId }: MenuProps) {
  const [open, setOpen] = useState(false);
  const root = useRef<HTMLDivElement>(null);
  const list = useRef<HTMLUListElement>(null);
  const buttons = () => [...(root.current?.querySelectorAll<HTMLButtonElement>("[role=menuitem]") ?? [])];
  useLayoutEffect(() => {
    if (!open || !root.current || !list.current) return;
    const follow = (event?: Event) => {
      if (root.current && list.current && event?.target !== list.current) place(list.current, root.current.getBoundingClientRect(), up === true);
    };
    follow();
    buttons()[0]?.focus({ preventScroll: true });
    const outside = (event: PointerEvent) => {
      if (!root.current?.contains(event.target as Node)) setOpen(false);
    };
    document.addEventListener("pointerdown", outside);
    document.addEventListener("scroll", follow, true);
    return () => {
      document.removeEventListener("pointerdown", outside);
      document.removeEventListener("scroll", follow, true);
    };
  }, [open]);
  const close = () => {
    setOpen(false);
    root.current?.querySelector<HTMLButtonElement>("button")?.focus();
  };
  const onKey = (event: KeyboardEvent) => {
    const all = buttons();
    const at = all.indexOf(document.activeElement as HTMLButtonElement);
    const step = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: all.length - 1 }[event.key];
    if (event.key === "Escape") {
      event.preventDefault();
      event.stopPropagation();
      close();
    } else if (event.key === "Tab") {
      setOpen(false);
    } else if (step !== undefined && all.length) {
      event.preventDefault();
      all[(step + all.length) % all.length]?.focus();
    } else if (event.key.length === 1) {
      all.find((b) => b.textContent?.trim().toLowerCase().startsWith(event.key.toLowerCase()))?.focus();
    }
  };
  return (
    <div class="menu" ref={root} onKeyDown={open ? onKey : undefined}>
      <button
        type="button"
        class={face ?? ["btn", look, small ? "small" : "", "icon"].filter(Boolean).join(" ")}
        data-testid={testId}
        aria-haspopup="menu"
        aria-expanded={open}
        aria-label={label}
        title={label}
        onClick={() => setOpen(!open)}
      >
        {children}
      </button>
      {open && (
        <ul ref={list} class="menu-list" role="menu" aria-label={label}>
          {(typeof items === "function" ? items() : items).map((item) => (
            <li role="none" key={item.key ?? item.label}>
              <button
                type="button"
                role="menuitem"
                tabIndex={-1}
                class={item.danger ? "danger" : ""}
                data-testid={item.testId}
                onClick={() => {
                  close();
                  item.onSelect();
                }}
              >
                {item.icon}
                <span>{item.label}</span>
              </button>
            </li>
          ))}
        </ul>
      )}
    </div>
  );
}

export function Avatar({ name }: { name: string }) {
  return (
    <span class="avatar" aria-hidden="true">
      {initials(name)}
    </span>
  );
}

export function Spinner({ label }: { label: string }) {
  return (
    <div class="state" role="status">
      <span class="spinner" aria-hidden="true" />
      <span>{label}</span>
    </div>
  );
}

/** An empty or failed place, with its next step. */
export function Empty({ title, text, children }: { title: string; text?: string; children?: ComponentChildren }) {
  return (
    <div class="state">
      <h2>{title}</h2>
      {text && <p>{text}</p>}
      {children}
    </div>
  );
}

/** A number in a ring that empties; drawn, never spoken (the sentence beside it is). */
export function Ring({ left, total }: { left: number; total: number }) {
  const share = total > 0 ? Math.max(0, Math.min(1, left / total)) : 0;
  const around = 2 * Math.PI * 15;
  return (
    <svg width="40" height="40" viewBox="0 0 40 40" aria-hidden="true">
      <circle cx="20" cy="20" r="15" fill="none" stroke="var(--line)" stroke-width="4" />
      <circle
        cx="20" cy="20" r="15" fill="none" stroke="var(--accent)" stroke-width="4" stroke-linecap="round"
        stroke-dasharray={`${share * around} ${around}`} transform="rotate(-90 20 20)"
      />
      <text x="20" y="25" text-anchor="middle" font-size="14" font-weight="600" fill="var(--text)">
        {Math.ceil(left)}
      </text>
    </svg>
  );
}
