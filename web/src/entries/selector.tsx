import { render } from "preact";
import { SelectorPage } from "../selector/selector";
import type { DeepLinkBoot } from "../selector/answer";
import { followHeight } from "../ui/height";
import { readBoot } from "../ui/page";

const app = document.getElementById("app");
if (app) render(<SelectorPage boot={readBoot() as DeepLinkBoot} />, app);
// Its bar with “Insert” stays in view: LMSs show it in a dialog that is less tall than the screen.
followHeight(Math.max(450, window.screen.availHeight - 320));
