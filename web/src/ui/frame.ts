/** What the browser allows here: an LMS's frame usually gives no camera, microphone or screen to the page inside it. */

export interface FrameCan {
  /** In a window of our own rather than in an LMS's frame. */
  top: boolean;
  camera: boolean;
  microphone: boolean;
  screen: boolean;
}

interface PolicyDocument extends Document {
  featurePolicy?: { allowsFeature(name: string): boolean };
  permissionsPolicy?: { allowsFeature(name: string): boolean };
}

/** Asks the frame's policy where the browser tells it (Chromium); elsewhere a frame counts as closed. */
export function frameCan(page: PolicyDocument = document, top: boolean = window.parent === window): FrameCan {
  const policy = page.permissionsPolicy ?? page.featurePolicy;
  const allows = (name: string) => (policy ? policy.allowsFeature(name) : top);
  return { top, camera: allows("camera"), microphone: allows("microphone"), screen: allows("display-capture") };
}
