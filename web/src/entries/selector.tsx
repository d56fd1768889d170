import { render } from "preact";
import { SelectorPage } from "../selector/selector";
import type { DeepLinkBoot } from "../selector/answer";
import { readBoot } from "../ui/page";

const app = document.getElementById("app");
if (app) render(<SelectorPage boot={readBoot() as DeepLinkBoot} />, app);
