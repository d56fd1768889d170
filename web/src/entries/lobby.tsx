import { render } from "preact";
import { LobbyPage } from "../lobby/lobby";
import { followHeight } from "../ui/height";
import { readBoot } from "../ui/page";

const app = document.getElementById("app");
if (app) render(<LobbyPage boot={readBoot()} />, app);
followHeight();
