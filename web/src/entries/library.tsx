import { render } from "preact";
import { LibraryPage } from "../library/library";
import { followHeight } from "../ui/height";
import { readBoot } from "../ui/page";

const app = document.getElementById("app");
if (app) render(<LibraryPage boot={readBoot()} />, app);
followHeight();
