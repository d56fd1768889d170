/** The sections of the administration page, in the order of the menu. A new section is one file and one line here. */
import type { ComponentType } from "preact";
import type { Ask } from "./door";
import { courses } from "./sections/courses";
import { deployments } from "./sections/deployments";
import { keys } from "./sections/keys";
import { people } from "./sections/people";
import { platforms } from "./sections/platforms";
import { recordings } from "./sections/recordings";
import { storage } from "./sections/storage";
import { usage } from "./sections/usage";
import { webhooks } from "./sections/webhooks";

export interface SectionProps {
  ask: Ask;
}

export interface Section {
  /** Stands in the address: `/admin#keys`. */
  id: string;
  title: string;
  View: ComponentType<SectionProps>;
}

export const sections: Section[] = [platforms, deployments, courses, people, recordings, storage, keys, webhooks, usage];
